// A run's net as a player's evaluator.
#include <cmath>

#include "descent/go/player.h"
#include "descent/tasks/go.h"
#include "descent/tasks/run_net.h"
#include "go_testing.h"

namespace descent::tasks {
namespace {

// An untrained run on 5x5, with so many outputs.
Run run_of(int outputs, const std::string& last = "pass") {
  const Recipe recipe =
      parse_recipe("layers = [ { kind = \"flatten\" }, { kind = \"linear\", features = " + std::to_string(outputs) +
                       " } ]\n[data]\ngo = \"games\"\nboard = 5\n",
                   "go.toml");
  tasks::Run run{"runs/go", recipe, {}, nullptr, recipe.make_loss(), ""};
  for (int i = 0; i < 25; ++i) run.preprocess.classes.push_back(go::vertex_name(static_cast<go::Point>(i), 5));
  run.preprocess.classes.push_back(last);
  run.preprocess.input = {DType::u8, {5, 5, go::planes}};
  run.preprocess.normalizer = data::Normalizer{{1.0f / 255}, {0.0f}};
  run.net = make_run_net(run.recipe, run.preprocess);
  nn::make_parameters(*run.net, run.preprocess.batch(1), 3);
  return run;
}

TEST(GoNet, KnowsARunOnGo) {
  EXPECT_EQ(go_board_size(run_of(26).preprocess), 5);
  EXPECT_EQ(go_board_size(run_of(26, "A0").preprocess), std::nullopt);
  EXPECT_EQ(go_board_size({}), std::nullopt);
  EXPECT_EQ(go::error_of([] { go_evaluator(run_of(26, "A0"), 1); }),
            "runs/go: this run was not trained on games of Go");
}

TEST(GoNet, AnswersAsTheNetDoes) {
  const tasks::Run run = run_of(27);
  const go::Game game = go::random_game(5, {}, 2, 9);
  const go::Position position(game);
  const auto evaluator = go_evaluator(run, 1);
  EXPECT_TRUE(evaluator->has_value());
  const std::vector<go::Position> three(3, position);  // padded to four
  std::vector<go::Evaluation> answers(3);
  evaluator->evaluate(three, answers);
  Array planes(DType::u8, {1, 5, 5, go::planes});
  go::write_planes(position, 0, planes.as<uint8_t>());
  const std::vector<double> scores = train::predict(*run.net, planes, run.evaluate_options()).to_doubles();
  double sum = 0;
  for (size_t i = 0; i < 26; ++i) sum += std::exp(scores[i]);
  for (size_t row = 0; row < 3; ++row) {
    for (size_t i = 0; i < 26; ++i) EXPECT_NEAR(answers[row].policy[i], std::exp(scores[i]) / sum, 1e-2);
    EXPECT_NEAR(answers[row].value, std::tanh(scores[26] / 2), 2e-2);
  }
  EXPECT_EQ(answers[0].policy, answers[2].policy);
}

TEST(GoNet, SearchesWithAValueOnly) {
  const auto evaluator = go_evaluator(run_of(27), 8);
  go::EvaluatorPlayer player(evaluator, {.search = {.visits = 40}, .sizes = {5}});
  const go::Decision decision = player.choose(go::Game(5), go::Color::black, {});
  EXPECT_EQ(decision.moves.size(), 26u);
  EXPECT_GT(decision.moves[0].visits, 1);
  EXPECT_FALSE(go_evaluator(run_of(26), 1)->has_value());
}

}  // namespace
}  // namespace descent::tasks
