#include "descent/go/board.h"

#include <algorithm>
#include <bitset>
#include <utility>

#include "descent/base/error.h"
#include "descent/base/hash.h"
#include "descent/base/text.h"

namespace descent::go {

namespace {

// The word of a stone: independent random bits for each point of each colour.
uint64_t word(Color color, Point point) {
  static const auto words = [] {
    std::array<std::array<uint64_t, max_area>, 3> out{};
    for (size_t c = 1; c < 3; ++c)
      for (size_t p = 0; p < max_area; ++p) out[c][p] = hash_mix(hash_mix(0x676f, c), p);
    return out;
  }();
  return words[static_cast<size_t>(color)][static_cast<size_t>(point)];
}

// The few different groups next to a point, by their heads.
class Heads {
 public:
  bool add(Point head) {
    if (std::find(heads_.begin(), heads_.begin() + count_, head) != heads_.begin() + count_) return false;
    heads_[static_cast<size_t>(count_++)] = head;
    return true;
  }

 private:
  std::array<Point, 4> heads_{};
  int count_ = 0;
};

}  // namespace

std::string to_text(Legality legality) {
  switch (legality) {
    case Legality::legal: return "legal";
    case Legality::occupied: return "the point is occupied";
    case Legality::suicide: return "it would be suicide";
    case Legality::ko: return "it would retake a ko";
    case Legality::superko: return "it would repeat a position";
  }
  return "";
}

Board::Board(int size, Rules rules) : geometry_(&go::geometry(size)), rules_(rules) { remember(hash_); }

std::vector<Point> Board::group(Point stone) const {
  std::vector<Point> out;
  if (at(stone) == Color::empty) return out;
  Point p = stone;
  do {
    out.push_back(p);
    p = next_[index(p)];
  } while (p != stone);
  return out;
}

bool Board::has_liberty_after(Color color, Point point) const {
  for (const Point p : around(point)) {
    if (at(p) == Color::empty) return true;
    if ((liberties(p) > 1) == (at(p) == color)) return true;  // ours with another liberty, or theirs that is taken
  }
  return false;
}

uint64_t Board::hash_after(Color color, Point point) const {
  uint64_t hash = hash_ ^ word(color, point);
  const Color removed = has_liberty_after(color, point) ? opponent(color) : color;  // else a suicide
  if (removed == color) hash ^= word(color, point);
  Heads heads;
  for (const Point p : around(point)) {
    if (at(p) != removed || liberties(p) != 1 || !heads.add(head_[index(p)])) continue;
    Point stone = p;
    do hash ^= word(removed, stone);
    while ((stone = next_[index(stone)]) != p);
  }
  return hash;
}

bool Board::was_before(uint64_t hash) const {
  if (!(seen_bits_[hash >> 58] >> (hash >> 52 & 63) & 1)) return false;
  return std::find(seen_.rbegin(), seen_.rend(), hash) != seen_.rend();
}

void Board::remember(uint64_t hash) {
  if (!rules_.positional_superko) return;
  seen_.push_back(hash);
  seen_bits_[hash >> 58] |= uint64_t{1} << (hash >> 52 & 63);
}

Legality Board::legality(Color color, Point point) const {
  if (point == pass) return Legality::legal;
  if (at(point) != Color::empty) return Legality::occupied;
  if (point == ko_ && color == ko_for_) return Legality::ko;
  if (!has_liberty_after(color, point)) {
    const bool alone = std::ranges::none_of(around(point), [&](Point p) { return at(p) == color; });
    if (!rules_.suicide || alone) return Legality::suicide;
  }
  if (rules_.positional_superko && was_before(hash_after(color, point))) return Legality::superko;
  return Legality::legal;
}

void Board::legal_points(Color color, std::vector<Point>& out) const {
  out.clear();
  for (Point p = 0; p < area(); ++p)
    if (is_legal(color, p)) out.push_back(p);
}

int Board::play(Color color, Point point) {
  const Legality verdict = legality(color, point);
  if (verdict != Legality::legal)
    fail(text(to_text(color), " cannot play ", vertex_name(point, size()), ": ", to_text(verdict)));
  return place(color, point);
}

bool Board::try_play(Color color, Point point) {
  if (!is_legal(color, point)) return false;
  place(color, point);
  return true;
}

// A legal move.
int Board::place(Color color, Point point) {
  ko_ = no_point;
  if (point == pass) return 0;
  const size_t i = index(point);
  stones_[i] = color;
  head_[i] = next_[i] = point;
  counts_[i] = 1;
  hash_ ^= word(color, point);
  Heads theirs;
  int taken = 0;
  Point last_taken = no_point;
  for (const Point p : around(point))
    if (at(p) == opponent(color) && theirs.add(head_[index(p)]) && --liberties_[index(head_[index(p)])] == 0) {
      last_taken = p;
      taken += remove_group(p);
    }
  for (const Point p : around(point))
    if (at(p) == color && head_[index(p)] != head_[i]) join(point, p);
  count_liberties(head_[i]);
  if (liberties(point) == 0) captured_[static_cast<size_t>(color)] += remove_group(point);
  captured_[static_cast<size_t>(opponent(color))] += taken;
  if (taken == 1 && counts_[index(head_[i])] == 1 && liberties(point) == 1) {
    ko_ = last_taken;
    ko_for_ = opponent(color);
  }
  remember(hash_);
  return taken;
}

// Merges the groups of two stones; the smaller one's stones get the other head.
void Board::join(Point stone, Point other) {
  Point into = head_[index(stone)], from = head_[index(other)];
  if (counts_[index(into)] < counts_[index(from)]) std::swap(into, from);
  Point p = from;
  do {
    head_[index(p)] = into;
    p = next_[index(p)];
  } while (p != from);
  std::swap(next_[index(into)], next_[index(from)]);
  counts_[index(into)] = static_cast<int16_t>(counts_[index(into)] + counts_[index(from)]);
}

// Takes a group off. The groups around it get the liberties.
int Board::remove_group(Point stone) {
  const Color color = at(stone);
  int count = 0;
  Point p = stone;
  do {
    const Point next = next_[index(p)];
    stones_[index(p)] = Color::empty;
    hash_ ^= word(color, p);
    Heads heads;
    for (const Point q : around(p))
      if (at(q) == opponent(color) && heads.add(head_[index(q)])) ++liberties_[index(head_[index(q)])];
    ++count;
    p = next;
  } while (p != stone);
  return count;
}

void Board::count_liberties(Point head) {
  std::bitset<max_area> counted;
  int16_t liberties = 0;
  Point p = head;
  do {
    for (const Point q : around(p))
      if (at(q) == Color::empty && !counted[index(q)]) {
        counted[index(q)] = true;
        ++liberties;
      }
    p = next_[index(p)];
  } while (p != head);
  liberties_[index(head)] = liberties;
}

// Groups, liberties and hash from the stones.
void Board::rebuild() {
  hash_ = 0;
  for (Point p = 0; p < area(); ++p) {
    head_[index(p)] = next_[index(p)] = p;
    counts_[index(p)] = 1;
    if (at(p) != Color::empty) hash_ ^= word(at(p), p);
  }
  for (Point p = 0; p < area(); ++p)
    for (const Point q : around(p))
      if (at(p) != Color::empty && at(q) == at(p) && head_[index(q)] != head_[index(p)]) join(p, q);
  for (Point p = 0; p < area(); ++p)
    if (at(p) != Color::empty && head_[index(p)] == p) count_liberties(p);
}

void Board::set_up(std::span<const Color> stones) {
  if (static_cast<int>(stones.size()) != area())
    fail(text("a board of size ", size(), " has ", area(), " points, but ", stones.size(), " were given"));
  Board fresh(size(), rules_);
  std::ranges::copy(stones, fresh.stones_.begin());
  fresh.rebuild();
  for (Point p = 0; p < area(); ++p)
    if (fresh.at(p) != Color::empty && fresh.liberties(p) == 0)
      fail(text("the position has a group without liberties at ", vertex_name(p, size())));
  fresh.seen_.clear();
  fresh.seen_bits_ = {};
  fresh.remember(fresh.hash_);
  *this = std::move(fresh);
}

bool Board::is_eye(Color color, Point point) const {
  if (at(point) != Color::empty) return false;
  for (const Point p : around(point))
    if (at(p) != color) return false;
  const Neighbours& corners = geometry_->diagonals[index(point)];
  const auto theirs = std::ranges::count_if(corners, [&](Point p) { return at(p) == opponent(color); });
  return corners.count < 4 ? theirs == 0 : theirs <= 1;
}

}  // namespace descent::go
