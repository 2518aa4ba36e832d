#include "descent/go/board.h"

#include <map>
#include <set>

#include "go_testing.h"

namespace descent::go {
namespace {

// The rules as they are written, without anything kept from move to move but the positions.
class PlainBoard {
 public:
  PlainBoard(int size, Rules rules) : size_(size), rules_(rules), stones_(static_cast<size_t>(size * size)) {
    seen_.insert(stones_);
  }

  Legality legality(Color color, Point p) const {
    if (p == pass) return Legality::legal;
    if (stones_[index(p)] != Color::empty) return Legality::occupied;
    if (p == ko_ && color == ko_for_) return Legality::ko;
    const auto [after, taken] = played(color, p);
    const bool suicide = after[index(p)] == Color::empty;
    if (suicide && (!rules_.suicide || stones_ == after)) return Legality::suicide;
    if (rules_.positional_superko && seen_.count(after)) return Legality::superko;
    return Legality::legal;
  }

  int play(Color color, Point p) {
    ko_ = no_point;
    if (p == pass) return 0;
    const std::vector<Color> before = stones_;
    const auto [after, taken] = played(color, p);
    stones_ = after;
    seen_.insert(stones_);
    const auto [group, liberties] = group_at(after, p);
    if (taken == 1 && group.size() == 1 && liberties.size() == 1 && before[index(*liberties.begin())] != Color::empty) {
      ko_ = *liberties.begin();
      ko_for_ = opponent(color);
    }
    return taken;
  }

  const std::vector<Color>& stones() const { return stones_; }
  int liberties(Point p) const { return static_cast<int>(group_at(stones_, p).second.size()); }
  int group_size(Point p) const { return static_cast<int>(group_at(stones_, p).first.size()); }

 private:
  static size_t index(Point p) { return static_cast<size_t>(p); }

  std::vector<Point> around(Point p) const {
    std::vector<Point> out;
    const int x = p % size_, y = p / size_;
    if (x > 0) out.push_back(static_cast<Point>(p - 1));
    if (x + 1 < size_) out.push_back(static_cast<Point>(p + 1));
    if (y > 0) out.push_back(static_cast<Point>(p - size_));
    if (y + 1 < size_) out.push_back(static_cast<Point>(p + size_));
    return out;
  }

  std::pair<std::set<Point>, std::set<Point>> group_at(const std::vector<Color>& stones, Point first) const {
    std::set<Point> group, liberties;
    if (stones[index(first)] == Color::empty) return {};
    std::vector<Point> open{first};
    while (!open.empty()) {
      const Point p = open.back();
      open.pop_back();
      if (!group.insert(p).second) continue;
      for (const Point q : around(p)) {
        if (stones[index(q)] == stones[index(p)]) open.push_back(q);
        if (stones[index(q)] == Color::empty) liberties.insert(q);
      }
    }
    return {group, liberties};
  }

  // The stones after a move, and how many of the opponent's it takes.
  std::pair<std::vector<Color>, int> played(Color color, Point p) const {
    std::vector<Color> after = stones_;
    after[index(p)] = color;
    int taken = 0;
    const auto remove_dead = [&](Color of) {
      for (Point q = 0; q < size_ * size_; ++q) {
        if (after[index(q)] != of) continue;
        const auto [group, liberties] = group_at(after, q);
        if (!liberties.empty()) continue;
        for (const Point r : group) after[index(r)] = Color::empty;
        if (of != color) taken += static_cast<int>(group.size());
      }
    };
    remove_dead(opponent(color));
    remove_dead(color);
    return {after, taken};
  }

  int size_;
  Rules rules_;
  std::vector<Color> stones_;
  std::set<std::vector<Color>> seen_;
  Point ko_ = no_point;
  Color ko_for_ = Color::empty;
};

void expect_equal(const Board& board, const PlainBoard& plain, int move) {
  ASSERT_TRUE(std::ranges::equal(board.stones(), plain.stones())) << "after move " << move;
  for (Point p = 0; p < board.area(); ++p) {
    for (const Color color : {Color::black, Color::white})
      ASSERT_EQ(board.legality(color, p), plain.legality(color, p))
          << to_text(color) << " at " << vertex_name(p, board.size()) << " after move " << move << "\n"
          << picture_of(board);
    if (board.at(p) == Color::empty) continue;
    ASSERT_EQ(board.liberties(p), plain.liberties(p)) << picture_of(board);
    ASSERT_EQ(board.group_size(p), plain.group_size(p));
    ASSERT_EQ(board.group(p).size(), static_cast<size_t>(plain.group_size(p)));
  }
}

// Plays at random on both, and counts what legality() answered.
void compare(int size, Rules rules, unsigned seed, int moves, std::map<Legality, int>& met) {
  std::mt19937 draw(seed);
  Board board(size, rules);
  PlainBoard plain(size, rules);
  Color color = Color::black;
  for (int i = 0; i < moves; ++i, color = opponent(color)) {
    if (draw() % 50 == 0) color = opponent(color);  // twice in a row
    std::vector<Point> legal;
    board.legal_points(color, legal);
    const Point move = legal.empty() ? pass : legal[draw() % legal.size()];
    ASSERT_EQ(board.play(color, move), plain.play(color, move));
    expect_equal(board, plain, i);
    for (Point p = 0; p < board.area(); ++p) ++met[board.legality(opponent(color), p)];  // who moves next
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(GoBoard, FollowsTheRulesAsWritten) {
  std::map<Legality, int> met;
  for (const bool suicide : {false, true})
    for (const bool superko : {false, true}) {
      const Rules rules{.suicide = suicide, .positional_superko = superko};
      for (unsigned seed = 0; seed < 6; ++seed)
        for (const int size : {2, 3, 4, 5}) compare(size, rules, seed, 150, met);
      compare(7, rules, 1, 200, met);
      compare(9, rules, 1, 150, met);
    }
  for (const Legality each : {Legality::legal, Legality::occupied, Legality::suicide, Legality::ko, Legality::superko})
    EXPECT_GT(met[each], 50) << to_text(each);
}

TEST(GoBoard, LargeBoardsFollowThemToo) {
  std::map<Legality, int> met;
  compare(13, {}, 3, 60, met);
  compare(25, {}, 4, 12, met);
}

TEST(GoBoard, TakesGroupsThatShareALiberty) {
  Board board = board_of(R"(. O X .
                            O . O X
                            X O X .
                            . X . .)");
  EXPECT_EQ(board.play(Color::black, at("B3", 4)), 2);
  EXPECT_EQ(picture_of(board), ".OX.\nOX.X\nX.X.\n.X..\n");
}

TEST(GoBoard, AKoMayNotBeRetakenAtOnce) {
  for (const bool superko : {false, true}) {
    Board board = board_of(R"(. X O . .
                              X . X O .
                              . X O . .
                              . . . . .
                              . . . . .)",
                           {.positional_superko = superko});
    EXPECT_EQ(board.play(Color::white, at("B4", 5)), 1);
    EXPECT_EQ(board.ko(), at("C4", 5));
    EXPECT_EQ(board.legality(Color::black, at("C4", 5)), Legality::ko);
    EXPECT_EQ(board.legality(Color::white, at("C4", 5)), Legality::legal) << "White may connect";
    board.play(Color::black, at("A1", 5));
    board.play(Color::white, at("E1", 5));
    EXPECT_EQ(board.play(Color::black, at("C4", 5)), 1) << "after a threat";
  }
}

TEST(GoBoard, PassingDoesNotLiftSuperko) {
  for (const bool superko : {false, true}) {
    Board board = board_of(R"(. X O . .
                              X . X O .
                              . X O . .
                              . . . . .
                              . . . . .)",
                           {.positional_superko = superko});
    board.play(Color::white, at("B4", 5));
    board.play(Color::black, pass);
    board.play(Color::white, pass);
    EXPECT_EQ(board.legality(Color::black, at("C4", 5)), superko ? Legality::superko : Legality::legal);
  }
}

TEST(GoBoard, SuicideNeedsItsRule) {
  const char* const picture = R"(. X O . .
                                 X X O . .
                                 O O . . .
                                 . . . . .
                                 . . . . .)";
  EXPECT_EQ(board_of(picture).legality(Color::black, at("A5", 5)), Legality::suicide);
  Board board = board_of(picture, {.suicide = true});
  EXPECT_EQ(board.play(Color::black, at("A5", 5)), 0);
  EXPECT_EQ(picture_of(board), "..O..\n..O..\nOO...\n.....\n.....\n");
  EXPECT_EQ(board.captured(Color::black), 4);
  board.play(Color::white, at("B5", 5));
  board.play(Color::white, at("B4", 5));
  board.play(Color::white, at("A4", 5));
  EXPECT_EQ(board.legality(Color::black, at("A5", 5)), Legality::suicide) << "one stone alone never";
}

TEST(GoBoard, SaysWhyAMoveIsIllegal) {
  Board board(9);
  board.play(Color::black, at("E5", 9));
  EXPECT_EQ(error_of([&] { board.play(Color::white, at("E5", 9)); }), "white cannot play E5: the point is occupied");
  EXPECT_FALSE(board.try_play(Color::white, at("E5", 9)));
  EXPECT_TRUE(board.try_play(Color::white, at("E4", 9)));
  EXPECT_EQ(error_of([] { Board(26); }), "a board of size 26 is not of size 2 to 25");
  EXPECT_EQ(error_of([] { Board(1); }), "a board of size 1 is not of size 2 to 25");
}

TEST(GoBoard, SetUpRefusesAGroupWithoutLiberties) {
  Board board(3);
  board.play(Color::black, at("B2", 3));
  EXPECT_EQ(error_of([&] { board.set_up(stones_of("XO. O.. ...")); }),
            "the position has a group without liberties at A3");
  EXPECT_EQ(board.at(at("B2", 3)), Color::black) << "nothing changed";
  EXPECT_EQ(error_of([&] { board.set_up(stones_of("XO O.")); }), "a board of size 3 has 9 points, but 4 were given");
}

TEST(GoBoard, TheHashIsOfTheStonesAlone) {
  Board a(9), b(9);
  a.play(Color::black, at("C3", 9));
  a.play(Color::white, at("D4", 9));
  b.play(Color::white, at("D4", 9));
  EXPECT_NE(a.hash(), b.hash());
  b.play(Color::black, at("C3", 9));
  EXPECT_EQ(a.hash(), b.hash());
  b.set_up(std::vector<Color>(81));
  EXPECT_EQ(b.hash(), Board(9).hash());
}

TEST(GoBoard, KnowsEyes) {
  const Board board = board_of(R"(. X . X .
                                  X X X O .
                                  . X . X X
                                  X X X . .
                                  . . . . .)");
  EXPECT_TRUE(board.is_eye(Color::black, at("A5", 5)));
  EXPECT_FALSE(board.is_eye(Color::white, at("A5", 5)));
  EXPECT_TRUE(board.is_eye(Color::black, at("A3", 5)));
  EXPECT_TRUE(board.is_eye(Color::black, at("C3", 5))) << "one diagonal point is White's";
  EXPECT_FALSE(board.is_eye(Color::black, at("C5", 5))) << "one is too many at the edge";
  EXPECT_FALSE(board.is_eye(Color::black, at("B5", 5))) << "a stone";
}

TEST(GoPoint, HasThreeNames) {
  const Point p = at("Q16", 19);
  EXPECT_EQ(p, 3 * 19 + 15);
  EXPECT_EQ(vertex_name(p, 19), "Q16");
  EXPECT_EQ(column_row_name(p, 19), "16-4");
  EXPECT_EQ(sgf_name(p, 19), "pd");
  EXPECT_EQ(vertex_name(pass, 19), "pass");
  EXPECT_EQ(column_row_name(pass, 19), "pass");
  EXPECT_EQ(sgf_name(pass, 19), "");
  EXPECT_EQ(vertex_name(7, 9), "H9");
  EXPECT_EQ(vertex_name(8, 9), "J9") << "there is no I";
  for (const int size : {2, 9, 13, 19, 25})
    for (Point each = pass; each < size * size; ++each) {
      EXPECT_EQ(point_from_vertex(vertex_name(each, size), size), each);
      EXPECT_EQ(point_from_column_row(column_row_name(each, size), size), each);
      EXPECT_EQ(point_from_sgf(sgf_name(each, size), size), each);
    }
  EXPECT_EQ(point_from_vertex("q16", 19), p);
  EXPECT_EQ(point_from_vertex("PaSs", 19), pass);
  EXPECT_EQ(point_from_sgf("tt", 19), pass);
  EXPECT_EQ(point_from_sgf("tt", 25), 19 * 25 + 19);
  EXPECT_EQ(board_point_from_sgf("tt", 19), std::nullopt);
}

TEST(GoPoint, RefusesWhatIsNoName) {
  for (const char* name :
       {"", "Q", "16", "I5", "Q0", "Q20", "Q-1", "Q+1", "QQ1", "Q1.", "Q 1", "U1", "A100", "resign", "A01 "})
    EXPECT_EQ(point_from_vertex(name, 19), std::nullopt) << name;
  for (const char* name : {"", "-", "5-", "-5", "5--5", "0-1", "1-20", "a-b", "5-5-5", "99999999999-1"})
    EXPECT_EQ(point_from_column_row(name, 19), std::nullopt) << name;
  for (const char* name : {"a", "abc", "ta", "A1", "[]", "aZ"})
    EXPECT_EQ(point_from_sgf(name, 19), std::nullopt) << name;
}

TEST(GoPoint, SymmetriesAreAGroup) {
  for (const int size : {2, 5, 19}) {
    std::set<std::vector<Point>> images;
    for (int s = 0; s < symmetries; ++s) {
      const Geometry& board = geometry(size);
      std::vector<Point> image;
      for (Point p = 0; p < size * size; ++p) {
        image.push_back(transformed(p, s, size));
        EXPECT_EQ(transformed(image.back(), inverse_symmetry(s), size), p);
        std::set<Point> beside, image_beside;
        for (const Point q : board.neighbours[static_cast<size_t>(p)]) image_beside.insert(transformed(q, s, size));
        for (const Point q : board.neighbours[static_cast<size_t>(image.back())]) beside.insert(q);
        EXPECT_EQ(beside, image_beside) << "neighbours stay neighbours";
      }
      images.insert(image);
      EXPECT_EQ(transformed(pass, s, size), pass);
    }
    EXPECT_EQ(images.size(), 8u);
  }
  EXPECT_EQ(transformed(at("A9", 9), 1, 9), at("J9", 9));
  EXPECT_EQ(transformed(at("B9", 9), 2, 9), at("B1", 9));
  EXPECT_EQ(transformed(at("B9", 9), 4, 9), at("A8", 9));
}

TEST(GoGame, MovesCanBeTakenBack) {
  const Game game = random_game(9, {}, 5, 120);
  Game again(9);
  std::vector<std::string> pictures{picture_of(again.board())};
  for (const Move& move : game.moves()) {
    again.play(move);
    pictures.push_back(picture_of(again.board()));
  }
  while (true) {
    EXPECT_EQ(picture_of(again.board()), pictures.back());
    pictures.pop_back();
    if (!again.undo()) break;
  }
  EXPECT_TRUE(pictures.empty());
}

TEST(GoGame, KnowsWhoMovesAndWhenItIsOver) {
  Game game(9);
  EXPECT_EQ(game.to_move(), Color::black);
  game.place_handicap(std::vector<Point>{at("C3", 9), at("G7", 9)});
  EXPECT_EQ(game.to_move(), Color::white);
  game.play({Color::white, pass});
  EXPECT_FALSE(game.is_over());
  game.play({Color::black, pass});
  EXPECT_TRUE(game.is_over());
  EXPECT_EQ(game.recent(0), pass);
  EXPECT_EQ(game.recent(2), no_point);
  game.undo();
  EXPECT_FALSE(game.is_over());
  EXPECT_EQ(game.board().at(at("C3", 9)), Color::black) << "handicap stones stay";
  EXPECT_EQ(error_of([&] { game.place_handicap(std::vector<Point>{at("C3", 9)}); }),
            "a handicap stone at C3: the point is occupied");
}

}  // namespace
}  // namespace descent::go
