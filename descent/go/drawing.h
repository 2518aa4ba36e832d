// Boards for the terminal.
#pragma once

#include <span>
#include <string>

#include "descent/go/game.h"
#include "descent/go/player.h"

namespace descent::go {

// A move that is thought of, and how much of the probability it has.
struct Candidate {
  Point point = pass;
  double probability = 0;
};

// The most probable moves of a policy (a number each point and the pass, as Evaluation has it) that are legal, at most
// `count`, with probabilities among all legal moves.
std::vector<Candidate> best_moves(const Board& board, Color color, std::span<const float> policy, size_t count = 5);

// The board in lines of text, letters along its edges and rows numbered from below: X is Black and O is White, + a star
// point, the last move is in parentheses, and the first nine candidates are the digits 1 to 9.
std::string drawn(const Board& board, Point last = no_point, std::span<const Candidate> candidates = {});

// A line each: "1  Q16   16-4    31.2%".
std::string listed(std::span<const Candidate> candidates, int size);

}  // namespace descent::go
