#include "descent/go/search.h"

#include <set>

#include "descent/base/text.h"
#include "descent/go/player.h"
#include "descent/go/score.h"
#include "go_testing.h"

namespace descent::go {
namespace {

// All moves alike, and a value that counts the area: it sees captures and knows nothing else.
class Counter : public Evaluator {
 public:
  void evaluate(std::span<const Position> positions, std::span<Evaluation> out) override {
    ++calls;
    most_at_once = std::max(most_at_once, positions.size());
    for (size_t i = 0; i < positions.size(); ++i) {
      const Position& position = positions[i];
      const auto area = static_cast<size_t>(position.size * position.size);
      out[i].policy.assign(area + 1, 1 / static_cast<float>(area + 1));
      int own = 0, theirs = 0;
      for (size_t p = 0; p < area; ++p) {
        own += position.stones[p] == position.to_move;
        theirs += position.stones[p] == opponent(position.to_move);
      }
      out[i].value = std::tanh(0.2f * static_cast<float>(own - theirs));
      evaluated += 1;
    }
  }
  int calls = 0, evaluated = 0;
  size_t most_at_once = 0;
};

// Wants one move, and answers with one value.
class Fixed : public Evaluator {
 public:
  Fixed(Point wanted, float value, bool has_value = true) : wanted_(wanted), value_(value), has_value_(has_value) {}
  void evaluate(std::span<const Position> positions, std::span<Evaluation> out) override {
    for (size_t i = 0; i < positions.size(); ++i) {
      const auto area = static_cast<size_t>(positions[i].size * positions[i].size);
      out[i].policy.assign(area + 1, 0.1f / static_cast<float>(area));
      out[i].policy[wanted_ == pass ? area : static_cast<size_t>(wanted_)] = 0.9f;
      out[i].value = value_;
    }
  }
  bool has_value() const override { return has_value_; }

 private:
  Point wanted_;
  float value_;
  bool has_value_;
};

Point best(const Game& game, Color color, SearchOptions options = {.visits = 400}) {
  Counter counter;
  return search(game, color, counter, options).moves[0].point;
}

TEST(GoSearch, FindsACapture) {
  const Game game = game_of(R"(. . . . . . .
                               . . X . . . .
                               . X O . . . .
                               . X O X . . .
                               . . X . . . .
                               . . . . . . .
                               . . . . . . .)");
  EXPECT_EQ(best(game, Color::black), at("D5", 7));
  EXPECT_EQ(best(game, Color::white, {.visits = 5000}), at("D5", 7)) << "and how to get away from it";
}

// A throw-in: Black gives one stone at B7, and takes four by it. Nothing else works.
TEST(GoSearch, FindsASacrifice) {
  const Game game = game_of(R"(. . O X . . .
                               O O O X . . .
                               X X X X . . .
                               . . . . . . .
                               . . . . . . .
                               . . . . . . .
                               . . . . . . .)");
  Counter counter;
  const SearchResult result = search(game, Color::black, counter, {.visits = 3000});
  EXPECT_TRUE(result.moves[0].point == at("A7", 7) || result.moves[0].point == at("B7", 7))
      << vertex_name(result.moves[0].point, 7);
  EXPECT_GT(result.value, 0.3);
}

// White's two stones have two liberties. Only C4's side of the net keeps them in: three moves have to be read.
TEST(GoSearch, FindsANet) {
  const Game game = game_of(R"(. . . . . . .
                               . X X . . . .
                               X O O . . . .
                               . X X . . . .
                               . . . . . . .
                               . . . . . . .
                               . . . . . . .)");
  EXPECT_EQ(best(game, Color::black, {.visits = 2000}), at("D5", 7));
}

TEST(GoSearch, TheResultAddsUp) {
  const Game game = random_game(7, {}, 3, 20);
  for (const int batch : {1, 4, 16}) {
    Counter counter;
    const SearchResult result = search(game, game.to_move(), counter, {.visits = 300, .batch = batch});
    EXPECT_EQ(result.visits, 300);
    int visits = 1;  // the root's own evaluation
    double priors = 0, value = 0;
    for (const MoveStatistics& move : result.moves) {
      visits += move.visits;
      priors += move.prior;
      value += move.value * move.visits;
      EXPECT_LE(std::abs(move.value), 1);
      EXPECT_TRUE(game.board().is_legal(game.to_move(), move.point));
    }
    EXPECT_EQ(visits, 300);
    EXPECT_NEAR(priors, 1, 1e-5);
    EXPECT_LE(counter.most_at_once, static_cast<size_t>(batch));
    EXPECT_LE(counter.evaluated, 300);
    EXPECT_NEAR(result.value, value / 300, 1.0 / 300) << "the mean of what was found";
    EXPECT_EQ(counter.calls<counter.evaluated, batch> 1) << "leaves are evaluated together";
  }
}

TEST(GoSearch, IsTheSameAtEveryRun) {
  const Game game = random_game(7, {}, 3, 20);
  const auto moves = [&](SearchOptions options) {
    Counter counter;
    std::string out;
    for (const MoveStatistics& move : search(game, game.to_move(), counter, options).moves)
      out += text(move.point, " ", move.visits, " ", move.value, " ", move.prior, "\n");
    return out;
  };
  EXPECT_EQ(moves({.visits = 200}), moves({.visits = 200}));
  EXPECT_EQ(moves({.visits = 200, .noise = 0.25}), moves({.visits = 200, .noise = 0.25}));
  EXPECT_NE(moves({.visits = 200, .noise = 0.25}), moves({.visits = 200, .noise = 0.25, .seed = 2}));
  EXPECT_NE(moves({.visits = 200, .noise = 0.25}), moves({.visits = 200}));
}

TEST(GoSearch, StopsInTime) {
  Counter counter;
  const SearchResult result = search(Game(9), Color::black, counter, {.visits = 1 << 30, .seconds = 0.05});
  EXPECT_GE(result.visits, 1);
  EXPECT_LT(result.visits, 1 << 30);
}

TEST(GoSearch, RefusesAPolicyOfAnotherSize) {
  class Short : public Evaluator {
    void evaluate(std::span<const Position>, std::span<Evaluation> out) override { out[0].policy.assign(10, 0.1f); }
  };
  Short evaluator;
  EXPECT_EQ(error_of([&] { search(Game(9), Color::black, evaluator); }),
            "a policy for a 9x9 board has 82 probabilities, not 10");
}

TEST(GoSearch, CountsAGameThatIsOver) {
  // Black is ahead; after White's pass, his own pass ends the game as a win, whatever the evaluator thinks.
  Game game = game_of(R"(. X . X O
                         X X X X O
                         . X . X O
                         X X X X O
                         . X . X .)",
                      {.komi = 3.5});
  game.play({Color::white, pass});
  Fixed pessimist(pass, -0.5f);
  const SearchResult result = search(game, Color::black, pessimist, {.visits = 50});
  EXPECT_EQ(result.moves[0].point, pass);
  EXPECT_EQ(result.moves[0].value, 1);
}

constexpr std::string_view finished = R"(. X X O .
                                         X X X O O
                                         X . X O .
                                         X X X O O
                                         . X X O .)";

EvaluatorPlayer player(std::shared_ptr<Evaluator> evaluator, PlayerOptions options = {}) {
  return EvaluatorPlayer(std::move(evaluator), std::move(options));
}

TEST(GoPlayer, DoesNotFillItsEyes) {
  const Game game = game_of(finished);
  for (const int visits : {0, 30}) {
    EvaluatorPlayer someone = player(std::make_shared<Fixed>(at("B3", 5), 0.0f), {.search = {.visits = visits}});
    EXPECT_EQ(someone.choose(game, Color::black, {}).point, pass);
    EXPECT_EQ(sensible_moves(game.board(), Color::black), std::vector<Point>{pass});
  }
}

TEST(GoPlayer, PassesWhenTheGameIsOver) {
  Game game = game_of(R"(. X . . O .
                         X X . . O O
                         . X . X O .
                         X X X O O O
                         . X X O . O
                         X X X O O .)");
  for (const int visits : {0, 30}) {
    EvaluatorPlayer someone = player(std::make_shared<Fixed>(at("C6", 6), 0.0f), {.search = {.visits = visits}});
    EXPECT_EQ(someone.choose(game, Color::black, {}).point, at("C6", 6)) << "there are neutral points yet";
  }
  Game over = game_of(finished, {.komi = 0});
  over.play({Color::white, pass});
  EvaluatorPlayer someone = player(std::make_shared<Fixed>(at("E5", 5), 0.0f));
  EXPECT_EQ(someone.choose(over, Color::black, {}).point, pass) << "though E5 is legal";
}

TEST(GoPlayer, TakesDeadStonesInACleanup) {
  Game game = game_of(R"(. X X . X . X
                         X O . X X X X
                         X X X X . X .
                         O O O X X X X
                         . O O O O O O
                         O O O . O O O
                         . O O O O . O)",
                      {.komi = 0});
  game.play({Color::white, pass});
  EvaluatorPlayer someone = player(std::make_shared<Fixed>(at("C6", 7), 0.0f));
  EXPECT_EQ(someone.choose(game, Color::black, {}).point, pass) << "B6 is dead as it is";
  EXPECT_EQ(someone.choose(game, Color::black, {.cleanup = true}).point, at("C6", 7));
}

TEST(GoPlayer, ResignsWhatIsLostForSomeMoves) {
  const Game game = random_game(9, {}, 7, 30);
  EvaluatorPlayer loser = player(std::make_shared<Fixed>(at("E5", 9), -0.97f));
  EXPECT_FALSE(loser.choose(game, Color::black, {}).resigns);
  EXPECT_FALSE(loser.choose(game, Color::black, {}).resigns);
  EXPECT_TRUE(loser.choose(game, Color::black, {}).resigns);
  EXPECT_FALSE(loser.choose(game, Color::black, {.cleanup = true}).resigns);
  loser.begin_game();
  EXPECT_FALSE(loser.choose(game, Color::black, {}).resigns);
  EvaluatorPlayer never = player(std::make_shared<Fixed>(at("E5", 9), -0.97f), {.resign_below = -1});
  EvaluatorPlayer blind = player(std::make_shared<Fixed>(at("E5", 9), -0.97f, false));
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(never.choose(game, Color::black, {}).resigns);
    EXPECT_FALSE(blind.choose(game, Color::black, {}).resigns) << "no value, no resignation";
  }
  EvaluatorPlayer early = player(std::make_shared<Fixed>(at("E5", 9), -0.97f));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(early.choose(Game(9), Color::black, {}).resigns) << "not in the opening";
}

TEST(GoPlayer, WarmMovesVary) {
  std::set<Point> cold, warm;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    cold.insert(player(std::make_shared<Counter>(), {.seed = seed}).choose(Game(9), Color::black, {}).point);
    warm.insert(
        player(std::make_shared<Counter>(), {.warm_moves = 4, .seed = seed}).choose(Game(9), Color::black, {}).point);
  }
  EXPECT_EQ(cold.size(), 1u);
  EXPECT_GT(warm.size(), 6u);
  EXPECT_FALSE(warm.contains(pass));
}

TEST(GoPlayer, KnowsItsSizes) {
  EXPECT_TRUE(player(std::make_shared<Counter>()).can_play(17));
  EXPECT_FALSE(player(std::make_shared<Counter>(), {.sizes = {9, 19}}).can_play(13));
}

// A net whose policy likes the point with the last move's plane on, turned as it is shown.
NetAnswer likes_the_last_move(const Array& input) {
  const int64_t n = input.shape()[0], area = input.shape()[1] * input.shape()[2];
  NetAnswer out{Array(DType::f32, {n, area + 1}), Array(DType::f32, {n})};
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t p = 0; p < area; ++p) out.policy.set(i * (area + 1) + p, input.at((i * area + p) * planes + 11) / 50);
    out.value.set(i, 2);
  }
  return out;
}

TEST(GoEvaluator, AveragesViewsTurnedBack) {
  Game game(9);
  game.play({Color::black, at("C4", 9)});
  const Position position(game);
  Evaluation one, eight;
  NetEvaluator(likes_the_last_move, true, 1).evaluate({&position, 1}, {&one, 1});
  NetEvaluator(likes_the_last_move, true, 8).evaluate({&position, 1}, {&eight, 1});
  ASSERT_EQ(one.policy.size(), 82u);
  for (size_t p = 0; p < 82; ++p) EXPECT_NEAR(one.policy[p], eight.policy[p], 1e-6) << p;
  const double most = std::exp(255.0 / 50);
  EXPECT_NEAR(one.policy[static_cast<size_t>(at("C4", 9))], most / (most + 81), 1e-5);
  EXPECT_NEAR(eight.value, std::tanh(1.0), 1e-6);
  NetEvaluator many(likes_the_last_move, true, 2);
  const std::vector<Position> three(3, position);
  std::vector<Evaluation> answers(3);
  many.evaluate(three, answers);
  EXPECT_EQ(answers[0].policy, answers[2].policy);
}

TEST(GoEvaluator, ChecksWhatANetAnswers) {
  const Position position{Game(9)};
  Evaluation out;
  const auto error = [&](const NetFunction& net, bool value) {
    return error_of([&] { NetEvaluator(net, value).evaluate({&position, 1}, {&out, 1}); });
  };
  EXPECT_EQ(error(
                [](const Array&) {
                  return NetAnswer{Array(DType::f32, {1, 81}), {}};
                },
                false),
            "a net for Go must answer with a policy of f32[1,82], but gave f32[1,81]");
  EXPECT_EQ(error(
                [](const Array&) {
                  return NetAnswer{Array(DType::f32, {1, 82}), {}};
                },
                true),
            "a net for Go must answer with values of f32[1], but gave none");
  EXPECT_EQ(error(
                [](const Array&) {
                  return NetAnswer{Array::full({DType::f32, {1, 82}}, NAN), {}};
                },
                false),
            "a net for Go answered with a score that is no number");
  EXPECT_EQ(error_of([] { NetEvaluator(likes_the_last_move, true, 9); }), "a position has 1 to 8 views, not 9");
}

}  // namespace
}  // namespace descent::go
