// From text to tokens, numbers that nets take, and back.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace descent::data {

// Tokens are 0 to size() - 1, each some bytes of text; a text is its tokens' bytes, one after the other.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual int64_t size() const = 0;

  // Fails naming `source` and the place of what cannot be written in these tokens.
  virtual std::vector<int32_t> encode(std::string_view text, const std::string& source) const = 0;

  // The same of many texts, which are looked at together: what comes again is worked out once.
  virtual std::vector<std::vector<int32_t>> encode_all(std::span<const std::string_view> texts,
                                                       const std::string& source) const;

  // A token's bytes, which need not be whole characters. Fails if there is no such token.
  virtual const std::string& decode(int64_t token) const = 0;

  // What a run keeps, and the tokenizer that it was: one line of JSON. Fails if it is not what to_json() gave.
  virtual std::string to_json() const = 0;
  static std::shared_ptr<const Tokenizer> from_json(const std::string& json);

  std::string decode(const std::vector<int32_t>& tokens) const;

  // Of each token something to read: its bytes, with those that are no text written as \x and two digits.
  std::vector<std::string> names() const;
};

using TokenizerPtr = std::shared_ptr<const Tokenizer>;

}  // namespace descent::data
