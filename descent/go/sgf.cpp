#include "descent/go/sgf.h"

#include <algorithm>
#include <array>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::go {

namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0'; }
bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }
bool is_small(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
char upper(char c) { return is_small(c) ? static_cast<char>(c - 'a' + 'A') : c; }

// Whether CA[...] names an encoding whose second bytes may look like brackets.
bool has_two_byte_characters(std::string_view bytes) {
  const size_t at = bytes.find("CA[");
  if (at == bytes.npos) return false;
  std::string name;
  for (const char c : bytes.substr(at + 3, 20)) {
    if (c == ']') break;
    if (is_capital(upper(c)) || is_digit(c)) name += upper(c);
  }
  constexpr std::array<std::string_view, 8> known = {"GBK",  "GB2312",   "GB18030", "CP936",
                                                     "BIG5", "SHIFTJIS", "SJIS",    "CP932"};
  return std::ranges::find(known, name) != known.end();
}

class Parser {
 public:
  Parser(std::string_view bytes, const std::string& name)
      : bytes_(bytes), name_(name), two_byte_(has_two_byte_characters(bytes)) {}

  std::vector<SgfTree> run() {
    std::vector<SgfTree> games;
    while (skip_to_game()) games.push_back(game());
    return games;
  }

 private:
  bool at_end() const { return at_ >= bytes_.size(); }
  char peek() const { return bytes_[at_]; }

  // Takes one byte and counts lines: LF, CR, CRLF and LFCR end one.
  char take() {
    const char c = bytes_[at_++];
    if (c == '\n' || c == '\r') {
      const bool second_of_two = before_ != c && (before_ == '\n' || before_ == '\r');
      if (!second_of_two) ++line_;
      before_ = second_of_two ? '\0' : c;
    } else {
      before_ = '\0';
    }
    return c;
  }

  void skip_spaces() {
    while (!at_end() && is_space(peek())) take();
  }

  // To a parenthesis that a node follows. Where a node comes without one, what follows would be taken for a game that
  // begins in the middle.
  bool skip_to_game() {
    while (!at_end()) {
      if (peek() == ';' && is_node(at_)) refuse(line_, "a node stands outside of any game: a parenthesis is missing");
      if (peek() == '(') {
        const size_t next = bytes_.find_first_not_of(std::string_view(" \t\r\n\v\f(\0", 8), at_ + 1);
        if (next != bytes_.npos && bytes_[next] == ';') return true;
      }
      take();
    }
    return false;
  }

  // Whether a property follows a semicolon, as seldom in plain text.
  bool is_node(size_t at) const {
    size_t end = bytes_.find_first_not_of(std::string_view(" \t\r\n", 4), at + 1);
    const size_t begin = end;
    while (end < bytes_.size() && is_capital(bytes_[end])) ++end;
    return end > begin && end < bytes_.size() && bytes_[end] == '[';
  }

  [[noreturn]] void refuse(int line, const std::string& what) const { fail(text(name_, ":", line, ": ", what)); }

  SgfTree game() {
    SgfTree tree{name_, {}};
    std::vector<Open> open;
    int current = -1;
    do {
      skip_spaces();
      if (at_end()) refuse(open.back().line, "the parenthesis that opens here is never closed");
      const int line = line_;
      const char c = peek();
      if (c == '(') {
        take();
        open.push_back({current, line});
      } else if (c == ')') {
        take();
        current = open.back().node;
        open.pop_back();
      } else if (c == ';') {
        take();
        current = add_node(tree, current, line);
      } else if (current >= 0 && (is_capital(c) || is_small(c))) {
        tree.nodes[static_cast<size_t>(current)].properties.push_back(property());
      } else {
        refuse(line, c > ' ' && c <= '~'
                         ? text("'", c, "' does not belong here")
                         : text("byte ", static_cast<int>(static_cast<unsigned char>(c)), " does not belong here"));
      }
    } while (!open.empty());
    return tree;
  }

  int add_node(SgfTree& tree, int parent, int line) const {
    if (parent < 0 && !tree.nodes.empty()) refuse(line, "a game has a second root");
    const int number = static_cast<int>(tree.nodes.size());
    if (parent >= 0) tree.nodes[static_cast<size_t>(parent)].children.push_back(number);
    tree.nodes.push_back({parent, {}, {}, line});
    return number;
  }

  SgfProperty property() {
    SgfProperty out{identifier(), {}, line_};
    for (skip_spaces(); !at_end() && peek() == '['; skip_spaces()) out.values.push_back(value());
    if (out.values.empty()) refuse(out.line, text("the property ", out.name, " has no value"));
    return out;
  }

  // Small letters were comment in FF[3] and before; where there is nothing else, they are meant.
  std::string identifier() {
    std::string whole, name;
    while (!at_end() && (is_capital(peek()) || is_small(peek()) || is_digit(peek()))) {
      const char c = take();
      whole += upper(c);
      if (!is_small(c)) name += c;
    }
    return name.empty() ? whole : name;
  }

  std::string value() {
    const int line = line_;
    std::string out;
    take();
    while (!at_end()) {
      const char c = take();
      if (c == ']') return out;
      if (c == '\\')
        escaped(out);
      else
        out += c;
      if (two_byte_ && static_cast<unsigned char>(c) > 0x80 && !at_end() && static_cast<unsigned char>(peek()) >= 0x40)
        out += take();
    }
    refuse(line, "the bracket that opens here is never closed");
  }

  // What follows a backslash: itself, and nothing if it is the end of a line.
  void escaped(std::string& out) {
    if (at_end()) return;
    const char c = take();
    if (c != '\n' && c != '\r') {
      out += c;
    } else if (!at_end() && peek() != c && (peek() == '\n' || peek() == '\r')) {
      take();
    }
  }

  struct Open {
    int node;  // where the next tree of variations hangs
    int line;
  };

  std::string_view bytes_;
  const std::string& name_;
  bool two_byte_;
  size_t at_ = 0;
  int line_ = 1;
  char before_ = '\0';  // the line end before, if there was one
};

}  // namespace

const SgfProperty* SgfNode::find(std::string_view name) const {
  const auto at = std::ranges::find(properties, name, [](const SgfProperty& p) -> std::string_view { return p.name; });
  return at == properties.end() ? nullptr : &*at;
}

std::vector<SgfTree> parse_sgf(std::string_view bytes, const std::string& name) { return Parser(bytes, name).run(); }

std::vector<int> main_line(const SgfTree& tree) {
  std::vector<int> out;
  for (int at = 0; !tree.nodes.empty();) {
    out.push_back(at);
    const std::vector<int>& children = tree.nodes[static_cast<size_t>(at)].children;
    if (children.empty()) break;
    at = children[0];
  }
  return out;
}

std::vector<std::vector<int>> all_lines(const SgfTree& tree) {
  constexpr size_t most = 10'000'000;
  std::vector<std::vector<int>> out;
  size_t total = 0;
  for (size_t leaf = 0; leaf < tree.nodes.size(); ++leaf) {
    if (!tree.nodes[leaf].children.empty()) continue;
    std::vector<int> line;
    for (int at = static_cast<int>(leaf); at >= 0; at = tree.nodes[static_cast<size_t>(at)].parent) line.push_back(at);
    if ((total += line.size()) > most)
      fail(text(tree.source, ": its variations have more than ", most, " nodes, written out one by one"));
    std::ranges::reverse(line);
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace descent::go
