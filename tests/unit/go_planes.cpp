#include <chrono>
#include <set>

#include "descent/go/position.h"
#include "go_testing.h"

namespace descent::go {
namespace {

std::vector<uint8_t> planes_of(const Position& position, int symmetry = 0) {
  std::vector<uint8_t> out(static_cast<size_t>(position.size * position.size) * planes, 77);
  write_planes(position, symmetry, out);
  return out;
}

size_t plane(std::string_view name) {
  for (size_t i = 0; i < plane_names.size(); ++i)
    if (plane_names[i] == name) return i;
  throw std::runtime_error("no plane: " + std::string(name));
}

// The points where a plane is on.
std::set<Point> points(const std::vector<uint8_t>& planes_, std::string_view name) {
  std::set<Point> out;
  for (size_t p = 0; p * planes < planes_.size(); ++p)
    if (planes_[p * planes + plane(name)] != 0) out.insert(static_cast<Point>(p));
  return out;
}

// From the board's own counts, plane by plane.
std::vector<uint8_t> expected(const Game& game, Color to_move) {
  const Board& board = game.board();
  std::vector<uint8_t> out(static_cast<size_t>(board.area()) * planes);
  const auto set = [&](Point p, size_t i, int value = 255) {
    out[static_cast<size_t>(p) * planes + i] = static_cast<uint8_t>(value);
  };
  for (Point p = 0; p < board.area(); ++p) {
    const bool own = board.at(p) == to_move;
    set(p, board.at(p) == Color::empty ? 2 : own ? 0 : 1);
    if (board.at(p) != Color::empty) set(p, (own ? 3 : 7) + static_cast<size_t>(std::min(board.liberties(p), 4)) - 1);
    set(p, 20);
    const int x = p % board.size(), y = p / board.size(), last = board.size() - 1;
    if (x == 0 || y == 0 || x == last || y == last) set(p, 21);
    if (to_move == Color::black) set(p, 22);
    set(p, 23, static_cast<int>(std::round(128 + 8 * (to_move == Color::black ? -7.5 : 7.5))));
  }
  for (size_t i = 0; i < 8; ++i)
    if (game.recent(i) >= 0) set(game.recent(i), 11 + i);
  if (board.ko() >= 0 && game.to_move() == to_move) set(board.ko(), 19);
  return out;
}

TEST(GoPlanes, AreWhatTheBoardSays) {
  for (const int size : {2, 5, 9, 19, 25}) {
    std::mt19937 draw(static_cast<unsigned>(size));
    Game game(size);
    for (int i = 0; i < 300; ++i) {
      game.play({game.to_move(), random_move(game.board(), game.to_move(), draw)});
      const Color to_move = i % 7 == 0 ? opponent(game.to_move()) : game.to_move();
      const Position position(game, to_move, 7.5);
      ASSERT_EQ(planes_of(position), expected(game, to_move)) << size << ", move " << i;
    }
  }
}

TEST(GoPlanes, ShowOnePositionByName) {
  Game game = game_of(R"(. . . . .
                         . X O . .
                         X . X O .
                         . X O . .
                         . . . . .)");
  game.play({Color::white, at("B3", 5)});
  const std::vector<uint8_t> planes_ = planes_of(Position(game));
  const auto expect = [&](std::string_view name, std::vector<std::string_view> vertices) {
    std::set<Point> wanted;
    for (const std::string_view vertex : vertices) wanted.insert(at(vertex, 5));
    EXPECT_EQ(points(planes_, name), wanted) << name;
  };
  expect("own stones", {"B4", "A3", "B2"});
  expect("ko", {"C3"});
  expect("last move", {"B3"});
  expect("own groups with 2 liberties", {"A3", "B4", "B2"});
  expect("opponent's groups with 1 liberty", {"B3"});
  expect("opponent's groups with 3 liberties", {"C4", "C2"});
  expect("opponent's groups with 4 liberties or more", {"D3"});
  expect("move 2 before", {});
}

TEST(GoPlanes, TurnWithTheBoard) {
  const Game game = random_game(9, {}, 11, 60);
  const std::vector<uint8_t> upright = planes_of(Position(game));
  for (int s = 0; s < symmetries; ++s) {
    const std::vector<uint8_t> turned = planes_of(Position(game), s);
    for (Point p = 0; p < 81; ++p)
      for (size_t i = 0; i < planes; ++i)
        ASSERT_EQ(turned[static_cast<size_t>(transformed(p, s, 9)) * planes + i],
                  upright[static_cast<size_t>(p) * planes + i]);
  }
}

TEST(GoPlanes, RefuseAWrongPlace) {
  std::vector<uint8_t> out(100);
  EXPECT_EQ(error_of([&] { write_planes(Position(Game(9)), 0, out); }),
            "planes of a 9x9 board are 1944 bytes in one of 8 symmetries; 100 bytes and symmetry 0 were given");
}

TEST(GoPosition, PacksAndUnpacks) {
  EXPECT_EQ(packed_bytes(19), 112u);
  for (const int size : {2, 9, 13, 19, 25})
    for (unsigned seed = 0; seed < 20; ++seed) {
      const Game game = random_game(size, {}, seed, static_cast<int>(10 * seed));
      const std::optional<double> komi = seed % 3 == 0 ? std::nullopt : std::optional(static_cast<double>(seed) - 7.5);
      const Position position(game, seed % 2 ? Color::black : Color::white, komi);
      std::vector<std::byte> bytes(packed_bytes(size));
      pack(position, bytes);
      EXPECT_EQ(unpack(bytes), position);
    }
}

TEST(GoPosition, RefusesBytesThatAreNone) {
  std::vector<std::byte> bytes(packed_bytes(9));
  pack(Position(Game(9)), bytes);
  const auto changed = [&](size_t i, int value) {
    std::vector<std::byte> out = bytes;
    out[i] = static_cast<std::byte>(value);
    return error_of([&] { unpack(out); });
  };
  EXPECT_EQ(changed(0, 10), "these 42 bytes are no packed position") << "another size";
  EXPECT_EQ(changed(0, 0), "these 42 bytes are no packed position");
  EXPECT_EQ(changed(1, 3), "these 42 bytes are no packed position") << "no player";
  EXPECT_EQ(changed(3, 81), "these 42 bytes are no packed position") << "ko beyond the board";
  EXPECT_EQ(changed(bytes.size() - 2, 3), "a packed position has a stone of no colour");
  EXPECT_EQ(error_of([&] { unpack({}); }), "these 0 bytes are no packed position");
  EXPECT_EQ(error_of([&] { pack(Position(Game(9)), std::span(bytes).first(5)); }),
            "a position of size 9 packs to 42 bytes, not 5");
}

TEST(GoPosition, AKoIsOfThePlayerWhoMayNotRetakeIt) {
  Game game = game_of(R"(. . . . .
                         . X O . .
                         X . X O .
                         . X O . .
                         . . . . .)");
  game.play({Color::white, at("B3", 5)});
  EXPECT_EQ(Position(game).ko, at("C3", 5));
  EXPECT_EQ(Position(game, Color::white, 0).ko, no_point);
}

}  // namespace
}  // namespace descent::go
