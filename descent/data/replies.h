// Turns of conversations as answers to what was said before them: examples for nets that read and then answer.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "descent/data/conversations.h"

namespace descent::data {

// Rows i32 [2 context] of a stream of conversations (tokens_of()), one for each turn but the first of each: what is
// answered, then, from the middle on, the answer, each padded with -1. What is answered are the last turns of the
// conversation, whole ones with their marks, as many as fit, of a turn that is too long alone its mark and its end. The
// answer is its mark and its tokens; what comes next at each of its places (the mark behind the turn at its end) is the
// target. Of answers that are too long the rest is left out.
//
// Rows need room for the longer side, to the next quarter of the context.
class Replies : public RowSource {
 public:
  // Fails unless there is an answer, and a context of at least 4.
  Replies(std::vector<int32_t> tokens, const Marks& marks, int64_t context);

  Type row_type() const override { return {DType::i32, {2 * context_}}; }
  int64_t size() const override { return std::ssize(places_); }
  void read(int64_t row, std::span<std::byte> out) const override;
  int64_t room(int64_t row) const override;

  // Of all rows, i32 [rows, context], -1 behind the ends.
  Array targets() const;

  // The stream, which a mark ends, and where a row's answer stands in it: its mark at `turn`, its last target at
  // `last`.
  const std::vector<int32_t>& tokens() const { return tokens_; }
  struct Place {
    int64_t begin, turn, last;  // begin: of what is answered
  };
  const std::vector<Place>& places() const { return places_; }

 private:
  std::vector<int32_t> tokens_;
  Marks marks_;
  int64_t context_;
  std::vector<Place> places_;
};

// The answers of a part as a data set; `names` are the tokens'. Fails naming `source` if there is none.
Dataset replies_of(std::vector<int32_t> tokens, const Marks& marks, const std::vector<std::string>& names,
                   int64_t context, const std::string& source);

// Of all parts that are wanted (data/conversations.h).
Splits reply_splits(const TokenText& text, const TextOptions& options, const std::string& source);

}  // namespace descent::data
