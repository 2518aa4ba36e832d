// The rules of Go: stones, groups, captures, suicide, ko and superko.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "descent/go/point.h"

namespace descent::go {

struct Rules {
  double komi = 7.5;               // points that White gets
  bool suicide = false;            // permits the suicide of two stones or more; one stone alone would change nothing
  bool positional_superko = true;  // no move may make the board as it was at any time before; else the simple ko rule
};

// Why a move may not be played, if so.
enum class Legality : uint8_t { legal, occupied, suicide, ko, superko };
std::string to_text(Legality legality);  // "legal", "the point is occupied" ...

// A position that moves are played on. Groups are kept in rings with exact counts of their liberties, so that a move
// costs little more than the groups it joins. A copy is some 6 KB.
class Board {
 public:
  explicit Board(int size = 19, Rules rules = {});  // empty; fails if the size is not 2 to 25

  int size() const { return geometry_->size; }
  int area() const { return geometry_->area; }
  const Geometry& geometry() const { return *geometry_; }
  const Rules& rules() const { return rules_; }
  void set_komi(double komi) { rules_.komi = komi; }

  Color at(Point point) const { return stones_[index(point)]; }
  std::span<const Color> stones() const { return {stones_.data(), static_cast<size_t>(area())}; }

  // Of the group at a stone.
  int liberties(Point stone) const { return liberties_[index(head_[index(stone)])]; }
  int group_size(Point stone) const { return counts_[index(head_[index(stone)])]; }
  std::vector<Point> group(Point stone) const;  // from `stone` on, in no special order

  int captured(Color color) const { return captured_[static_cast<size_t>(color)]; }  // stones of that colour taken
  Point ko() const { return ko_; }         // where the opponent of the last mover may not retake; no_point if nowhere
  uint64_t hash() const { return hash_; }  // of the stones alone (Zobrist 1970)

  // A pass is always legal. `point` must be on the board or a pass.
  Legality legality(Color color, Point point) const;
  bool is_legal(Color color, Point point) const { return legality(color, point) == Legality::legal; }
  void legal_points(Color color, std::vector<Point>& out) const;  // ascending, without the pass

  // Plays a legal move, and returns the number of stones it takes from the opponent; fails naming the rule if it is
  // not. Either colour may move at any time.
  int play(Color color, Point point);
  bool try_play(Color color, Point point);  // false, and nothing changes, if it is not legal

  // Sets a position up: what was played is forgotten. Fails if a group would have no liberty, and then changes nothing.
  void set_up(std::span<const Color> stones);

  // An eye that its owner would be foolish to fill: all neighbours are of that colour, and of the diagonal points at
  // most one (none at the edge) is the opponent's.
  bool is_eye(Color color, Point point) const;

 private:
  static size_t index(Point point) { return static_cast<size_t>(point); }
  const Neighbours& around(Point point) const { return geometry_->neighbours[index(point)]; }

  bool has_liberty_after(Color color, Point point) const;
  uint64_t hash_after(Color color, Point point) const;
  bool was_before(uint64_t hash) const;
  void remember(uint64_t hash);
  int place(Color color, Point point);
  void join(Point stone, Point other);
  int remove_group(Point stone);
  void count_liberties(Point head);
  void rebuild();

  const Geometry* geometry_;
  Rules rules_;
  std::array<Color, max_area> stones_{};
  std::array<Point, max_area> head_{};         // of a stone: the stone that stands for its group
  std::array<Point, max_area> next_{};         // of a stone: the next in the ring of its group
  std::array<int16_t, max_area> liberties_{};  // of a head: its group's
  std::array<int16_t, max_area> counts_{};     // of a head: its group's stones
  std::array<int, 3> captured_{};
  Point ko_ = no_point;
  Color ko_for_ = Color::empty;  // who may not retake
  uint64_t hash_ = 0;
  std::vector<uint64_t> seen_;            // positions before and now, for superko
  std::array<uint64_t, 64> seen_bits_{};  // a Bloom filter of them (one bit each): most questions end here
};

}  // namespace descent::go
