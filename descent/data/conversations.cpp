#include "descent/data/conversations.h"

#include <algorithm>
#include <array>

#include "descent/base/error.h"
#include "descent/base/hash.h"
#include "descent/base/text.h"
#include "descent/data/byte_pairs.h"
#include "descent/data/random.h"
#include "descent/data/utf8.h"

namespace descent::data {

namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view spaces = " \t\r\n\v\f";
  const size_t first = text.find_first_not_of(spaces);
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

bool is_utf8(std::string_view text) {
  while (!text.empty())
    if (!next_code(text)) return false;
  return true;
}

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find('\t', begin), line.size());
    cells.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return cells;
}

// Puts lines together to conversations.
class Reader {
 public:
  void begin() {
    if (!open_.empty()) all_.push_back(std::move(open_));
    open_.clear();
    name_.clear();
  }
  void turn(std::string_view text) {
    if (const std::string_view kept = trimmed(text); !kept.empty()) open_.emplace_back(kept);
  }
  void row(const std::vector<std::string_view>& cells) {
    if (cells.size() == 2) {
      begin();
      for (const std::string_view cell : cells) turn(cell);
      return begin();
    }
    if (cells[0] != name_) begin();
    name_ = cells[0];
    turn(cells.back());
  }
  std::vector<Conversation> all() {
    begin();
    return std::move(all_);
  }

 private:
  std::vector<Conversation> all_;
  Conversation open_;
  std::string name_;
};

std::vector<std::string_view> turns_of(const std::vector<Conversation>& conversations) {
  std::vector<std::string_view> out;
  for (const Conversation& conversation : conversations)
    out.insert(out.end(), conversation.begin(), conversation.end());
  return out;
}

// What a conversation says, as a number.
uint64_t fingerprint(const Conversation& conversation) {
  uint64_t out = 0;
  for (const std::string& turn : conversation) out = hash_text(out, turn);
  return out;
}

}  // namespace

std::vector<Conversation> parse_conversations(std::string_view content, bool table, const std::string& source) {
  Reader reader;
  int64_t number = 1;
  for (size_t begin = 0; begin < content.size(); ++number) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    std::string_view line = content.substr(begin, end - begin);
    begin = end + 1;
    if (!is_utf8(line)) fail(text(source, ": line ", number, " is no text in UTF-8"));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (trimmed(line).empty()) {
      reader.begin();
    } else if (!table) {
      reader.turn(line);
    } else {
      const std::vector<std::string_view> cells = cells_of(line);
      if (cells.size() < 2)
        fail(text(source, ": line ", number,
                  " has no tab; a table of turns has a prompt and an answer in each line, or ",
                  "a conversation's name and, as the last cell, a turn"));
      reader.row(cells);
    }
  }
  std::vector<Conversation> all = reader.all();
  if (all.empty()) fail(text(source, " has no turn of a conversation"));
  return all;
}

std::vector<Conversation> read_conversations(const std::string& path) {
  return parse_conversations(read_text(path), path.ends_with(".tsv"), path);
}

std::vector<std::string> names_with_marks(const Tokenizer& tokenizer) {
  std::vector<std::string> names = tokenizer.names();
  for (const char* mark : {"<begins>", "<other>", "<one>"}) names.emplace_back(mark);
  return names;
}

std::vector<int32_t> tokens_of(const std::vector<Conversation>& conversations, const Tokenizer& tokenizer,
                               const std::string& source) {
  const Marks marks(tokenizer);
  const std::vector<std::vector<int32_t>> turns = tokenizer.encode_all(turns_of(conversations), source);
  std::vector<int32_t> out;
  size_t number = 0;
  for (const Conversation& conversation : conversations)
    for (size_t turn = 0; turn < conversation.size(); ++turn, ++number) {
      out.push_back(marks.of_turn(turn));
      out.insert(out.end(), turns[number].begin(), turns[number].end());
    }
  return out;
}

TokenText tokenize(std::vector<Conversation> conversations, const TextOptions& options, uint64_t seed,
                   const std::string& source) {
  std::array<std::vector<Conversation>, 3> parts;  // training, validation, test
  const Fractions& share = options.fractions;
  for (Conversation& each : conversations) {
    const double at = RandomStream(random_key(seed, fingerprint(each))).uniform();
    parts[at < share.test ? 2 : at < share.test + share.validation ? 1 : 0].push_back(std::move(each));
  }
  TokenText out;
  if (options.tokens == 0) {
    std::string all;
    for (const std::vector<Conversation>& part : parts)
      for (const std::string_view turn : turns_of(part)) all += turn;
    out.tokenizer = std::make_shared<Characters>(Characters::of(all, source));
  } else {
    out.tokenizer = std::make_shared<BytePairs>(BytePairs::train(turns_of(parts[0]), options.tokens - Marks::count));
  }
  out.names = names_with_marks(*out.tokenizer);
  out.parts = {tokens_of(parts[0], *out.tokenizer, source), tokens_of(parts[1], *out.tokenizer, source),
               tokens_of(parts[2], *out.tokenizer, source)};
  const Marks marks(*out.tokenizer);
  for (int64_t i = 0; i < std::ssize(out.parts.train); ++i)
    if (out.parts.train[i] == marks.begins) out.starts.push_back(i);
  return out;
}

}  // namespace descent::data
