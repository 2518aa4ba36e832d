#include "descent/go/point.h"

#include <charconv>
#include <memory>
#include <mutex>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::go {

namespace {

constexpr std::string_view vertex_letters = "ABCDEFGHJKLMNOPQRSTUVWXYZ";

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool is_pass(std::string_view name) {
  constexpr std::string_view word = "PASS";
  if (name.size() != word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i)
    if (upper(name[i]) != word[i]) return false;
  return true;
}

std::optional<int> number(std::string_view digits) {
  int value = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (problem != std::errc() || end != digits.data() + digits.size() || digits[0] == '-') return std::nullopt;
  return value;
}

std::optional<Point> at(int column, int row, int size) {
  if (column < 0 || column >= size || row < 0 || row >= size) return std::nullopt;
  return static_cast<Point>(row * size + column);
}

int sgf_letter(char c) {
  if (c >= 'a' && c <= 'z') return c - 'a';
  return c >= 'A' && c <= 'Z' ? c - 'A' + 26 : -1;
}

Neighbours on_board(std::array<std::array<int, 2>, 4> places, int size) {
  Neighbours out;
  for (const auto& [column, row] : places)
    if (const auto point = at(column, row, size)) out.points[static_cast<size_t>(out.count++)] = *point;
  return out;
}

Point image_of(int symmetry, int column, int row, int size) {
  if (symmetry & 1) column = size - 1 - column;
  if (symmetry & 2) row = size - 1 - row;
  if (symmetry & 4) std::swap(column, row);
  return static_cast<Point>(row * size + column);
}

std::unique_ptr<const Geometry> make_geometry(int size) {
  auto out = std::make_unique<Geometry>();
  out->size = size;
  out->area = size * size;
  for (int row = 0; row < size; ++row)
    for (int column = 0; column < size; ++column) {
      const auto p = static_cast<size_t>(row * size + column);
      out->neighbours[p] =
          on_board({{{column, row - 1}, {column - 1, row}, {column + 1, row}, {column, row + 1}}}, size);
      out->diagonals[p] = on_board(
          {{{column - 1, row - 1}, {column + 1, row - 1}, {column - 1, row + 1}, {column + 1, row + 1}}}, size);
      for (int s = 0; s < symmetries; ++s) out->image[static_cast<size_t>(s)][p] = image_of(s, column, row, size);
    }
  return out;
}

}  // namespace

std::string to_text(Color color) { return color == Color::black ? "black" : color == Color::white ? "white" : "empty"; }

std::string vertex_name(Point point, int size) {
  if (point < 0) return "pass";
  return text(vertex_letters[static_cast<size_t>(point % size)], size - point / size);
}

std::string column_row_name(Point point, int size) {
  return point < 0 ? "pass" : text(point % size + 1, "-", point / size + 1);
}

std::string sgf_name(Point point, int size) {
  if (point < 0) return "";
  return {static_cast<char>('a' + point % size), static_cast<char>('a' + point / size)};
}

std::optional<Point> point_from_vertex(std::string_view name, int size) {
  if (is_pass(name)) return pass;
  if (name.size() < 2 || name.size() > 3) return std::nullopt;
  const size_t column = vertex_letters.find(upper(name[0]));
  const std::optional<int> row = number(name.substr(1));
  if (column == vertex_letters.npos || !row) return std::nullopt;
  return at(static_cast<int>(column), size - *row, size);
}

std::optional<Point> point_from_column_row(std::string_view name, int size) {
  if (is_pass(name)) return pass;
  const size_t dash = name.find('-');
  if (dash == 0 || dash == name.npos || dash + 1 == name.size()) return std::nullopt;
  const std::optional<int> column = number(name.substr(0, dash)), row = number(name.substr(dash + 1));
  if (!column || !row) return std::nullopt;
  return at(*column - 1, *row - 1, size);
}

std::optional<Point> board_point_from_sgf(std::string_view name, int size) {
  if (name.size() != 2) return std::nullopt;
  return at(sgf_letter(name[0]), sgf_letter(name[1]), size);
}

std::optional<Point> point_from_sgf(std::string_view name, int size) {
  if (name.empty() || (name == "tt" && size <= 19)) return pass;
  return board_point_from_sgf(name, size);
}

const Geometry& geometry(int size) {
  static std::array<std::unique_ptr<const Geometry>, max_size + 1> known;
  static std::array<std::once_flag, max_size + 1> made;
  if (size < min_size || size > max_size)
    fail(text("a board of size ", size, " is not of size ", min_size, " to ", max_size));
  const auto i = static_cast<size_t>(size);
  std::call_once(made[i], [i] { known[i] = make_geometry(static_cast<int>(i)); });
  return *known[i];
}

Point transformed(Point point, int symmetry, int size) {
  return point < 0 ? point : geometry(size).image[static_cast<size_t>(symmetry)][static_cast<size_t>(point)];
}

}  // namespace descent::go
