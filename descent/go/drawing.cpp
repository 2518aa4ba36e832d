#include "descent/go/drawing.h"

#include <algorithm>
#include <cstdio>

#include "descent/base/text.h"
#include "descent/go/handicap.h"

namespace descent::go {

namespace {

std::string letters(int size) {
  std::string out = "   ";
  for (Point column = 0; column < size; ++column) out += text(" ", vertex_name(column, size)[0]);
  return out + "\n";
}

std::string padded(std::string word, size_t width) {
  word.resize(std::max(width, word.size()), ' ');
  return word;
}

// What each point shows.
std::string glyphs(const Board& board, std::span<const Candidate> candidates) {
  std::string out(static_cast<size_t>(board.area()), '.');
  for (const Point p : star_points(board.size())) out[static_cast<size_t>(p)] = '+';
  for (Point p = 0; p < board.area(); ++p)
    if (board.at(p) != Color::empty) out[static_cast<size_t>(p)] = board.at(p) == Color::black ? 'X' : 'O';
  for (size_t i = 0; i < std::min<size_t>(candidates.size(), 9); ++i)
    if (candidates[i].point >= 0) out[static_cast<size_t>(candidates[i].point)] = static_cast<char>('1' + i);
  return out;
}

}  // namespace

std::vector<Candidate> best_moves(const Board& board, Color color, std::span<const float> policy, size_t count) {
  std::vector<Point> legal;
  board.legal_points(color, legal);
  legal.push_back(pass);
  std::vector<Candidate> out;
  double sum = 0;
  for (const Point p : legal) {
    const double share = policy[static_cast<size_t>(p == pass ? board.area() : p)];
    out.push_back({p, share});
    sum += share;
  }
  std::ranges::stable_sort(out, std::ranges::greater(), &Candidate::probability);
  out.resize(std::min(count, out.size()));
  for (Candidate& move : out) move.probability = sum > 0 ? move.probability / sum : 0;
  return out;
}

std::string drawn(const Board& board, Point last, std::span<const Candidate> candidates) {
  const int size = board.size();
  const std::string points = glyphs(board, candidates);
  std::string out = letters(size);
  for (int row = 0; row < size; ++row) {
    const std::string number = text(size - row);
    out += text(number.size() < 2 ? " " : "", number, " ");
    bool closed = false;  // a parenthesis stands where the next space would
    for (int column = 0; column < size; ++column) {
      const int p = row * size + column;
      const bool is_last = p == last;
      out += text(is_last ? '(' : closed ? ')' : ' ', points[static_cast<size_t>(p)]);
      closed = is_last;
    }
    out += text(closed ? ")" : " ", size - row, "\n");
  }
  return out + letters(size);
}

std::string listed(std::span<const Candidate> candidates, int size) {
  std::string out;
  for (size_t i = 0; i < candidates.size(); ++i) {
    char share[32];
    std::snprintf(share, sizeof share, "%5.1f%%", 100 * candidates[i].probability);
    out += text(i + 1, "  ", padded(vertex_name(candidates[i].point, size), 5),
                padded(column_row_name(candidates[i].point, size), 6), share, "\n");
  }
  return out;
}

}  // namespace descent::go
