#include "descent/go/drawing.h"

#include <sstream>

#include "descent/go/handicap.h"
#include "go_testing.h"

namespace descent::go {
namespace {

TEST(GoDrawing, ShowsStonesStarsAndTheLastMove) {
  Game game(9);
  game.play({Color::black, at("E5", 9)});
  game.play({Color::white, at("J9", 9)});
  game.play({Color::black, at("A1", 9)});
  EXPECT_EQ(drawn(game.board(), at("E5", 9)),
            "    A B C D E F G H J\n"
            " 9  . . . . . . . . O 9\n"
            " 8  . . . . . . . . . 8\n"
            " 7  . . + . . . + . . 7\n"
            " 6  . . . . . . . . . 6\n"
            " 5  . . . .(X). . . . 5\n"
            " 4  . . . . . . . . . 4\n"
            " 3  . . + . . . + . . 3\n"
            " 2  . . . . . . . . . 2\n"
            " 1  X . . . . . . . . 1\n"
            "    A B C D E F G H J\n");
  EXPECT_NE(drawn(game.board(), at("J9", 9)).find(". .(O)9\n"), std::string::npos);
  EXPECT_NE(drawn(game.board(), pass).find(" 5  . . . . X . . . . 5\n"), std::string::npos);
}

TEST(GoDrawing, NumbersTheCandidates) {
  Game game(19);
  game.play({Color::black, at("Q16", 19)});
  std::vector<float> policy(362);
  policy[static_cast<size_t>(at("D4", 19))] = 0.3f;
  policy[static_cast<size_t>(at("Q4", 19))] = 0.15f;
  policy[static_cast<size_t>(at("Q16", 19))] = 0.5f;  // not legal
  policy[361] = 0.05f;
  const std::vector<Candidate> best = best_moves(game.board(), Color::white, policy, 3);
  ASSERT_EQ(best.size(), 3u);
  EXPECT_EQ(best[0].point, at("D4", 19));
  EXPECT_NEAR(best[0].probability, 0.6, 1e-6) << "of what is legal";
  EXPECT_EQ(best[2].point, pass);
  const std::string board = drawn(game.board(), game.recent(0), best);
  EXPECT_NE(board.find("16  . . . + . . . . . + . . . . .(X). . . 16\n"), std::string::npos) << board;
  EXPECT_NE(board.find(" 4  . . . 1 . . . . . + . . . . . 2 . . . 4\n"), std::string::npos) << board;
  EXPECT_EQ(listed(best, 19),
            "1  D4   4-16   60.0%\n"
            "2  Q4   16-16  30.0%\n"
            "3  pass pass   10.0%\n");
}

TEST(GoDrawing, EveryRowIsAsWide) {
  for (const int size : {2, 9, 13, 19, 25}) {
    const Game game = random_game(size, {}, 4, size * 3);
    for (Point last = pass; last < size * size; ++last) {
      std::istringstream board(drawn(game.board(), last));
      std::string line;
      std::getline(board, line);
      for (int row = size; row > 0; --row) {
        std::getline(board, line);
        const std::string number = std::to_string(row);
        ASSERT_TRUE(line.ends_with(number));
        EXPECT_EQ(line.size() - number.size(), static_cast<size_t>(3 + 2 * size + 1)) << line;
      }
    }
  }
}

TEST(GoHandicap, IsPlacedAsTheProtocolSays) {
  const auto placed = [](int size, int stones) {
    std::string out;
    for (const Point p : fixed_handicap(size, stones)) out += vertex_name(p, size) + " ";
    return out;
  };
  EXPECT_EQ(placed(19, 2), "D4 Q16 ");
  EXPECT_EQ(placed(19, 3), "D4 Q16 D16 ");
  EXPECT_EQ(placed(19, 4), "D4 Q16 D16 Q4 ");
  EXPECT_EQ(placed(19, 5), "D4 Q16 D16 Q4 K10 ");
  EXPECT_EQ(placed(19, 6), "D4 Q16 D16 Q4 D10 Q10 ");
  EXPECT_EQ(placed(19, 7), "D4 Q16 D16 Q4 D10 Q10 K10 ");
  EXPECT_EQ(placed(19, 8), "D4 Q16 D16 Q4 D10 Q10 K4 K16 ");
  EXPECT_EQ(placed(19, 9), "D4 Q16 D16 Q4 D10 Q10 K4 K16 K10 ");
  EXPECT_EQ(placed(9, 5), "C3 G7 C7 G3 E5 ");
  EXPECT_EQ(placed(12, 4), "C3 K10 C10 K3 ");
  EXPECT_EQ(placed(13, 2), "D4 K10 ");
  EXPECT_EQ(max_fixed_handicap(6), 0);
  EXPECT_EQ(max_fixed_handicap(7), 4);
  EXPECT_EQ(max_fixed_handicap(8), 4);
  EXPECT_EQ(max_fixed_handicap(9), 9);
  EXPECT_EQ(error_of([] { fixed_handicap(8, 5); }), "5 handicap stones have no fixed places on a 8x8 board");
}

}  // namespace
}  // namespace descent::go
