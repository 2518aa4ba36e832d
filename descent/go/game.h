// A game: a board, what was played on it, and taking moves back.
#pragma once

#include <utility>
#include <vector>

#include "descent/go/board.h"

namespace descent::go {

class Game {
 public:
  explicit Game(int size = 19, Rules rules = {}) : start_(size, rules), board_(start_) {}

  const Board& board() const { return board_; }
  const std::vector<Move>& moves() const { return moves_; }
  int size() const { return board_.size(); }
  void set_komi(double komi);

  // Who moves next: the opponent of who moved last; at the beginning Black, unless set_to_move() said otherwise.
  Color to_move() const { return moves_.empty() ? first_ : opponent(moves_.back().color); }
  void set_to_move(Color color) { first_ = color; }  // at the beginning

  // Replaces the stones and forgets the moves; fails as Board::set_up does.
  void set_up(std::span<const Color> stones);

  // Handicap stones: White is to move. Fails if a point is occupied.
  void place_handicap(std::span<const Point> points);

  int play(Move move);  // the stones taken; fails if the move is not legal
  bool undo();          // false if nothing was played

  bool is_over() const;          // both have passed, one after the other
  Point recent(size_t i) const;  // the move i before the last (0: the last); no_point before the first

 private:
  Board start_, board_;
  std::vector<Move> moves_;
  Color first_ = Color::black;
};

}  // namespace descent::go
