// GNU Go as a referee: games of random moves on both boards, where after every move the whole list of legal moves and
// the stones on the board must be the same. Runs where GNU Go is installed; a few games in the test run, more with
// --games N. And whole games against it by the protocol.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "descent/base/text.h"
#include "descent/go/gtp.h"
#include "descent/go/gtp_client.h"
#include "go_testing.h"

namespace descent::go {
namespace {

int games_to_play = 12;

std::string gnugo_path() {
  for (const char* path : {"/usr/games/gnugo", "/usr/bin/gnugo", "/usr/local/bin/gnugo"})
    if (std::filesystem::exists(path)) return path;
  return "";
}

std::vector<std::string> gnugo(const std::vector<std::string>& arguments) {
  std::vector<std::string> out{gnugo_path(), "--mode", "gtp"};
  out.insert(out.end(), arguments.begin(), arguments.end());
  return out;
}

// The next answer, which must be a success.
std::string answer_of(GtpProgram& program) {
  const GtpProgram::Answer answer = program.answer();
  EXPECT_TRUE(answer.ok) << answer.text;
  return answer.text;
}

std::set<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::set<std::string> out;
  for (std::string word; in >> word;) out.insert(word);
  return out;
}

std::set<std::string> names(const Board& board, const std::vector<Point>& points) {
  std::set<std::string> out;
  for (const Point p : points) out.insert(vertex_name(p, board.size()));
  return out;
}

std::vector<Point> stones(const Board& board, Color color) {
  std::vector<Point> out;
  for (Point p = 0; p < board.area(); ++p)
    if (board.at(p) == color) out.push_back(p);
  return out;
}

struct Tally {
  int64_t games = 0, moves = 0, taken = 0, suicides = 0, kos = 0, repetitions = 0;
};

// Legal moves of both, stones of both, and what was taken.
void compare(GtpProgram& referee, const Board& board, Tally& tally) {
  for (const char* command : {"all_legal black", "all_legal white", "list_stones black", "list_stones white",
                              "captures black", "captures white"})
    referee.send(command);
  for (const Color color : {Color::black, Color::white}) {
    std::vector<Point> legal;
    board.legal_points(color, legal);
    for (Point p = 0; p < board.area(); ++p) {
      tally.kos += board.legality(color, p) == Legality::ko;
      tally.repetitions += board.legality(color, p) == Legality::superko;
    }
    std::set<std::string> theirs = words(answer_of(referee));
    theirs.erase("PASS");
    ASSERT_EQ(names(board, legal), theirs) << to_text(color) << "\n" << picture_of(board);
  }
  for (const Color color : {Color::black, Color::white})
    ASSERT_EQ(names(board, stones(board, color)), words(answer_of(referee))) << picture_of(board);
  for (const Color color : {Color::black, Color::white})
    ASSERT_EQ(text(board.captured(opponent(color))), answer_of(referee));
  ++tally.moves;
}

// Mostly alternating; eyes are filled at times, so that the board empties again and the ko rules are met.
void play_one(GtpProgram& referee, int size, Rules rules, unsigned seed, Tally& tally) {
  std::mt19937 draw(seed);
  Board board(size, rules);
  referee.must(text("boardsize ", size));
  referee.must("clear_board");
  Color color = Color::black;
  int passes = 0;
  for (int i = 0; i < 2 * size * size && passes < 3; ++i, color = opponent(color)) {
    if (draw() % 200 == 0) color = opponent(color);
    const Point move = random_move(board, color, draw);
    passes = move == pass ? passes + 1 : 0;
    const int own = board.captured(color);
    tally.taken += board.play(color, move);
    tally.suicides += board.captured(color) > own;
    referee.must(text("play ", to_text(color), " ", vertex_name(move, size)));
    compare(referee, board, tally);
    if (testing::Test::HasFatalFailure()) return;
  }
  ++tally.games;
}

// `games` in all, in equal parts on the sizes.
void play_games(const std::vector<std::string>& arguments, Rules rules, const std::vector<int>& sizes, int games,
                Tally& tally) {
  const int parts = static_cast<int>(sizes.size());
  for (const int size : sizes) {
    GtpProgram referee(gnugo(arguments));
    for (int game = 0; game < games / parts + (size == sizes[0] ? games % parts : 0); ++game) {
      play_one(referee, size, rules, static_cast<unsigned>(1000 * size + game), tally);
      if (testing::Test::HasFatalFailure()) FAIL() << size << "x" << size << ", game " << game;
    }
  }
  std::printf("%s\n",
              text(tally.games, " games, ", tally.moves, " positions, ", tally.taken, " stones taken, ", tally.suicides,
                   " suicides; forbidden: ", tally.kos, " kos, ", tally.repetitions, " repetitions")
                  .c_str());
  EXPECT_EQ(tally.games, games);
  EXPECT_GT(tally.taken, 10 * tally.games);
}

TEST(GnuGoAsReferee, SimpleKo) {
  if (gnugo_path().empty()) GTEST_SKIP() << "GNU Go is not installed";
  Tally tally;
  play_games({}, {.positional_superko = false}, {9, 13, 19}, games_to_play, tally);
  EXPECT_GT(tally.kos, 0);
}

TEST(GnuGoAsReferee, PositionalSuperko) {
  if (gnugo_path().empty()) GTEST_SKIP() << "GNU Go is not installed";
  Tally tally;
  play_games({"--positional-superko"}, {.positional_superko = true}, {5, 6, 7, 9}, games_to_play, tally);
  EXPECT_GT(tally.repetitions, 0);
}

TEST(GnuGoAsReferee, Suicide) {
  if (gnugo_path().empty()) GTEST_SKIP() << "GNU Go is not installed";
  Tally tally;
  play_games({"--allow-suicide"}, {.suicide = true, .positional_superko = false}, {5, 9, 13}, games_to_play / 2, tally);
  EXPECT_GT(tally.suicides, 0);
}

// All moves alike, and who has more on the board is ahead.
class Counter : public Evaluator {
 public:
  void evaluate(std::span<const Position> positions, std::span<Evaluation> out) override {
    for (size_t i = 0; i < positions.size(); ++i) {
      const auto area = static_cast<size_t>(positions[i].size * positions[i].size);
      out[i].policy.assign(area + 1, 1 / static_cast<float>(area + 1));
      out[i].policy[area] = 0;
      float ahead = 0;
      for (size_t p = 0; p < area; ++p)
        ahead += positions[i].stones[p] == Color::empty           ? 0
                 : positions[i].stones[p] == positions[i].to_move ? 1.0f
                                                                  : -1.0f;
      out[i].value = std::tanh(0.1f * ahead);
    }
  }
};

std::string answered(Gtp& gtp, const std::string& command) {
  const std::string answer = gtp.answer(command);
  EXPECT_TRUE(answer.starts_with("= ")) << command << ": " << answer;
  return answer.substr(2, answer.size() - 4);
}

// To two passes or a resignation; each side must take what the other plays.
void play_match(GtpProgram& rival, Gtp& gtp, Color ours) {
  const std::string size = text("boardsize ", gtp.game().size());
  for (const std::string& command : {size, std::string("clear_board"), std::string("komi 6.5")}) {
    rival.must(command);
    answered(gtp, command);
  }
  int passes = 0;
  for (Color color = Color::black; passes < 2; color = opponent(color)) {
    const std::string ask = "genmove " + to_text(color);
    const std::string move = color == ours ? answered(gtp, ask) : rival.must(ask);
    if (move == "resign" || move == "RESIGN") return;
    passes = move == "pass" || move == "PASS" ? passes + 1 : 0;
    const std::string tell = text("play ", to_text(color), " ", move);
    if (color == ours)
      rival.must(tell);
    else
      answered(gtp, tell);
    ASSERT_LT(gtp.game().moves().size(), 400u) << "the game does not end\n" << picture_of(gtp.game().board());
  }
  const std::string score = answered(gtp, "final_score");
  EXPECT_TRUE(score.starts_with("B+") || score.starts_with("W+")) << score;
}

TEST(GnuGoAsReferee, WholeGamesByTheProtocol) {
  if (gnugo_path().empty()) GTEST_SKIP() << "GNU Go is not installed";
  GtpProgram rival(gnugo({"--level", "1", "--chinese-rules", "--positional-superko"}));
  for (const Color ours : {Color::black, Color::white})
    for (const int visits : {0, 60}) {
      EvaluatorPlayer player(std::make_shared<Counter>(), {.search = {.visits = visits}});
      Gtp gtp(player, {.size = 7});
      play_match(rival, gtp, ours);
    }
}

}  // namespace
}  // namespace descent::go

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc == 3 && std::string(argv[1]) == "--games") descent::go::games_to_play = std::atoi(argv[2]);
  return RUN_ALL_TESTS();
}
