#include "descent/train/transcripts.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::train {

int64_t edit_distance(std::span<const int32_t> from, std::span<const int32_t> to) {
  std::vector<int64_t> row(to.size() + 1);  // distances of what was taken of `from` to each beginning of `to`
  std::iota(row.begin(), row.end(), int64_t{0});
  for (const int32_t taken : from) {
    int64_t diagonal = row[0]++;
    for (size_t i = 0; i < to.size(); ++i) {
      const int64_t kept_or_replaced = diagonal + (taken == to[i] ? 0 : 1);
      diagonal = row[i + 1];
      row[i + 1] = std::min({kept_or_replaced, row[i] + 1, row[i + 1] + 1});
    }
  }
  return row.back();
}

std::vector<int32_t> best_path(std::span<const float> scores, int64_t classes) {
  std::vector<int32_t> out;
  const auto blank = static_cast<int32_t>(classes - 1);
  int32_t before = blank;
  for (size_t at = 0; at + static_cast<size_t>(classes) <= scores.size(); at += static_cast<size_t>(classes)) {
    const auto frame = scores.subspan(at, static_cast<size_t>(classes));
    const auto best = static_cast<int32_t>(std::ranges::max_element(frame) - frame.begin());
    if (best != blank && best != before) out.push_back(best);
    before = best;
  }
  return out;
}

std::span<const int32_t> characters_of(std::span<const int32_t> row) {
  return row.first(static_cast<size_t>(std::ranges::find(row, -1) - row.begin()));
}

void check_transcripts(const Shape& outputs, const Array& targets, const std::string& source) {
  const int64_t characters = outputs.back() - 1, width = targets.shape()[1];
  const std::span<const int32_t> all = targets.as<int32_t>();
  const auto wrong = std::ranges::find_if(all, [&](int32_t c) { return c < -1 || c >= characters; });
  if (wrong != all.end())
    fail(text(source, ": character ", *wrong, " in row ", (wrong - all.begin()) / width, " is out of range: there are ",
              characters, " and the blank"));
}

namespace {

// A number for each different word.
class Words {
 public:
  std::vector<int32_t> of(std::span<const int32_t> characters, int32_t space) {
    std::vector<int32_t> out;
    for (size_t begin = 0; begin < characters.size();) {
      const auto rest = characters.subspan(begin);
      const auto length = static_cast<size_t>(std::ranges::find(rest, space) - rest.begin());
      if (length > 0) {
        const std::vector<int32_t> word(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(length));
        out.push_back(known_.emplace(word, static_cast<int32_t>(known_.size())).first->second);
      }
      begin += length + 1;
    }
    return out;
  }

 private:
  std::map<std::vector<int32_t>, int32_t> known_;
};

}  // namespace

void TranscriptMetrics::add(std::span<const int32_t> said, std::span<const int32_t> wanted) {
  Words words;
  const std::vector<int32_t> said_words = words.of(said, space_), wanted_words = words.of(wanted, space_);
  const int64_t errors = edit_distance(said, wanted);
  ++sentences_;
  wrong_ += errors > 0;
  characters_ += std::ssize(wanted);
  character_errors_ += errors;
  words_ += std::ssize(wanted_words);
  word_errors_ += edit_distance(said_words, wanted_words);
}

void TranscriptMetrics::add(const Array& scores, const Array& targets) {
  if (scores.shape().rank() != 3 || targets.shape().rank() != 2 || scores.shape()[0] != targets.shape()[0])
    fail(text("transcripts are judged by scores [N, frames, characters + 1] and targets [N, most], got ", scores.type(),
              " and ", targets.type()));
  const auto width = static_cast<size_t>(targets.shape()[1]);
  const int64_t classes = scores.shape()[2];
  const auto frames = static_cast<size_t>(scores.shape()[1] * classes);
  for (int64_t row = 0; row < targets.shape()[0]; ++row) {
    const auto i = static_cast<size_t>(row);
    add(best_path(scores.as<float>().subspan(i * frames, frames), classes),
        characters_of(targets.as<int32_t>().subspan(i * width, width)));
  }
}

Figures TranscriptMetrics::figures() const {
  const auto share = [](int64_t errors, int64_t all) {
    return static_cast<double>(errors) / static_cast<double>(std::max<int64_t>(1, all));
  };
  return {{"cer", share(character_errors_, characters_)},
          {"wer", share(word_errors_, words_)},
          {"sentence_error", share(wrong_, sentences_)}};
}

}  // namespace descent::train
