// A small tree search: PUCT over policy and value (Rosin 2011; Silver et al. 2017), with batches of leaves.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "descent/go/evaluator.h"

namespace descent::go {

struct SearchOptions {
  int visits = 100;                // of the root
  int batch = 8;                   // leaves that are evaluated together
  double c_puct = 1.5;             // how much an unlikely or little visited move is tried
  double first_play = 0.2;         // a move not yet tried is taken to be worse than its position by this
  double noise = 0;                // share of Dirichlet noise in the root's policy, for games against itself
  uint64_t seed = 1;               // of the noise
  bool dead_stones_count = false;  // when both have passed, stones on the board live: what is dead must be taken first
  double seconds = std::numeric_limits<double>::infinity();  // it stops with what it has
};

struct MoveStatistics {
  Point point = pass;
  double prior = 0;  // the policy's probability among the moves that are considered
  int visits = 0;
  double value = 0;  // of playing it, for the player to move: 1 wins, -1 loses; 0 if it was never tried
};

struct SearchResult {
  std::vector<MoveStatistics> moves;  // the most visited first, then by prior
  double value = 0;                   // of the position, for the player to move
  int visits = 0;
};

// The moves that are considered: legal ones that fill no own eye, and the pass.
std::vector<Point> sensible_moves(const Board& board, Color color);

// Looks ahead from `game` with `color` to move. Games that end are counted by area, less the stones that random games
// find dead (see status_of). The same options and evaluations give the same result, unless the time runs out.
SearchResult search(const Game& game, Color color, Evaluator& evaluator, const SearchOptions& options = {});

}  // namespace descent::go
