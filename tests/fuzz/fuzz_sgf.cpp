// Any bytes as an SGF file. What is read must hang together; each line of it is replayed, and its positions must come
// back from their packed form the same and fit their planes.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "descent/base/error.h"
#include "descent/go/position.h"
#include "descent/go/record.h"

namespace {

using namespace descent;
using namespace descent::go;

void check_tree(const SgfTree& tree) {
  if (tree.nodes.empty() || tree.nodes[0].parent != -1) std::abort();
  for (size_t i = 0; i < tree.nodes.size(); ++i) {
    for (const int child : tree.nodes[i].children)
      if (child <= static_cast<int>(i) || tree.nodes.at(static_cast<size_t>(child)).parent != static_cast<int>(i))
        std::abort();
    for (const SgfProperty& property : tree.nodes[i].properties)
      if (property.values.empty() || property.name.empty()) std::abort();
  }
}

void check_position(const Position& position) {
  std::vector<std::byte> bytes(packed_bytes(position.size));
  pack(position, bytes);
  Position again = unpack(bytes);
  again.komi = position.komi;  // which is rounded
  if (again != position) std::abort();
  std::vector<uint8_t> out(static_cast<size_t>(position.size * position.size * planes));
  write_planes(position, position.size % symmetries, out);
}

void check_line(const SgfTree& tree, const std::vector<int>& line) {
  const Record record = record_of(tree, line);
  fingerprint(record);
  int moves = 0;
  replay(record, [&](const Game& game, Move move) {
    if (++moves % 8 == 1) check_position(Position(game, move.color, record.komi));
  });
}

template <class Act>
void refuse_or(Act act) {
  try {
    act();
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  refuse_or([&] {
    for (const SgfTree& tree : parse_sgf({reinterpret_cast<const char*>(data), size}, "input.sgf")) {
      check_tree(tree);
      refuse_or([&] { check_line(tree, main_line(tree)); });
      refuse_or([&] {
        size_t lines = 0;
        for (const std::vector<int>& line : all_lines(tree))
          if (++lines < 10) refuse_or([&] { check_line(tree, line); });
      });
    }
  });
  return 0;
}
