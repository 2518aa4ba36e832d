#include "descent/go/position.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::go {

namespace {

constexpr int komi_zero = 128;  // the code of a komi of 0; 0 stands for an unknown one

// The packed form's first bytes; the stones follow, four a byte.
struct Header {
  uint8_t size, to_move, komi;
  std::array<uint8_t, 2> ko;
  std::array<std::array<uint8_t, 2>, history> recent;
};
static_assert(sizeof(Header) == 5 + 2 * history && alignof(Header) == 1);

std::array<uint8_t, 2> two_bytes(Point point) {
  const auto bits = static_cast<uint16_t>(point);
  return {static_cast<uint8_t>(bits), static_cast<uint8_t>(bits >> 8)};
}

Point point_of(std::array<uint8_t, 2> bytes) { return static_cast<Point>(bytes[0] | bytes[1] << 8); }

uint8_t komi_code(std::optional<double> komi) {
  if (!komi) return 0;
  return static_cast<uint8_t>(std::clamp<double>(std::round(2 * *komi) + komi_zero, 1, 255));
}

bool is_sound(const Header& header, size_t bytes) {
  if (header.size < min_size || header.size > max_size || bytes != packed_bytes(header.size)) return false;
  const int area = header.size * header.size;
  const auto on_board = [&](std::array<uint8_t, 2> p) { return point_of(p) >= no_point && point_of(p) < area; };
  return (header.to_move == 1 || header.to_move == 2) && on_board(header.ko) &&
         std::ranges::all_of(header.recent, on_board);
}

}  // namespace

Position::Position(const Game& game, Color color, std::optional<double> komi_points)
    : size(game.size()), to_move(color), komi(komi_points), ko(game.board().ko()) {
  if (game.moves().empty() || game.moves().back().color == color) ko = no_point;
  for (size_t i = 0; i < history; ++i) recent[i] = game.recent(i);
  std::ranges::copy(game.board().stones(), stones.begin());
}

size_t packed_bytes(int size) { return sizeof(Header) + static_cast<size_t>(size * size + 3) / 4; }

void pack(const Position& position, std::span<std::byte> out) {
  if (out.size() != packed_bytes(position.size))
    fail(text("a position of size ", position.size, " packs to ", packed_bytes(position.size), " bytes, not ",
              out.size()));
  Header header{static_cast<uint8_t>(position.size),
                static_cast<uint8_t>(position.to_move),
                komi_code(position.komi),
                two_bytes(position.ko),
                {}};
  std::ranges::transform(position.recent, header.recent.begin(), two_bytes);
  std::memcpy(out.data(), &header, sizeof header);
  const std::span<std::byte> stones = out.subspan(sizeof header);
  std::ranges::fill(stones, std::byte{0});
  for (size_t p = 0; p < static_cast<size_t>(position.size * position.size); ++p)
    stones[p / 4] |= static_cast<std::byte>(static_cast<unsigned>(position.stones[p]) << p % 4 * 2);
}

Position unpack(std::span<const std::byte> bytes) {
  Header header{};
  if (bytes.size() >= sizeof header) std::memcpy(&header, bytes.data(), sizeof header);
  if (!is_sound(header, bytes.size())) fail(text("these ", bytes.size(), " bytes are no packed position"));
  Position out;
  out.size = header.size;
  out.to_move = static_cast<Color>(header.to_move);
  if (header.komi != 0) out.komi = (header.komi - komi_zero) / 2.0;
  out.ko = point_of(header.ko);
  std::ranges::transform(header.recent, out.recent.begin(), point_of);
  const std::span<const std::byte> stones = bytes.subspan(sizeof header);
  for (size_t p = 0; p < static_cast<size_t>(out.size * out.size); ++p) {
    const unsigned color = std::to_integer<unsigned>(stones[p / 4]) >> p % 4 * 2 & 3;
    if (color == 3) fail("a packed position has a stone of no colour");
    out.stones[p] = static_cast<Color>(color);
  }
  return out;
}

}  // namespace descent::go
