#include "descent/go/game.h"

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::go {

void Game::set_komi(double komi) {
  start_.set_komi(komi);
  board_.set_komi(komi);
}

void Game::set_up(std::span<const Color> stones) {
  start_.set_up(stones);
  board_ = start_;
  moves_.clear();
}

void Game::place_handicap(std::span<const Point> points) {
  std::vector<Color> stones(board_.stones().begin(), board_.stones().end());
  for (const Point p : points) {
    Color& at = stones[static_cast<size_t>(p)];
    if (at != Color::empty) fail(text("a handicap stone at ", vertex_name(p, size()), ": the point is occupied"));
    at = Color::black;
  }
  set_up(stones);
  first_ = Color::white;
}

int Game::play(Move move) {
  const int taken = board_.play(move.color, move.point);
  moves_.push_back(move);
  return taken;
}

bool Game::undo() {
  if (moves_.empty()) return false;
  moves_.pop_back();
  board_ = start_;
  for (const Move& move : moves_) board_.play(move.color, move.point);
  return true;
}

bool Game::is_over() const {
  const size_t n = moves_.size();
  return n >= 2 && moves_[n - 1].point == pass && moves_[n - 2].point == pass &&
         moves_[n - 1].color != moves_[n - 2].color;
}

Point Game::recent(size_t i) const { return i < moves_.size() ? moves_[moves_.size() - 1 - i].point : no_point; }

}  // namespace descent::go
