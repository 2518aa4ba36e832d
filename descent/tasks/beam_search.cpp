#include "descent/tasks/beam_search.h"

#include <algorithm>
#include <cmath>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::tasks {

namespace {

// A text and a token that it may go on with.
struct Candidate {
  int64_t text;
  int32_t token;
  double log_probability;
};

double log_of_sum(std::span<const float> scores) {
  const double largest = *std::ranges::max_element(scores);
  double sum = 0;
  for (const float score : scores) sum += std::exp(score - largest);
  return largest + std::log(sum);
}

double normalised(double log_probability, size_t length, double power) {
  return log_probability / std::pow((5 + static_cast<double>(length)) / 6, power);
}

void check(std::span<const float> first, const BeamOptions& options) {
  if (options.width < 1 || options.length < 1 || !(options.length_power >= 0))
    fail(text("a beam search needs a width and a length of at least 1 and a power of at least 0, got ", options.width,
              ", ", options.length, " and ", options.length_power));
  if (first.empty()) fail("a beam search needs tokens to choose from");
}

class Search {
 public:
  Search(const std::function<bool(int32_t)>& ends, const BeamOptions& options) : ends_(ends), options_(options) {}

  // The best continuations of all texts: those that end are done, the others are the new texts.
  void advance(std::span<const float> scores) {
    const size_t tokens = scores.size() / texts_.size();
    std::vector<Candidate> all;
    for (size_t i = 0; i < texts_.size(); ++i) {
      const std::span<const float> own = scores.subspan(i * tokens, tokens);
      const double log_sum = log_of_sum(own);
      for (size_t token = 0; token < tokens; ++token)
        if (own[token] > -HUGE_VALF)
          all.push_back(
              {static_cast<int64_t>(i), static_cast<int32_t>(token), texts_[i].log_probability + own[token] - log_sum});
    }
    // Twice the width, in case that half of them end.
    const auto most = std::min(all.size(), static_cast<size_t>(2 * options_.width));
    std::ranges::partial_sort(all, all.begin() + static_cast<int64_t>(most),
                              [](const Candidate& a, const Candidate& b) {
                                return a.log_probability != b.log_probability ? a.log_probability > b.log_probability
                                       : a.text != b.text                     ? a.text < b.text
                                                                              : a.token < b.token;
                              });
    all.resize(most);
    take(all);
  }

  bool is_over() const {
    if (texts_.empty()) return true;
    if (std::ssize(done_) < options_.width) return false;
    // What the best text could still come to, if all its tokens from here on were certain.
    const double hope =
        normalised(texts_[0].log_probability, static_cast<size_t>(options_.length), options_.length_power);
    return hope <= done_[static_cast<size_t>(options_.width) - 1].score;
  }

  // Those that have not ended count where the greatest length ended them.
  std::vector<Beam> results() {
    if (!texts_.empty() && std::ssize(texts_[0].tokens) == options_.length)
      std::ranges::copy(texts_, std::back_inserter(done_));
    sort_done();
    done_.resize(std::min(done_.size(), static_cast<size_t>(options_.width)));
    return std::move(done_);
  }

  const std::vector<int64_t>& from() const { return from_; }
  const std::vector<int32_t>& tokens() const { return tokens_; }

 private:
  void take(const std::vector<Candidate>& candidates) {
    const std::vector<Beam> before = std::move(texts_);
    texts_.clear();
    from_.clear();
    tokens_.clear();
    for (const Candidate& each : candidates) {
      const bool ended = ends_(each.token);
      if (!ended && std::ssize(texts_) == options_.width) continue;
      Beam beam = before[static_cast<size_t>(each.text)];
      beam.tokens.push_back(each.token);
      beam.log_probability = each.log_probability;
      beam.score = normalised(beam.log_probability, beam.tokens.size(), options_.length_power);
      beam.ended = ended;
      if (ended) {
        done_.push_back(std::move(beam));
        continue;
      }
      texts_.push_back(std::move(beam));
      from_.push_back(each.text);
      tokens_.push_back(each.token);
    }
    sort_done();
  }

  void sort_done() { std::ranges::stable_sort(done_, std::greater<>{}, &Beam::score); }

  const std::function<bool(int32_t)>& ends_;
  const BeamOptions& options_;
  std::vector<Beam> texts_{Beam{}}, done_;
  std::vector<int64_t> from_;
  std::vector<int32_t> tokens_;
};

}  // namespace

std::vector<Beam> beam_search(std::span<const float> first, const GoOn& go_on, const std::function<bool(int32_t)>& ends,
                              const BeamOptions& options) {
  check(first, options);
  Search search(ends, options);
  search.advance(first);
  for (int64_t length = 1; length < options.length && !search.is_over(); ++length)
    search.advance(go_on(search.from(), search.tokens()));
  return search.results();
}

}  // namespace descent::tasks
