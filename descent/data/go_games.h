// Games of Go as examples: SGF files in folders and archives, divided by game, a position a row.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "descent/data/dataset.h"
#include "descent/go/position.h"
#include "descent/go/record.h"

namespace descent::data {

struct GoOptions {
  int size = 19;            // games on other boards are left out
  bool even_only = true;    // and games with handicap stones, and those that White begins
  int least_moves = 10;     // and those that are over sooner
  bool variations = false;  // all lines of a file, not only its main line; each counts as a game
  bool outcomes = false;    // targets are i32 [N,2]: the move, and who won (see below)
  bool symmetries = true;   // shows training positions in one of the 8 symmetries, drawn anew each time
  Fractions fractions = {.validation = 0.02, .test = 0.05};
  uint64_t seed = 0;  // of the division
};

// What was found, and what was left out and why.
struct GoCounts {
  int64_t files = 0, games = 0;             // games as found, lines of variations among them
  int64_t games_kept = 0, positions = 0;    // a position a move
  std::map<std::string, int64_t> left_out;  // games (files, where they cannot be read) by reason
  std::vector<std::string> problems;        // the first sentences about games that cannot be read or replayed
};

struct GoData {
  Splits splits;
  GoCounts counts;
};

// Reads games, replays them, and divides them. A game's part is a function of its fingerprint and the seed, so doubles
// (up to symmetry) are on one side, and a game stays on its side when others are added. A game that cannot be read or
// replayed is left out and counted.
//
// Rows come from a source (GoRows): planes u8 [size,size,24] of a packed position, 112 bytes on 19x19. Targets i32 [N]:
// the move that was played, a point or size * size for a pass; their names are the classes. With outcomes: 1 if the
// player to move won the game, 0 if not, -1 where that is not known.
//
// Each source is a folder, an archive, a file, or the name of a pack of $DESCENT_DATA (go_packs()). Fails naming the
// source if it cannot be read or holds no game, or the part that would be empty.
GoData load_go(const std::vector<std::string>& sources, const GoOptions& options = {});

// Calls `take` for each game of the sources that can be read; the others are counted.
void each_game(const std::vector<std::string>& sources, bool variations, GoCounts& counts,
               const std::function<void(const go::Record& record)>& take);

// Archives of games that are known by name. They are not fetched: $DESCENT_DATA is a folder that has them, or has them
// in a folder "go".
struct GoPack {
  std::string name, summary, licence;
  std::string file, sha256;
};
const std::vector<GoPack>& go_packs();

// The path that a source means. Fails if it is neither there nor the name of a pack whose file is.
std::string go_source_path(const std::string& source);

// Planes (go/position.h) from packed positions of one size.
class GoRows : public RowSource {
 public:
  // `packed` is u8 [N, packed_bytes(size)]. With `symmetries`, vary() shows a position, and the move that is the first
  // column of its target, in one of the 8 symmetries.
  GoRows(int size, Array packed, bool symmetries);

  Type row_type() const override;
  int64_t size() const override { return packed_.shape()[0]; }
  void read(int64_t row, std::span<std::byte> out) const override;
  void vary(int64_t row, uint64_t key, std::span<std::byte> out, std::span<std::byte> target) const override;

  go::Position position(int64_t row) const;

 private:
  int size_;
  Array packed_;
  bool symmetries_;
};

}  // namespace descent::data
