// The points of a Go board: colours, names, neighbours and the eight symmetries.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace descent::go {

inline constexpr int min_size = 2, max_size = 25, max_area = max_size * max_size;

enum class Color : uint8_t { empty, black, white };

constexpr Color opponent(Color color) {
  return color == Color::black ? Color::white : color == Color::white ? Color::black : Color::empty;
}

std::string to_text(Color color);  // "black", "white", "empty"

// Row-major from the upper left corner, as SGF and images count: row * size + column.
using Point = int16_t;
inline constexpr Point pass = -1, no_point = -2;

struct Move {
  Color color = Color::black;
  Point point = pass;
  friend bool operator==(const Move&, const Move&) = default;
};

// Three ways to name a point. "Q16": a letter (without I) from the left and the row from below, as GTP and most books
// write. "16-4": column from the left and row from the top. "pd": SGF's letters for the same. A pass is "pass", "pass"
// and "".
std::string vertex_name(Point point, int size);
std::string column_row_name(Point point, int size);
std::string sgf_name(Point point, int size);

// What a name means on a board of that size; nothing if it is none. Letters of vertices may be small.
std::optional<Point> point_from_vertex(std::string_view name, int size);
std::optional<Point> point_from_column_row(std::string_view name, int size);

// "tt" is a pass on boards up to 19 (FF[3]).
std::optional<Point> point_from_sgf(std::string_view name, int size);

// "" is no pass here, unlike in point_from_sgf: it names a point of the board or nothing.
std::optional<Point> board_point_from_sgf(std::string_view name, int size);

// A point's neighbours: along the lines, or diagonally.
struct Neighbours {
  std::array<Point, 4> points{};
  int count = 0;
  const Point* begin() const { return points.data(); }
  const Point* end() const { return points.data() + count; }
};

inline constexpr int symmetries = 8;

// Symmetry s reverses the columns if bit 0 of s is set, then the rows if bit 1 is, then exchanges rows and columns if
// bit 2 is. 0 changes nothing.
constexpr int inverse_symmetry(int s) { return s < 4 ? s : 4 | (s & 1) << 1 | (s & 2) >> 1; }

// What depends on the size alone.
struct Geometry {
  int size = 0, area = 0;
  std::array<Neighbours, max_area> neighbours, diagonals;
  std::array<std::array<Point, max_area>, symmetries> image;  // image[s][p]: where symmetry s takes point p
};

// Computed once a size. Fails if the size is not 2 to 25.
const Geometry& geometry(int size);

// image[symmetry][point], where a pass stays one.
Point transformed(Point point, int symmetry, int size);

}  // namespace descent::go
