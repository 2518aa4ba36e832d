// Counting n-grams, and smoothing the counts.
#include <algorithm>
#include <array>
#include <cmath>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/data/ngram.h"

namespace descent::data {

namespace {

// What is taken off a count of 1, 2, and 3 or more.
struct Discounts {
  std::array<double, 3> of = {};

  double operator()(uint32_t count) const { return of[std::min<uint32_t>(count, 3) - 1]; }
};

// As Chen and Goodman estimate them from how many n-grams were counted once, twice, three and four times. Where there
// are too few to tell, some of the usual size.
Discounts discounts_of(std::span<const uint32_t> counts) {
  std::array<double, 5> times = {};
  for (const uint32_t count : counts)
    if (count < times.size()) ++times[count];
  Discounts out{{0.5, 1, 1.5}};
  if (times[1] == 0 || times[2] == 0 || times[3] == 0) return out;
  const double y = times[1] / (times[1] + 2 * times[2]);
  for (int n = 1; n <= 3; ++n) {
    const double discount = n - (n + 1) * y * times[n + 1] / times[n];
    if (discount > 0 && discount < n) out.of[n - 1] = discount;
  }
  return out;
}

}  // namespace

// Order after order. Occurrences of an n-gram are the places where it begins, kept together; those of the next order
// are the same places, sorted within each n-gram by the token that follows.
class NGramCounter {
 public:
  NGramCounter(std::span<const std::span<const int32_t>> sequences, int64_t vocabulary) : vocabulary_(vocabulary) {
    for (const std::span<const int32_t> sequence : sequences) append(sequence);
    if (places_ == 0) fail("an n-gram model cannot be made of no tokens");
    items_.reserve(places_);
    for (size_t i = 0; i < tokens_.size(); ++i)
      if (tokens_[i] >= 0) items_.push_back(i);
    groups_ = {0, static_cast<uint32_t>(items_.size())};
    ngram_at_.assign(tokens_.size(), 0);
  }

  NGram model(int order) {
    NGram out;
    out.vocabulary_ = vocabulary_;
    std::vector<uint32_t> counts = first_level(out);
    for (int n = 2; n <= order; ++n) {
      std::vector<uint32_t> next = next_level(out, static_cast<size_t>(n), counts);
      // What is known of an order's left neighbours is known once the next one's n-grams are.
      smooth(out, n - 1, counts);
      counts = std::move(next);
    }
    smooth(out, order, counts);
    return out;
  }

 private:
  void append(std::span<const int32_t> sequence) {
    for (const int32_t token : sequence) {
      if (token < 0 || token >= vocabulary_)
        fail(
            text("token ", places_, " of an n-gram model's text is ", token, ", beyond a vocabulary of ", vocabulary_));
      tokens_.push_back(token);
      ++places_;
    }
    tokens_.push_back(ended);
    if (tokens_.size() >= UINT32_MAX) fail("an n-gram model is made of at most four billion tokens");
  }

  // Every token, those that never came too. Returns how often each came.
  std::vector<uint32_t> first_level(NGram& out) {
    NGram::Level& level = out.levels_.emplace_back();
    std::vector<uint32_t> counts(static_cast<size_t>(vocabulary_));
    for (int32_t token = 0; token < vocabulary_; ++token) level.tokens.push_back(token);
    split_groups(1, [&](uint32_t, int32_t token, uint32_t count) {
      counts[token] = count;
      return static_cast<uint32_t>(token);
    });
    return counts;
  }

  // The n-grams that continue those of the level before, whose `counts` become numbers of different tokens before them.
  std::vector<uint32_t> next_level(NGram& out, size_t n, std::vector<uint32_t>& counts) {
    NGram::Level level;
    std::vector<uint32_t> own_counts, left(counts.size());
    out.levels_.back().children.assign(counts.size() + 1, 0);
    std::vector<uint32_t>& children = out.levels_.back().children;
    const std::vector<uint32_t> before = ngram_at_;
    mark_beginnings(n, before, left);
    split_groups(n, [&](uint32_t place, int32_t token, uint32_t count) {
      ++children[before[place] + 1];
      ++left[before[place + 1]];
      level.tokens.push_back(token);
      own_counts.push_back(count);
      return static_cast<uint32_t>(level.tokens.size() - 1);
    });
    for (size_t i = 1; i < children.size(); ++i) children[i] += children[i - 1];
    out.levels_.push_back(std::move(level));
    counts = std::move(left);
    return own_counts;
  }

  // The beginning of a sequence counts as one more token that an n-gram came after.
  void mark_beginnings(size_t n, const std::vector<uint32_t>& before, std::vector<uint32_t>& left) const {
    for (size_t i = 0; i < tokens_.size(); ++i)
      if ((i == 0 || tokens_[i - 1] == ended) && has(i, n - 1)) left[before[i]] = 1;
  }

  bool has(size_t place, size_t count) const {
    return place + count <= tokens_.size() && std::find(tokens_.begin() + static_cast<int64_t>(place),
                                                        tokens_.begin() + static_cast<int64_t>(place + count),
                                                        ended) == tokens_.begin() + static_cast<int64_t>(place + count);
  }

  // Sorts the places of each group by token number n from there and makes groups of the equal ones; calls
  // number(a place, token, count) for each, and notes at its places what that returns. Places where the sequence is
  // over fall away.
  template <class Number>
  void split_groups(size_t n, Number number) {
    std::vector<uint32_t> groups{0};
    size_t kept = 0;
    for (size_t group = 0; group + 1 < groups_.size(); ++group) {
      const size_t begin = kept;
      for (size_t i = groups_[group]; i < groups_[group + 1]; ++i) {
        const auto place = static_cast<uint32_t>(items_[i]);
        const int32_t token = tokens_[place + n - 1];
        if (token != ended) items_[kept++] = static_cast<uint64_t>(token) << 32 | place;
      }
      std::sort(items_.begin() + static_cast<int64_t>(begin), items_.begin() + static_cast<int64_t>(kept));
      for (size_t i = begin; i < kept;) i = name_group(i, kept, groups, number);
    }
    items_.resize(kept);
    groups_ = std::move(groups);
  }

  // The group of equal tokens that begins at item i; returns where it ends.
  template <class Number>
  size_t name_group(size_t i, size_t kept, std::vector<uint32_t>& groups, Number& number) {
    size_t end = i + 1;
    while (end < kept && items_[end] >> 32 == items_[i] >> 32) ++end;
    const uint32_t id =
        number(static_cast<uint32_t>(items_[i]), static_cast<int32_t>(items_[i] >> 32), static_cast<uint32_t>(end - i));
    for (size_t j = i; j < end; ++j) ngram_at_[static_cast<uint32_t>(items_[j])] = id;
    groups.push_back(static_cast<uint32_t>(end));
    return end;
  }

  // Probabilities of order n from its counts, and what its contexts leave to lower orders.
  void smooth(NGram& out, int n, std::span<const uint32_t> counts) {
    const Discounts discounts = discounts_of(counts);
    NGram::Level& level = out.levels_[n - 1];
    level.log_probabilities.resize(level.tokens.size());
    if (n == 1) return smooth_first(level, counts, discounts);
    NGram::Level& contexts = out.levels_[n - 2];
    contexts.log_backoffs.assign(contexts.tokens.size(), 0);
    std::vector<int32_t> ngram(static_cast<size_t>(n));
    smooth_below(out, 0, -1, ngram, n, counts, discounts);
  }

  void smooth_first(NGram::Level& level, std::span<const uint32_t> counts, const Discounts& discounts) {
    double total = 0, left = 0;
    for (const uint32_t count : counts) {
      total += count;
      if (count > 0) left += discounts(count);
    }
    for (size_t i = 0; i < counts.size(); ++i) {
      const double own = counts[i] > 0 ? counts[i] - discounts(counts[i]) : 0;
      level.log_probabilities[i] =
          static_cast<float>(std::log((own + left / static_cast<double>(vocabulary_)) / total));
    }
  }

  // Walks the contexts of n - 1 tokens that begin with the first `depth` of ngram, the last of which is number `at`.
  void smooth_below(NGram& out, int depth, int64_t at, std::vector<int32_t>& ngram, int n,
                    std::span<const uint32_t> counts, const Discounts& discounts) {
    if (depth == n - 1) return smooth_context(out, at, ngram, n, counts, discounts);
    const bool root = depth == 0;
    const int64_t begin = root ? 0 : out.levels_[depth - 1].children[at];
    const int64_t end = root ? vocabulary_ : int64_t{out.levels_[depth - 1].children[at + 1]};
    for (int64_t i = begin; i < end; ++i) {
      ngram[depth] = out.levels_[depth].tokens[i];
      smooth_below(out, depth + 1, i, ngram, n, counts, discounts);
    }
  }

  void smooth_context(NGram& out, int64_t context, std::vector<int32_t>& ngram, int n, std::span<const uint32_t> counts,
                      const Discounts& discounts) {
    NGram::Level &contexts = out.levels_[n - 2], &level = out.levels_[n - 1];
    const size_t begin = contexts.children[context], end = contexts.children[context + 1];
    if (begin == end) return;
    double total = 0, left = 0;
    for (size_t i = begin; i < end; ++i) {
      total += counts[i];
      left += discounts(counts[i]);
    }
    const double backoff = left / total;
    contexts.log_backoffs[context] = static_cast<float>(std::log(backoff));
    // The shorter context's continuations hold all of these, in the same order.
    const std::span<const int32_t> shorter = std::span(ngram).subspan(1, static_cast<size_t>(n) - 2);
    const int64_t lower_context = shorter.empty() ? -1 : out.find(shorter);
    size_t lower = lower_context < 0 ? 0 : out.levels_[n - 3].children[lower_context];
    const NGram::Level& lower_level = out.levels_[n - 2];
    for (size_t i = begin; i < end; ++i) {
      while (lower_level.tokens[lower] != level.tokens[i]) ++lower;
      const double below = std::exp(double{lower_level.log_probabilities[lower]});
      const double own = (counts[i] - discounts(counts[i])) / total;
      level.log_probabilities[i] = static_cast<float>(std::log(own + backoff * below));
    }
  }

  static constexpr int32_t ended = -1;
  int64_t vocabulary_;
  int64_t places_ = 0;              // tokens
  std::vector<int32_t> tokens_;     // of all sequences, each with `ended` behind it
  std::vector<uint64_t> items_;     // the places, by n-gram; while they are sorted, with a token above the 32 bits
  std::vector<uint32_t> groups_;    // where the items of each n-gram begin
  std::vector<uint32_t> ngram_at_;  // the number of the n-gram of the last order that begins at each place
};

NGram NGram::fit(std::span<const std::span<const int32_t>> sequences, int64_t vocabulary, int order) {
  if (order < 1 || order > max_order)
    fail(text("the order of an n-gram model must be 1 to ", max_order, ", got ", order));
  if (vocabulary < 1 || vocabulary > INT32_MAX) fail(text("an n-gram model cannot have ", vocabulary, " tokens"));
  return NGramCounter(sequences, vocabulary).model(order);
}

NGram NGram::fit(std::span<const int32_t> sequence, int64_t vocabulary, int order) {
  return fit(std::span(&sequence, 1), vocabulary, order);
}

}  // namespace descent::data
