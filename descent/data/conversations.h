// Conversations as examples: turns in a row, each an answer to those before it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "descent/data/text.h"

namespace descent::data {

// What was said in one, by two in turn.
using Conversation = std::vector<std::string>;

// Conversations of a file in UTF-8. A line of a table, with tabs between its cells (.tsv), is a prompt and its answer
// if there are two cells; with more, the first names the conversation, the lines of one standing together, and the last
// is a turn. Other files have a turn in each line, and an empty line between conversations. Turns are trimmed, and
// those that are empty then are left out. Fails naming the file and the line of a table that has one cell, or of what
// is no UTF-8, and if there is no turn.
std::vector<Conversation> read_conversations(const std::string& path);
std::vector<Conversation> parse_conversations(std::string_view content, bool table, const std::string& source);

// Tokens that stand before a turn and tell whose it is; they are numbered behind those of the text. A conversation is
// `begins` and its first turn, `other` and the answer, `one` and the answer to that, and so on.
struct Marks {
  explicit Marks(const Tokenizer& tokenizer) : begins(static_cast<int32_t>(tokenizer.size())) {}
  int32_t begins;
  int32_t other() const { return begins + 1; }
  int32_t one() const { return begins + 2; }
  int32_t of_turn(size_t turn) const { return turn == 0 ? begins : turn % 2 == 1 ? other() : one(); }
  bool is_mark(int64_t token) const { return token >= begins; }

  static constexpr int64_t count = 3;
};

// The tokens of a tokenizer and the marks, by name.
std::vector<std::string> names_with_marks(const Tokenizer& tokenizer);

// All conversations, one after the other.
std::vector<int32_t> tokens_of(const std::vector<Conversation>& conversations, const Tokenizer& tokenizer,
                               const std::string& source);

// Conversations in tokens, whole ones in each part. Which part one belongs to is a function of what is said in it and
// of the seed, so that doubles are on one side, and each stays on its side when others are added. Of `options`,
// `tokens` counts the marks, too. Word pieces are learnt from the training part alone; characters must be known in all
// parts. Every second window of training begins with a conversation, as a talk with the net will. Fails naming `source`
// and a part that is wanted and would be empty.
TokenText tokenize(std::vector<Conversation> conversations, const TextOptions& options, uint64_t seed,
                   const std::string& source);

}  // namespace descent::data
