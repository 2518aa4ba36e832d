// What the tests of Go share: boards as pictures, and a player of random moves.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "descent/base/error.h"
#include "descent/go/game.h"

namespace descent::go {

// What() of the Error that `act` throws; a failure of the test if it throws none.
template <class Act>
std::string error_of(Act act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

// Stones of a picture: X black, O white, anything else but blanks and line ends empty.
inline std::vector<Color> stones_of(std::string_view picture) {
  std::vector<Color> out;
  for (const char c : picture)
    if (c != ' ' && c != '\n') out.push_back(c == 'X' ? Color::black : c == 'O' ? Color::white : Color::empty);
  return out;
}

inline int size_of(const std::vector<Color>& stones) {
  return static_cast<int>(std::lround(std::sqrt(static_cast<double>(stones.size()))));
}

inline Board board_of(std::string_view picture, Rules rules = {}) {
  const std::vector<Color> stones = stones_of(picture);
  Board out(size_of(stones), rules);
  out.set_up(stones);
  return out;
}

inline Game game_of(std::string_view picture, Rules rules = {}) {
  const std::vector<Color> stones = stones_of(picture);
  Game out(size_of(stones), rules);
  out.set_up(stones);
  return out;
}

// The position as board_of() takes it, without blanks.
inline std::string picture_of(const Board& board) {
  std::string out;
  for (Point p = 0; p < board.area(); ++p) {
    out += board.at(p) == Color::black ? 'X' : board.at(p) == Color::white ? 'O' : '.';
    if ((p + 1) % board.size() == 0) out += '\n';
  }
  return out;
}

inline Point at(std::string_view vertex, int size) {
  const std::optional<Point> point = point_from_vertex(vertex, size);
  if (!point) throw std::runtime_error("no vertex: " + std::string(vertex));
  return *point;
}

// A legal move at random, an eye filled now and then, a pass rarely or where nothing else is legal.
inline Point random_move(const Board& board, Color color, std::mt19937& draw) {
  std::vector<Point> legal;
  board.legal_points(color, legal);
  if (legal.empty() || draw() % 100 == 0) return pass;
  for (int tries = 0; tries < 5; ++tries) {
    const Point p = legal[draw() % legal.size()];
    if (!board.is_eye(color, p)) return p;
  }
  return draw() % 4 ? pass : legal[draw() % legal.size()];
}

// A game of random moves on an empty board.
inline Game random_game(int size, Rules rules, unsigned seed, int moves) {
  std::mt19937 draw(seed);
  Game out(size, rules);
  for (int i = 0; i < moves; ++i) out.play({out.to_move(), random_move(out.board(), out.to_move(), draw)});
  return out;
}

}  // namespace descent::go
