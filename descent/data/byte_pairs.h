// Word pieces: tokens that are frequent sequences of bytes.
#pragma once

#include <span>
#include <unordered_map>
#include <utility>

#include "descent/data/tokenizer.h"

namespace descent::data {

// Byte-pair encoding (Gage, "A new algorithm for data compression", 1994; Sennrich, Haddow and Birch, "Neural machine
// translation of rare words with subword units", 2016), on bytes, so that every text, and every string of bytes, can be
// written and comes back exactly. Tokens 0 to 255 are the bytes; each later one is two earlier ones in a row,
// `merges()`.
//
// A text is first cut into words, across which nothing is merged: letters, digits, spaces or other signs in a row.
// Bytes of characters beyond ASCII count as letters, an apostrophe between letters too, and one space belongs to the
// word behind it. A word of more than 48 bytes is cut before the next character, at most at 64.
class BytePairs : public Tokenizer {
 public:
  using Pair = std::pair<int32_t, int32_t>;

  // Merges what stands side by side most often in the words, again and again, until there are `size` tokens or no pair
  // is there twice. Of equally frequent pairs the one of smaller tokens goes first, compared by the left one and then
  // by the right one: the same texts give the same tokens on every machine. Fails unless 256 <= size <= 2^20.
  static BytePairs train(std::span<const std::string_view> texts, int64_t size);

  // Fails naming the first merge of tokens that do not come before it, that is there twice, or is too long.
  explicit BytePairs(std::vector<Pair> merges);

  int64_t size() const override { return std::ssize(bytes_); }
  const std::vector<Pair>& merges() const { return merges_; }

  // Any bytes. In each word the merges are done in their order, as they were when training.
  std::vector<int32_t> encode(std::string_view text, const std::string& source = "") const override;
  std::vector<std::vector<int32_t>> encode_all(std::span<const std::string_view> texts,
                                               const std::string& source = "") const override;
  const std::string& decode(int64_t token) const override;
  using Tokenizer::decode;
  std::string to_json() const override;

 private:
  void encode_word(std::string_view word, std::vector<int32_t>& out) const;

  std::vector<Pair> merges_;
  std::vector<std::string> bytes_;                // of each token
  std::unordered_map<uint64_t, int32_t> merged_;  // the token of a pair of tokens
};

// The word that a text begins with.
std::string_view first_word(std::string_view text);

}  // namespace descent::data
