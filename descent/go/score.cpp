#include "descent/go/score.h"

#include <algorithm>
#include <cmath>

#include "descent/base/hash.h"

namespace descent::go {

namespace {

size_t index(Point point) { return static_cast<size_t>(point); }

// Walks from an empty point over all that it reaches, and tells whose stones stand around.
Color reached_by(const Geometry& geometry, std::span<const Color> stones, Point from, std::vector<Point>& region,
                 std::array<bool, max_area>& visited) {
  bool black = false, white = false;
  region.assign(1, from);
  visited[index(from)] = true;
  for (size_t i = 0; i < region.size(); ++i)
    for (const Point p : geometry.neighbours[index(region[i])]) {
      black |= stones[index(p)] == Color::black;
      white |= stones[index(p)] == Color::white;
      if (stones[index(p)] != Color::empty || visited[index(p)]) continue;
      visited[index(p)] = true;
      region.push_back(p);
    }
  return black == white ? Color::empty : black ? Color::black : Color::white;
}

// Numbers of one random game.
class Draw {
 public:
  Draw(uint64_t seed, int game) : key_(hash_mix(seed, static_cast<uint64_t>(game))) {}
  int below(int bound) {
    return static_cast<int>(((hash_mix(key_, counter_++) >> 32) * static_cast<uint64_t>(bound)) >> 32);
  }

 private:
  uint64_t key_, counter_ = 0;
};

// The first legal move that fills no own eye, from a random place of `empty` on; a pass if there is none.
Point random_move(const Board& board, Color color, const std::vector<Point>& empty, Draw& draw) {
  const int count = static_cast<int>(empty.size());
  if (count == 0) return pass;
  const int first = draw.below(count);
  for (int i = 0; i < count; ++i) {
    const Point p = empty[static_cast<size_t>((first + i) % count)];
    if (board.is_legal(color, p) && !board.is_eye(color, p)) return p;
  }
  return pass;
}

void find_empty(const Board& board, std::vector<Point>& out) {
  out.clear();
  for (Point p = 0; p < board.area(); ++p)
    if (board.at(p) == Color::empty) out.push_back(p);
}

// To the end, or to where only a repetition can have led.
void play_out(Board& board, Color color, Draw& draw) {
  std::vector<Point> empty;
  find_empty(board, empty);
  int passes = 0;
  for (int moves = 0; passes < 2 && moves < 4 * board.area(); ++moves, color = opponent(color)) {
    const Point move = random_move(board, color, empty, draw);
    passes = move == pass ? passes + 1 : 0;
    if (move == pass) continue;
    if (board.play(color, move) > 0)
      find_empty(board, empty);
    else
      std::erase(empty, move);
  }
}

// The position under the rules that make random games quick: a simple ko is forbidden, suicide too.
Board plain(const Board& board) {
  Board out(board.size(), {.komi = board.rules().komi, .suicide = false, .positional_superko = false});
  out.set_up(board.stones());
  return out;
}

}  // namespace

Area area_of(const Board& board, std::span<const Point> dead) {
  Area out;
  std::copy(board.stones().begin(), board.stones().end(), out.owner.begin());
  for (const Point p : dead) out.owner[index(p)] = Color::empty;
  const std::vector<Color> stones(out.owner.begin(), out.owner.begin() + board.area());
  std::array<bool, max_area> visited{};
  std::vector<Point> region;
  for (Point p = 0; p < board.area(); ++p) {
    if (stones[index(p)] != Color::empty || visited[index(p)]) continue;
    const Color owner = reached_by(board.geometry(), stones, p, region, visited);
    for (const Point q : region) out.owner[index(q)] = owner;
  }
  out.black = static_cast<int>(std::count(out.owner.begin(), out.owner.begin() + board.area(), Color::black));
  out.white = static_cast<int>(std::count(out.owner.begin(), out.owner.begin() + board.area(), Color::white));
  return out;
}

double area_score(const Board& board, std::span<const Point> dead) {
  const Area area = area_of(board, dead);
  return area.black - area.white - board.rules().komi;
}

std::vector<float> ownership(const Board& board, Color to_move, int games, uint64_t seed) {
  std::vector<float> out(static_cast<size_t>(board.area()));
  const Board start = plain(board);
  for (int game = 0; game < games; ++game) {
    Draw draw(seed, game);
    Board end = start;
    play_out(end, to_move, draw);
    const Area area = area_of(end);
    for (size_t p = 0; p < out.size(); ++p)
      out[p] += area.owner[p] == Color::black ? 1.0f : area.owner[p] == Color::white ? -1.0f : 0.0f;
  }
  for (float& value : out) value /= static_cast<float>(std::max(games, 1));
  return out;
}

Status status_of(const Board& board, Color to_move, int games, uint64_t seed) {
  constexpr float dead_below = -0.4f, settled_above = 0.6f;
  const std::vector<float> owned = ownership(board, to_move, games, seed);
  Status out;
  std::array<bool, max_area> judged{};
  for (Point p = 0; p < board.area(); ++p) {
    out.settled &= std::abs(owned[index(p)]) > settled_above;
    if (board.at(p) == Color::empty || judged[index(p)]) continue;
    const std::vector<Point> group = board.group(p);
    float kept = 0;  // by its owner, 1 to -1
    for (const Point q : group) {
      judged[index(q)] = true;
      kept += board.at(p) == Color::black ? owned[index(q)] : -owned[index(q)];
    }
    if (kept / static_cast<float>(group.size()) < dead_below)
      out.dead.insert(out.dead.end(), group.begin(), group.end());
  }
  std::ranges::sort(out.dead);
  return out;
}

}  // namespace descent::go
