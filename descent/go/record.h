// A game as it was played: what an SGF file says of it, with its doubtful claims weighed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "descent/go/game.h"
#include "descent/go/sgf.h"

namespace descent::go {

// A move, or a stone put or (empty) taken by an editor's hand.
struct Step {
  Move move;
  bool set_up = false;
  int line = 0;  // in the file
};

struct Record {
  std::string source;  // the file
  int line = 0;        // where the game begins
  int size = 19;
  std::optional<double> komi;   // in points, if what KM says can be meant: see believable_komi()
  int handicap = 0;             // what HA says
  Color winner = Color::empty;  // empty: not known, or a draw
  std::string result, black, white, date, rules, encoding;  // as they stand: RE, PB, PW, DT, RU, CA
  std::optional<Color> first;                               // who moves first, where PL says it
  std::vector<Step> steps;

  int moves() const;     // passes count
  bool is_even() const;  // Black moves first, against no stones that were there before

  // The komi, unless it is the 0 that files write for one that they do not know: of an even game.
  std::optional<double> known_komi() const;
};

// KM in points. Servers write 6.5 as 650, and 3.75 stones as 375 (which are 7.5 points, as stones count twice). Nothing
// if it is no number or beyond 100 points. A komi of 0 is left as it is, though files have it that mean another.
std::optional<double> believable_komi(const std::string& text);

// Who won, by RE: "B+3.5", "W+R", "Black wins by 2"; empty for a draw and for all that says nothing.
Color winner_of(const std::string& result);

// The game along `line` of a tree (main_line() or one of all_lines()). Fails naming file and line if it is of another
// game than Go, its board is not square or not of 2 to 25 lines, or a move is not on it.
Record record_of(const SgfTree& tree, std::span<const int> line);

// The rules that let games of all rule sets be replayed: repetitions other than a simple ko are the players' affair.
inline constexpr Rules replay_rules{.komi = 0, .suicide = false, .positional_superko = false};

// Plays a record. `before` is told each move and the game before it, and may be empty. Fails naming file and line of a
// move that is not legal.
Game replay(const Record& record, const std::function<void(const Game& game, Move move)>& before = {},
            Rules rules = replay_rules);

// A number for the game's first 60 moves and its set-up, the same for all eight symmetries of it: for telling doubles.
uint64_t fingerprint(const Record& record);

}  // namespace descent::go
