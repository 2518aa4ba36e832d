// A language model of words for decoders that write characters: which word comes next, and which words begin as what is
// written so far.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "descent/data/ngram.h"

namespace descent::data {

// An n-gram model of words, sentences between edges. The words are those that were counted; all others are one more,
// the unknown word, which has the whole part of the probability that smoothing keeps for what was never seen. (So all
// sum to a little more than 1.)
class WordModel {
 public:
  using Word = std::vector<int32_t>;  // its characters

  // Counts the words of sentences in characters, parted by `space` (-1: a sentence is a word). Fails if there is none.
  static WordModel fit(std::span<const std::vector<int32_t>> sentences, int32_t space, int order = 3);

  // Words and a model of them, as fit() has made them; fails if they do not fit together.
  WordModel(std::vector<Word> words, NGram model);

  // Sorted and all different; the place of one is its token.
  const std::vector<Word>& words() const { return words_; }
  const NGram& model() const { return model_; }
  int32_t unknown() const { return static_cast<int32_t>(words_.size()); }
  int32_t edge() const { return unknown() + 1; }  // of a sentence: where it begins and where it ends

  // The words that begin with the same `length` characters: from `first` to before `end` in the order of the words.
  struct Beginning {
    int32_t first = 0, end = 0, length = 0;
  };
  Beginning begin() const { return {0, unknown(), 0}; }
  Beginning followed_by(Beginning beginning, int32_t character) const;
  int32_t whole(Beginning beginning) const;  // the word that has no more characters, or the unknown one

  // log p(next | before), natural; `before` begins with an edge, or where it was cut.
  double log_probability(std::span<const int32_t> before, int32_t next) const;

 private:
  std::vector<Word> words_;
  NGram model_;
};

}  // namespace descent::data
