// Which pairs to merge.
#include <algorithm>
#include <optional>
#include <queue>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/data/byte_pairs.h"

namespace descent::data {

namespace {

using Pair = BytePairs::Pair;

struct PairHash {
  size_t operator()(const Pair& pair) const {
    return (uint64_t{static_cast<uint32_t>(pair.first)} * 0x9e3779b97f4a7c15ull) ^
           (uint64_t{static_cast<uint32_t>(pair.second)} * 0xc2b2ae3d27d4eb4full);
  }
};

// A pair as it stands in line: the more frequent first, then the smaller tokens.
struct Waiting {
  int64_t count;
  Pair pair;

  bool operator<(const Waiting& other) const { return count != other.count ? count < other.count : pair > other.pair; }
};

// Different words with how often each came. A merge changes the words that have the pair, and no others.
class Merger {
 public:
  explicit Merger(std::span<const std::string_view> texts) {
    std::unordered_map<std::string_view, int64_t> words;
    for (std::string_view rest : texts)
      while (!rest.empty()) {
        const std::string_view word = first_word(rest);
        rest.remove_prefix(word.size());
        ++words[word];
      }
    // In the order of their bytes, so that nothing depends on the map's.
    std::vector<std::pair<std::string_view, int64_t>> sorted(words.begin(), words.end());
    std::ranges::sort(sorted);
    for (const auto& [word, count] : sorted) add_word(word, count);
    for (const auto& [pair, facts] : pairs_) line_.push({facts.count, pair});
  }

  // The next pair, merged into `token` everywhere; nothing if none is there twice.
  std::optional<Pair> merge(int32_t token) {
    while (!line_.empty()) {
      const auto [count, pair] = line_.top();
      line_.pop();
      const auto at = pairs_.find(pair);
      if (at == pairs_.end() || at->second.count != count) continue;  // it was counted anew since
      if (count < 2) return std::nullopt;
      const std::vector<uint32_t> words = std::move(at->second.words);
      changed_.clear();
      for (const uint32_t word : words) merge_in(word, pair, token);
      pairs_.erase(pair);
      std::ranges::sort(changed_);
      changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
      for (const Pair& each : changed_)
        if (const auto found = pairs_.find(each); found != pairs_.end()) line_.push({found->second.count, each});
      return pair;
    }
    return std::nullopt;
  }

 private:
  struct Word {
    std::vector<int32_t> tokens;
    int64_t count;
  };
  struct Facts {
    int64_t count = 0;
    std::vector<uint32_t> words;  // that have the pair, or had it; a word may be there twice
  };

  void add_word(std::string_view word, int64_t count) {
    Word added{{}, count};
    for (const char byte : word) added.tokens.push_back(static_cast<unsigned char>(byte));
    words_.push_back(std::move(added));
    count_pairs(static_cast<uint32_t>(words_.size() - 1), 1);
  }

  // Counts a word's pairs, or takes them out of the counts.
  void count_pairs(uint32_t number, int sign) {
    const Word& word = words_[number];
    for (size_t i = 0; i + 1 < word.tokens.size(); ++i) {
      const Pair pair{word.tokens[i], word.tokens[i + 1]};
      Facts& facts = pairs_[pair];
      facts.count += sign * word.count;
      if (sign > 0 && (facts.words.empty() || facts.words.back() != number)) facts.words.push_back(number);
      changed_.push_back(pair);
    }
  }

  void merge_in(uint32_t number, const Pair& pair, int32_t token) {
    std::vector<int32_t>& tokens = words_[number].tokens;
    const auto has = [&](size_t i) {
      return i + 1 < tokens.size() && tokens[i] == pair.first && tokens[i + 1] == pair.second;
    };
    size_t at = 0;
    while (at < tokens.size() && !has(at)) ++at;
    if (at == tokens.size()) return;
    count_pairs(number, -1);
    size_t to = at;
    for (size_t i = at; i < tokens.size(); ++i) {
      const bool found = has(i);
      tokens[to++] = found ? token : tokens[i];
      i += found;
    }
    tokens.resize(to);
    count_pairs(number, 1);
  }

  std::vector<Word> words_;
  std::unordered_map<Pair, Facts, PairHash> pairs_;
  std::priority_queue<Waiting> line_;
  std::vector<Pair> changed_;
};

}  // namespace

BytePairs BytePairs::train(std::span<const std::string_view> texts, int64_t size) {
  constexpr int64_t least = 256, most = int64_t{1} << 20;
  if (size < least || size > most)
    fail(text("byte pairs need at least ", least, " tokens, a byte each, and at most ", most, ", got ", size));
  Merger merger(texts);
  std::vector<Pair> merges;
  while (least + std::ssize(merges) < size) {
    const std::optional<Pair> pair = merger.merge(static_cast<int32_t>(least + std::ssize(merges)));
    if (!pair) break;
    merges.push_back(*pair);
  }
  return BytePairs(std::move(merges));
}

}  // namespace descent::data
