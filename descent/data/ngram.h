// Language models that count: which token comes next, judged by how often each came after the last few. What a net has
// to beat, and a light model for decoders to ask.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace descent::data {

// An n-gram model with interpolated, modified Kneser-Ney smoothing (Chen and Goodman, "An empirical study of smoothing
// techniques for language modeling", 1999): each order's counts less a discount, and what the discounts leave shared
// out as the next lower order says, where a token counts by how many different tokens it came after. Every token has a
// probability above 0 after any context, and those of all tokens sum to 1.
//
// Tokens are 0 to vocabulary - 1. A sequence's first tokens have less context; who wants a begin and an end gives
// sequences tokens for them.
class NGram {
 public:
  static constexpr int max_order = 16;

  // Counts sequences: n-grams do not reach from one into the next. Takes about a second for a million tokens of order
  // 5. Fails unless 1 <= order <= max_order and there is a token, naming the first token outside the vocabulary.
  static NGram fit(std::span<const std::span<const int32_t>> sequences, int64_t vocabulary, int order = 5);
  static NGram fit(std::span<const int32_t> sequence, int64_t vocabulary, int order = 5);

  int order() const { return static_cast<int>(levels_.size()); }
  int64_t vocabulary() const { return vocabulary_; }
  int64_t ngrams() const;  // that are stored, of all orders

  // log p(next | context), natural; of the context the last order - 1 tokens count. Tokens of the context outside the
  // vocabulary are unknown ones: nothing was seen after them. Fails if `next` is outside.
  double log_probability(std::span<const int32_t> context, int32_t next) const;

  // The same of all tokens at once, out[vocabulary].
  void log_probabilities(std::span<const int32_t> context, std::span<float> out) const;

  // The sum over the tokens of a sequence from `first` on, each with those before it as its context.
  double log_likelihood(std::span<const int32_t> sequence, int64_t first = 0) const;

  // One file (safetensors). Loading checks everything that lookups rely on; fails naming the file.
  void save(const std::filesystem::path& path) const;
  static NGram load(const std::filesystem::path& path);

 private:
  // The n-grams of one order, in the order of their tokens: those that continue one of the order below lie together.
  struct Level {
    std::vector<int32_t> tokens;           // the last one of each
    std::vector<float> log_probabilities;  // of that, after the others
    std::vector<float> log_backoffs;       // of an n-gram as a context: what is left for tokens never seen after it
    std::vector<uint32_t> children;        // of n-gram i, in the next level: from children[i] to children[i + 1]
  };
  friend class NGramCounter;

  NGram() = default;
  void check(const std::filesystem::path& path) const;
  std::span<const int32_t> continuations(int level, int64_t ngram) const;
  int64_t find(std::span<const int32_t> tokens) const;  // the n-gram's place in its level, or -1
  int64_t continuation(int level, int64_t ngram, int32_t token) const;

  int64_t vocabulary_ = 0;
  std::vector<Level> levels_;  // levels_[0] has every token of the vocabulary
};

}  // namespace descent::data
