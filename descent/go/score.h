// Counting a position, and which of its stones are dead.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "descent/go/board.h"

namespace descent::go {

// Area scoring: a player's stones, and the empty points that reach only that player's stones.
struct Area {
  int black = 0, white = 0;             // points; what reaches both or neither is nobody's
  std::array<Color, max_area> owner{};  // of each point
};

// Stones in `dead` count as taken off. No stone is judged: see dead_stones().
Area area_of(const Board& board, std::span<const Point> dead = {});

// Black's area minus White's and the komi.
double area_score(const Board& board, std::span<const Point> dead = {});

// How often each point is Black's (1) or White's (-1) in the end, as the mean of random games from here in which nobody
// fills an own eye (Brügmann 1993). The same seed gives the same numbers.
std::vector<float> ownership(const Board& board, Color to_move, int games, uint64_t seed);

// What random games say of a finished position.
struct Status {
  std::vector<Point> dead;  // the stones of groups that end up the opponent's in most games
  bool settled = true;      // no point is in doubt: whoever plays on changes nothing
};
Status status_of(const Board& board, Color to_move, int games = 100, uint64_t seed = 1);

}  // namespace descent::go
