#include "descent/go/score.h"

#include "go_testing.h"

namespace descent::go {
namespace {

constexpr std::string_view divided = R"(. X . O . .
                                        X X . O O O
                                        . X . O . .
                                        X X X O . O
                                        . . X O O .
                                        . O X O . .)";

TEST(GoScore, CountsStonesAndWhatTheyEnclose) {
  const Board board = board_of(divided, {.komi = 0.5});
  const Area area = area_of(board);
  EXPECT_EQ(area.black, 11) << "9 stones, A6 and A4, but not the lower left, where White has a stone";
  EXPECT_EQ(area.white, 19);
  EXPECT_EQ(area.owner[static_cast<size_t>(at("C5", 6))], Color::empty) << "a neutral point";
  EXPECT_EQ(area_score(board), 11 - 19 - 0.5);
}

TEST(GoScore, DeadStonesAreTakenOff) {
  const Board board = board_of(divided, {.komi = 0.5});
  const std::vector<Point> dead{at("B1", 6)};
  EXPECT_EQ(area_of(board, dead).black, 15);
  EXPECT_EQ(area_of(board, dead).white, 18);
}

TEST(GoScore, AnEmptyBoardIsNobodys) {
  const Area area = area_of(Board(9));
  EXPECT_EQ(area.black, 0);
  EXPECT_EQ(area.white, 0);
  Board board(9);
  board.play(Color::black, 40);
  EXPECT_EQ(area_of(board).black, 81);
}

TEST(GoScore, FindsDeadStonesAndSettledPoints) {
  const Board board = board_of(R"(. X O . . . O O .
                                  X X O O O O O . O
                                  . X X X X X O O O
                                  X X . . O X X X X
                                  X . . O . X . X .
                                  X . . . . X X X X
                                  X X X X X X O O O
                                  O O O O O O O . O
                                  . O . O . O . O .)");
  for (const Color to_move : {Color::black, Color::white}) {
    const Status status = status_of(board, to_move);
    EXPECT_EQ(status.dead, (std::vector<Point>{at("E6", 9), at("D5", 9)}));
    EXPECT_TRUE(status.settled);
  }
  const std::vector<float> owned = ownership(board, Color::black, 50, 3);
  EXPECT_EQ(owned, ownership(board, Color::black, 50, 3)) << "the same at every run";
  EXPECT_GT(owned[static_cast<size_t>(at("A9", 9))], 0.9f);
  EXPECT_LT(owned[static_cast<size_t>(at("J9", 9))], -0.9f);
  EXPECT_FALSE(status_of(Board(9), Color::black).settled);
}

}  // namespace
}  // namespace descent::go
