#include "descent/data/word_model.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::data {

namespace {

std::vector<WordModel::Word> words_of(std::span<const int32_t> sentence, int32_t space) {
  std::vector<WordModel::Word> out(1);
  for (const int32_t character : sentence) {
    if (character != space)
      out.back().push_back(character);
    else if (!out.back().empty())
      out.emplace_back();
  }
  if (out.back().empty()) out.pop_back();
  return out;
}

}  // namespace

WordModel WordModel::fit(std::span<const std::vector<int32_t>> sentences, int32_t space, int order) {
  std::set<Word> known;
  for (const std::vector<int32_t>& sentence : sentences)
    for (Word& word : words_of(sentence, space)) known.insert(std::move(word));
  if (known.empty()) fail("a language model of words needs sentences with a word in them");
  std::vector<Word> words(known.begin(), known.end());
  const auto edge = static_cast<int32_t>(words.size()) + 1;
  std::vector<std::vector<int32_t>> sequences;
  for (const std::vector<int32_t>& sentence : sentences) {
    std::vector<int32_t>& sequence = sequences.emplace_back(1, edge);
    for (const Word& word : words_of(sentence, space))
      sequence.push_back(static_cast<int32_t>(std::ranges::lower_bound(words, word) - words.begin()));
    sequence.push_back(edge);
  }
  const std::vector<std::span<const int32_t>> spans(sequences.begin(), sequences.end());
  NGram model = NGram::fit(spans, edge + 1, order);
  return {std::move(words), std::move(model)};
}

WordModel::WordModel(std::vector<Word> words, NGram model) : words_(std::move(words)), model_(std::move(model)) {
  if (model_.vocabulary() != edge() + 1)
    fail(text("a language model of ", model_.vocabulary(), " words does not fit a list of ", words_.size(),
              ", the unknown word and the edge of a sentence"));
  if (std::ranges::adjacent_find(words_, std::greater_equal<>{}) != words_.end())
    fail("the words of a language model must be sorted and all different");
}

WordModel::Beginning WordModel::followed_by(Beginning beginning, int32_t character) const {
  const auto place = static_cast<size_t>(beginning.length);
  // A word that has ended comes before those that go on.
  const auto next = [place](const Word& word) { return place < word.size() ? word[place] : -1; };
  const auto found = std::ranges::equal_range(words_.begin() + beginning.first, words_.begin() + beginning.end,
                                              character, std::less<>{}, next);
  return {static_cast<int32_t>(found.begin() - words_.begin()), static_cast<int32_t>(found.end() - words_.begin()),
          beginning.length + 1};
}

int32_t WordModel::whole(Beginning beginning) const {
  if (beginning.first == beginning.end) return unknown();
  const bool ended = std::ssize(words_[static_cast<size_t>(beginning.first)]) == beginning.length;
  return ended ? beginning.first : unknown();
}

double WordModel::log_probability(std::span<const int32_t> before, int32_t next) const {
  const double log_p = model_.log_probability(before, next);
  if (next != unknown()) return log_p;
  return std::min(0.0, log_p + std::log(static_cast<double>(model_.vocabulary())));
}

}  // namespace descent::data
