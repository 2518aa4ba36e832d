// Planes from a position. Half of a data thread's work on a sample, so it goes over the points once and writes the few
// bytes of each that are not 0.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/go/position.h"

namespace descent::go {

namespace {

enum Plane : size_t {
  own_stone,
  their_stone,
  empty_point,
  own_liberties,                        // 1, 2, 3, 4 and more
  their_liberties = own_liberties + 4,  // the same
  last_moves = their_liberties + 4,
  ko_point = last_moves + history,
  ones,
  first_line,
  black_to_move,
  komi_level,
  plane_end
};
static_assert(plane_end == planes);

constexpr uint8_t on = 255;

// Half if it is unknown or 0, more if the player to move gets points: 16 points are the whole.
uint8_t komi_value(const Position& position) {
  const double points = position.komi.value_or(0) * (position.to_move == Color::white ? 1 : -1);
  return static_cast<uint8_t>(std::clamp<double>(std::round(128 + 8 * points), 0, 255));
}

size_t index(Point point) { return static_cast<size_t>(point); }

// Collects groups one by one, in memory that it is given once.
class GroupWalk {
 public:
  GroupWalk(const Position& position, const Geometry& board, std::span<uint8_t> out)
      : stones_(position.stones), board_(board), out_(out) {}

  // Gives the group at `first` its number of liberties. A point counts as seen by this group if it carries its mark.
  void count(Point first) {
    ++mark_;
    size_t size = 0, done = 0;
    int liberties = 0;
    const Color color = stones_[index(first)];
    add(first, size);
    while (done < size)
      for (const Point p : board_.neighbours[index(group_[done++])]) {
        if (marks_[index(p)] == mark_) continue;
        if (stones_[index(p)] == color) {
          add(p, size);
        } else if (stones_[index(p)] == Color::empty) {
          marks_[index(p)] = mark_;
          ++liberties;
        }
      }
    const auto shown = static_cast<uint8_t>(std::min(liberties, 4));
    for (size_t i = 0; i < size; ++i) out_[index(group_[i])] = shown;
  }

 private:
  void add(Point point, size_t& size) {
    marks_[index(point)] = mark_;
    group_[size++] = point;
  }

  const std::array<Color, max_area>& stones_;
  const Geometry& board_;
  std::span<uint8_t> out_;
  std::array<Point, max_area> group_;
  std::array<uint16_t, max_area> marks_{};
  uint16_t mark_ = 0;
};

}  // namespace

const std::array<std::string_view, planes> plane_names = {
    "own stones",
    "opponent's stones",
    "empty points",
    "own groups with 1 liberty",
    "own groups with 2 liberties",
    "own groups with 3 liberties",
    "own groups with 4 liberties or more",
    "opponent's groups with 1 liberty",
    "opponent's groups with 2 liberties",
    "opponent's groups with 3 liberties",
    "opponent's groups with 4 liberties or more",
    "last move",
    "move 2 before",
    "move 3 before",
    "move 4 before",
    "move 5 before",
    "move 6 before",
    "move 7 before",
    "move 8 before",
    "ko",
    "ones",
    "first line",
    "Black to move",
    "komi",
};

void find_liberties(const Position& position, std::span<uint8_t> out) {
  const Geometry& board = geometry(position.size);
  std::ranges::fill(out, uint8_t{0});
  GroupWalk walk(position, board, out);
  for (Point p = 0; p < board.area; ++p)
    if (position.stones[index(p)] != Color::empty && out[index(p)] == 0) walk.count(p);
}

void write_planes(const Position& position, int symmetry, std::span<uint8_t> out) {
  const Geometry& board = geometry(position.size);
  if (out.size() != static_cast<size_t>(board.area) * planes || symmetry < 0 || symmetry >= symmetries)
    fail(text("planes of a ", position.size, "x", position.size, " board are ", board.area * planes,
              " bytes in one of ", symmetries, " symmetries; ", out.size(), " bytes and symmetry ", symmetry,
              " were given"));
  std::array<uint8_t, max_area> liberties;
  find_liberties(position, liberties);
  const auto& image = board.image[static_cast<size_t>(symmetry)];

  std::array<uint8_t, planes> common{};  // of every point
  common[ones] = on;
  common[black_to_move] = position.to_move == Color::black ? on : 0;
  common[komi_level] = komi_value(position);
  for (Point p = 0; p < board.area; ++p) {
    uint8_t* const at = out.data() + index(image[index(p)]) * planes;
    std::memcpy(at, common.data(), planes);
    if (board.neighbours[index(p)].count < 4) at[first_line] = on;
    const Color color = position.stones[index(p)];
    if (color == Color::empty) {
      at[empty_point] = on;
      continue;
    }
    const bool own = color == position.to_move;
    at[own ? own_stone : their_stone] = on;
    // A position that was set up by hand may have a group without liberties: it shows as one with 1.
    at[(own ? own_liberties : their_liberties) + std::max<size_t>(liberties[index(p)], 1) - 1] = on;
  }
  if (position.ko >= 0) out[index(image[index(position.ko)]) * planes + ko_point] = on;
  for (size_t i = 0; i < history; ++i)
    if (position.recent[i] >= 0) out[index(image[index(position.recent[i])]) * planes + last_moves + i] = on;
}

}  // namespace descent::go
