// A position as a net is asked about it, its compact form, and the planes that are computed from it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "descent/go/game.h"

namespace descent::go {

inline constexpr size_t history = 8;  // moves that a position remembers

// Stones, who is to move, and the little of the past that matters.
struct Position {
  int size = 19;
  Color to_move = Color::black;
  std::optional<double> komi;         // White's points, if they are known
  Point ko = no_point;                // where the player to move may not retake
  std::array<Point, history> recent;  // the last moves, the last one first; no_point where there was none
  std::array<Color, max_area> stones{};

  Position() { recent.fill(no_point); }
  Position(const Game& game, Color to_move, std::optional<double> komi);
  explicit Position(const Game& game) : Position(game, game.to_move(), game.board().rules().komi) {}

  friend bool operator==(const Position&, const Position&) = default;
};

// Packed: the size, flags, komi in half points, ko, the last moves, and two bits a point.
size_t packed_bytes(int size);  // 111 for 19x19
void pack(const Position& position, std::span<std::byte> out);

// Fails if the bytes are no packed position.
Position unpack(std::span<const std::byte> bytes);

// The planes, channels last: u8 [size, size, planes], each value 0 to 255 for 0 to 1. After Clark and Storkey 2015
// (arXiv:1412.3409), Maddison et al. 2015 (arXiv:1412.6564) and Tian and Zhu 2016 (arXiv:1511.06410): stones, liberties
// of groups and the last moves, all from the view of the player to move. The plane of ones tells the board from what
// a convolution pads it with.
inline constexpr int planes = 24;
extern const std::array<std::string_view, planes> plane_names;

// Of the position as symmetry `symmetry` of point.h shows it. Allocates nothing; some microseconds on 19x19.
void write_planes(const Position& position, int symmetry, std::span<uint8_t> out);

// Liberties of the group at each stone, 4 standing for 4 and more; 0 where there is none.
void find_liberties(const Position& position, std::span<uint8_t> out);

}  // namespace descent::go
