// SGF, the Smart Game Format, FF[1] to FF[4] (red-bean.com/sgf): files of games as trees of nodes with properties.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace descent::go {

struct SgfProperty {
  std::string name;                 // capitals and digits: what older files write as "Black" is "B"
  std::vector<std::string> values;  // escapes undone; bytes as the file has them, in whatever encoding
  int line = 0;                     // counted from 1
};

struct SgfNode {
  int parent = -1;
  std::vector<int> children;  // the first goes on with the main line
  std::vector<SgfProperty> properties;
  int line = 0;

  const SgfProperty* find(std::string_view name) const;  // nullptr if there is none
};

// One game: its nodes in the order of the file, the root first.
struct SgfTree {
  std::string source;  // the file, as errors call it
  std::vector<SgfNode> nodes;
};

// All games of a file. What stands before and between them is skipped, as mails around games were. Where CA says that
// characters have two bytes (GBK, Big5, Shift JIS), a second byte that looks like ] or \ is none. Fails naming file and
// line: of a bracket or parenthesis that is never closed, or that lacks its beginning, of what belongs in no node.
// Needs some hundred times the memory of the text at most, and no stack that grows with its depth.
std::vector<SgfTree> parse_sgf(std::string_view bytes, const std::string& name);

// Nodes from the root to a leaf, by number: along first children, and along all of them. Fails if all lines together
// have more than ten million nodes.
std::vector<int> main_line(const SgfTree& tree);
std::vector<std::vector<int>> all_lines(const SgfTree& tree);

}  // namespace descent::go
