// Text as examples: windows of tokens, each place's target being the token that comes next.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "descent/data/dataset.h"
#include "descent/data/tokenizer.h"

namespace descent::data {

// Which characters there are, and their numbers: tokens. A character is a code point of Unicode, written as UTF-8.
class Characters : public Tokenizer {
 public:
  // In the order given; fails if one is there twice.
  explicit Characters(std::vector<std::string> all);

  // Those of a text, in the order of their code points. Fails naming `source` and the place of what is no UTF-8.
  static Characters of(std::string_view text, const std::string& source);

  const std::vector<std::string>& all() const { return all_; }
  int64_t size() const override { return static_cast<int64_t>(all_.size()); }

  // Fails naming `source` at a character that is not among them, and at no UTF-8.
  std::vector<int32_t> encode(std::string_view text, const std::string& source) const override;
  const std::string& decode(int64_t token) const override;
  using Tokenizer::decode;
  std::string to_json() const override;

  // The same without those that are not among them.
  std::vector<int32_t> encode_known(std::string_view text, const std::string& source) const;

 private:
  std::vector<std::string> all_;
  std::vector<std::pair<uint32_t, int32_t>> by_code_;  // code points in order, each with its token
};

// Windows of tokens: inputs i32 [context], and each place's next token as its target.
class TextWindows : public RowSource {
 public:
  // Row i stands at a place of its own: `windows` of them, spread evenly from the first token to the last. `starts` are
  // places that training prefers. Fails unless there are more tokens than a window has.
  TextWindows(std::vector<int32_t> tokens, int64_t context, int64_t windows, std::vector<int64_t> starts = {});

  Type row_type() const override { return {DType::i32, {context_}}; }
  int64_t size() const override { return windows_; }
  void read(int64_t row, std::span<std::byte> out) const override;

  // Training sees a window anywhere, drawn by the key, and its targets; if there are starts, every second time one that
  // begins at one of them.
  void vary(int64_t row, uint64_t key, std::span<std::byte> out, std::span<std::byte> target) const override;

  // Of all rows, i32 [windows, context].
  Array targets() const;

  const std::vector<int32_t>& tokens() const { return tokens_; }

 private:
  int64_t places() const { return static_cast<int64_t>(tokens_.size()) - context_; }  // where a window can begin
  int64_t begin(int64_t row) const;
  void copy(int64_t from, std::span<std::byte> out) const;

  std::vector<int32_t> tokens_;
  int64_t context_, windows_;
  std::vector<int64_t> starts_;
};

struct TextOptions {
  int64_t tokens = 0;    // word pieces (data/byte_pairs.h) that there are to be; 0: characters
  int64_t context = 64;  // tokens that a window has
  int64_t windows = 0;   // that an epoch of the training part shows; 0: as many as lie side by side in it
  Fractions fractions = {.validation = 0.1, .test = 0};
};

// A text in tokens, divided.
struct TokenText {
  TokenizerPtr tokenizer;
  std::vector<std::string> names;  // of all tokens: the classes
  struct Parts {
    std::vector<int32_t> train, validation, test;
  } parts;
  std::vector<int64_t> starts = {};  // in the training part, see TextWindows
};

// A text, divided by position: the training part first, then validation, then test. Characters are those of all parts;
// word pieces are learnt from the training part. Fails naming `source` if it is to be in characters and is no UTF-8.
TokenText tokenize(std::string_view text, const TextOptions& options, const std::string& source);

// Its windows. Validation and test are judged by windows side by side, so that each token is predicted once. Fails
// naming `source` if a part that is wanted has too few tokens.
Splits window_splits(const TokenText& text, const TextOptions& options, const std::string& source);

// Both.
Splits text_splits(std::string_view text, const TextOptions& options, const std::string& source);

// How many windows of `context` tokens lie side by side among so many, each with the token behind it.
int64_t windows_side_by_side(int64_t tokens, int64_t context);

// Windows side by side; `names` are the tokens'. Fails naming `source` if there are too few for one.
Dataset side_by_side(std::span<const int32_t> tokens, const std::vector<std::string>& names, int64_t context,
                     const std::string& source);

// The whole of a file.
std::string read_text(const std::string& path);

}  // namespace descent::data
