// descent study depth: the command, its files, and what it says of wrong input.
#include "cli_testing.h"

namespace descent::cli {
namespace {

class DepthCommand : public TableRun {
 protected:
  std::vector<std::string> with(const std::vector<std::string>& more) const {
    std::vector<std::string> out{"study",    "depth", "--recipe", "recipe.toml",
                                 "--budget", "200",   "--set",    "train.epochs=2"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
};

TEST_F(DepthCommand, TableChartAndJson) {
  const Ended ended = run(with({"--seeds", "1", "--json"}));
  ASSERT_EQ(ended.code, 0) << ended.err;
  const Json json = ended.json();
  ASSERT_EQ(json.at("series").size(), 2u);
  std::vector<int> depths;
  for (const Json& row : json.at("series")[0].at("rows")) depths.push_back(row.at("hidden_layers"));
  EXPECT_EQ(depths, (std::vector<int>{1, 2, 3, 5, 7}));
  EXPECT_EQ(json.at("findings").size(), 2u);
  EXPECT_EQ(json.at("seide_li_yu_2011").at("seven_layers_of_2k"), 17.1);
  EXPECT_TRUE(has(content(folder_ / std::string(json.at("table"))), "| equal neurons | 7 |"));
  EXPECT_TRUE(has(content(folder_ / std::string(json.at("chart"))), "</svg>"));
  // What is trained is a run like any other.
  EXPECT_EQ(
      run({"evaluate", "runs/recipe-depth/1x" + json.at("series")[0].at("rows")[0].at("width").dump() + "-seed-0"})
          .code,
      0);
  const Ended again = run(with({"--seeds", "1"}));
  EXPECT_EQ(again.code, 0);
  EXPECT_FALSE(has(again.err, "[1/10]")) << again.err;
  EXPECT_TRUE(has(again.out, "chart: runs/recipe-depth/depth.svg")) << again.out;
}

TEST_F(DepthCommand, CtrlCAndTheSameCommandAgain) {
  const std::vector<std::string> whole =
      with({"--seeds", "1", "--set", "train.epochs=400", "--out", "whole", "--json"});
  std::vector<std::string> command = whole;
  command[command.size() - 2] = "study";
  const pid_t child = start(command);
  const auto has_trained = [&] {
    return fs::exists(folder_ / "study/depth.csv") && has(content(folder_ / "err.txt"), "[2/10]") &&
           has(content(folder_ / "err.txt").substr(content(folder_ / "err.txt").find("[2/10]")), "epoch");
  };
  while (!has_trained()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  ::kill(child, SIGINT);
  const Ended stopped = wait(child);
  EXPECT_EQ(stopped.code, 1);
  EXPECT_TRUE(has(stopped.err, "interrupted; the same command goes on\n")) << stopped.err;
  EXPECT_EQ(stopped.json().at("interrupted"), true);
  const Ended end = run(command);
  ASSERT_EQ(end.code, 0) << end.err;
  EXPECT_FALSE(has(end.err, "[1/10]")) << "that was trained";
  const Json rest = end.json(), all = run(whole).json();
  for (size_t i = 0; i < 5; ++i)
    EXPECT_EQ(rest.at("series")[0].at("rows")[i].at("test"), all.at("series")[0].at("rows")[i].at("test"));
}

TEST_F(DepthCommand, WrongInputIsOneSentence) {
  file("plain.toml",
       "layers = [ { kind = \"linear\", features = 2 } ]\n[data]\ncsv = \"table.csv\"\ntarget = \"large\"\n");
  file("occupied", "");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{"study", "breadth", "--recipe", "recipe.toml", "--budget", "9"}, "breadth not in {depth}"},
      {{"study", "depth", "--budget", "9"}, "--recipe is required"},
      {{"study", "depth", "--recipe", "recipe.toml"}, "--budget is required"},
      {{"study", "depth", "--recipe", "recipe.toml", "--budget", "0"}, "--budget: Value 0 not in range"},
      {{"study", "depth", "--recipe", "none.toml", "--budget", "9"}, "the recipe none.toml cannot be read"},
      {{"study", "depth", "--recipe", "plain.toml", "--budget", "99"},
       "plain.toml:1: the net has no dense hidden layers that could be varied"},
      {{"study", "depth", "--recipe", "recipe.toml", "--budget", "9"},
       "a budget of 9 parameters is too small: with 3 hidden layers of one unit the net has 11"},
      {{"study", "depth", "--recipe", "recipe.toml", "--budget", "99", "--neurons", "3"},
       "3 neurons are too few for 7 hidden layers"}};
  for (const auto& [arguments, says] : cases) {
    const Ended ended = run(arguments);
    EXPECT_EQ(ended.code, 2) << ended.err;
    EXPECT_TRUE(has(ended.complaint(), says)) << ended.err;
  }
  const Ended ended = run(with({"--out", "occupied"}));
  EXPECT_EQ(ended.code, 1);
  EXPECT_TRUE(has(ended.complaint(), "cannot make the study's directory occupied: ")) << ended.err;
}

}  // namespace
}  // namespace descent::cli
