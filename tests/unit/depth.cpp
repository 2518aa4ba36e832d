// Deep against wide: which nets are compared, how a study goes on, and what it says of its numbers.
#include "descent/tasks/depth.h"

#include <fstream>
#include <set>

#include "data_testing.h"
#include "descent/data/random.h"
#include "descent/tasks/hidden_layers.h"
#include "descent/tasks/recipe_toml.h"
#include "descent/tasks/toml_text.h"
#include "descent/train/interrupt.h"

namespace descent::tasks {
namespace {

namespace fs = std::filesystem;
using data::error_of;

// A table whose class is whether a * b is large.
std::string rows(int count) {
  data::RandomStream draw(5);
  std::string out = "a,b,large\\n";
  for (int i = 0; i < count; ++i) {
    const uint64_t a = draw.below(100), b = draw.below(100);
    out += text(a, ",", b, ",", a * b > 2500 ? "yes" : "no", "\\n");
  }
  return out;
}

constexpr const char* dense = R"(
  { kind = "batch_norm" },
  { kind = "linear", features = 32, name = "hidden" },
  { kind = "leaky_relu", slope = 0.0 },
  { kind = "dropout", rate = 0.1 },
  { kind = "linear", features = 16, bias = false },
  { kind = "tanh" },
  { kind = "linear", features = 2 },
)";

Recipe recipe_of(const std::string& layers, const std::string& sections = "validation = 0\ntest = 0.25\n") {
  return parse_recipe(text("layers = [", layers, "]\n[data]\ntable = \"", rows(120), "\"\ntarget = \"large\"\n",
                           sections, "[train]\nepochs = 2\nbatch_size = 16\n"),
                      "r.toml");
}

// --- the nets ---

TEST(HiddenLayers, AreTheFirstOneAgainAndAgain) {
  const Recipe deep = HiddenLayers(recipe_of(dense)).recipe(3, 5);
  std::vector<std::string> kinds;
  for (const nn::Settings& layer : deep.layers) kinds.push_back(layer.word("kind"));
  const std::string hidden = "linear, leaky_relu, dropout, ";
  EXPECT_EQ(join(kinds, ", "), "batch_norm, " + hidden + hidden + hidden + "linear");
  EXPECT_EQ(deep.layers[1].integer("features"), 5);
  EXPECT_FALSE(deep.layers[1].has("name")) << "names are unique";
  EXPECT_EQ(deep.layers[6].number("rate"), 0.1);
  EXPECT_EQ(deep.layers.back().integer("features"), 2);
  EXPECT_EQ(deep.train.integer("epochs"), 2);
}

TEST(HiddenLayers, BeginBehindWhatIsNotDense) {
  const Recipe images =
      parse_recipe(R"(layers = [ { kind = "linear", features = 3 }, { kind = "conv", features = 4, kernel = 3 },
    { kind = "flatten" }, { kind = "linear", features = 9 }, { kind = "relu" }, { kind = "linear", features = 10 } ]
    [data]
    name = "mnist")",
                   "r.toml");
  const Recipe one = HiddenLayers(images).recipe(1, 2);
  ASSERT_EQ(one.layers.size(), 6u);
  EXPECT_EQ(one.layers[0].integer("features"), 3);
  EXPECT_EQ(one.layers[3].integer("features"), 2);
}

TEST(HiddenLayers, WidthsAreTheNearest) {
  const Recipe recipe = recipe_of(dense);
  const HiddenLayers hidden(recipe);
  const Preprocess preprocess = load_examples(recipe).preprocess;
  // batch norm of 2 inputs: 4; 2 w + w a layer behind them, w w + w between hidden layers, 2 w + 2 at the end.
  EXPECT_EQ(hidden.parameters(preprocess, 1, 7), 4 + 3 * 7 + 2 * 7 + 2);
  EXPECT_EQ(hidden.parameters(preprocess, 3, 7), 4 + 3 * 7 + 2 * (7 * 7 + 7) + 2 * 7 + 2);
  const auto count = [](int64_t depth, int64_t w) { return 4 + 3 * w + (depth - 1) * (w * w + w) + 2 * w + 2; };
  for (const int64_t depth : {1, 2, 3, 5, 7})
    for (const int64_t budget : {int64_t{30}, int64_t{77}, int64_t{500}, int64_t{1001}, int64_t{1'000'000'000}}) {
      const int64_t width = hidden.width_for(preprocess, depth, budget);
      const int64_t off = std::abs(count(depth, width) - budget);
      EXPECT_LE(off, std::abs(count(depth, width + 1) - budget)) << depth << " " << budget;
      if (width > 1) {
        EXPECT_LT(off, std::abs(count(depth, width - 1) - budget)) << depth << " " << budget;
      }
    }
  EXPECT_EQ(hidden.width_for(preprocess, 1, 11), 1);
  EXPECT_EQ(error_of([&] { hidden.width_for(preprocess, 7, 20); }),
            "a budget of 20 parameters is too small: with 7 hidden layers of one unit the net has 23");
}

TEST(HiddenLayers, NetsWithoutAnyAreRefused) {
  const std::string why =
      " has no dense hidden layers that could be varied: layers must end with two of kind 'linear' at least, with "
      "activations, dropout and norms alone between them";
  for (const char* layers :
       {R"({ kind = "linear", features = 2 })", R"({ kind = "softmax" })",
        R"({ kind = "linear", features = 4 }, { kind = "residual", layers = [ { kind = "relu" } ] },
                                { kind = "linear", features = 2 })"})
    EXPECT_EQ(error_of([&] { HiddenLayers(recipe_of(layers)); }), "r.toml:1: the net" + why);
  const Recipe ready = parse_recipe("[data]\nname = \"mnist\"\n[net]\nkind = \"lenet-5\"\n", "r.toml");
  EXPECT_EQ(error_of([&] { HiddenLayers{ready}; }), "r.toml:3: the ready net 'lenet-5'" + why);
}

TEST(TomlList, IsReadAsItWas) {
  const std::string source = R"(layers = [ { kind = "a \"b\" \\ \n\u007F", flag = true, whole = 3, real = 3.0, )"
                             R"(tiny = 1e-7, odd = inf, inside = [ { x = 1 }, { y = [ "p", "q" ] } ], none = [] } ])";
  const nn::Settings once = parse_toml(source, "r.toml", {}).root;
  const std::string written = toml_list(once.list("layers"));
  EXPECT_EQ(written.find('\n'), std::string::npos);
  const nn::Settings twice = parse_toml("layers = " + written, "r.toml", {}).root;
  EXPECT_EQ(toml_list(twice.list("layers")), written);
  const nn::Settings& layer = twice.list("layers").front();
  EXPECT_EQ(layer.word("kind"), "a \"b\" \\ \n\x7f");
  EXPECT_TRUE(layer.flag("flag"));
  EXPECT_EQ(layer.integer("whole"), 3);
  EXPECT_TRUE(std::holds_alternative<double>(layer.find("real")->value));
  EXPECT_EQ(layer.number("tiny"), 1e-7);
  EXPECT_EQ(layer.number("odd"), INFINITY);
  EXPECT_EQ(layer.list("inside")[1].list("y")[1].word("value"), "q");
  EXPECT_TRUE(layer.list("none").empty());
}

// --- the study ---

// Counts trainings, and asks for a stop in one of them.
class Watch : public train::Progress {
 public:
  explicit Watch(int stop_in = 0) : stop_in_(stop_in) {}
  void note(const std::string& sentence) override { notes += sentence.starts_with("[") ? 1 : 0; }
  void epoch(const train::Moment&, const train::EpochFigures& figures) override {
    if (notes == stop_in_ && figures.epoch == 1) train::request_stop();
  }

  int notes = 0;

 private:
  int stop_in_;
};

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::set<std::string> runs_in(const fs::path& directory) {
  std::set<std::string> out;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory))
    if (entry.is_directory()) out.insert(entry.path().filename());
  return out;
}

// A table without the last column, the seconds.
std::string without_seconds(const std::string& csv) {
  std::string out;
  for (size_t begin = 0, end; (end = csv.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = csv.substr(begin, end - begin);
    out += line.substr(0, line.rfind(',')) + "\n";
  }
  return out;
}

class Study : public testing::Test {
 protected:
  DepthOptions options(const std::string& name, int64_t seeds, const std::shared_ptr<Watch>& watch) const {
    return {.budget = 150, .seeds = seeds, .depths = {1, 2, 4}, .directory = folder.path(name), .progress = watch};
  }
  data::Folder folder;
};

TEST_F(Study, TrainsEachNetFromEachSeedOnce) {
  const auto watch = std::make_shared<Watch>();
  const DepthStudy study = depth_study(recipe_of(dense), options("s", 2, watch));
  EXPECT_EQ(watch->notes, 10) << "the net of one layer is in both series";
  ASSERT_EQ(study.series.size(), 2u);
  const std::vector<DepthRow>&parameters = study.series[0].rows, &neurons = study.series[1].rows;
  EXPECT_EQ(parameters[0].width, 29);  // 6 + 5 w = 151
  EXPECT_EQ(neurons[0].width, 29);
  EXPECT_EQ(neurons[1].width, 15);  // 14.5
  EXPECT_EQ(neurons[2].width, 7);
  EXPECT_EQ(parameters[0].test, neurons[0].test);
  EXPECT_EQ(study.test_rows, 30);
  std::set<std::string> wanted;
  for (const DepthSeries& series : study.series)
    for (const DepthRow& row : series.rows)
      for (size_t seed = 0; seed < 2; ++seed) {
        const std::string name = text(row.depth, "x", row.width, "-seed-", seed);
        wanted.insert(name);
        const RunFigures figures = figures_of_run(folder.path("s/" + name)).value();
        EXPECT_DOUBLE_EQ(row.test[seed], 100 - 100 * train::figure(figures.test, "accuracy").value());
        EXPECT_DOUBLE_EQ(row.training[seed], 100 - 100 * train::figure(figures.train, "accuracy").value());
      }
  EXPECT_EQ(runs_in(folder.path("s")), wanted);
  EXPECT_EQ(content(folder.path("s/depth.csv")), study.to_csv());
  EXPECT_EQ(content(folder.path("s/depth.md")), study.to_markdown());
  EXPECT_EQ(content(folder.path("s/depth.svg")), study.to_svg());
}

TEST_F(Study, WhatIsTrainedIsKept) {
  depth_study(recipe_of(dense), options("s", 1, std::make_shared<Watch>()));
  const auto again = std::make_shared<Watch>(), more = std::make_shared<Watch>();
  depth_study(recipe_of(dense), options("s", 1, again));
  EXPECT_EQ(again->notes, 0);
  const DepthStudy study = depth_study(recipe_of(dense), options("s", 3, more));
  EXPECT_EQ(more->notes, 10) << "the two seeds that are new";
  EXPECT_EQ(study.series[1].rows[2].test.size(), 3u);

  const Recipe other = parse_recipe(recipe_of(dense).text, "r.toml", {"train.epochs=3"});
  EXPECT_EQ(error_of([&] { depth_study(other, options("s", 1, again)); }),
            folder.path("s/1x29-seed-0") +
                " was trained by another recipe: train.epochs is 2 in the run and 3 now; choose another folder for the "
                "study");
}

TEST_F(Study, AnInterruptedStudyGoesOnToTheSameEnd) {
  const DepthStudy whole = depth_study(recipe_of(dense), options("whole", 2, std::make_shared<Watch>()));
  EXPECT_FALSE(whole.interrupted);
  const auto stopped = std::make_shared<Watch>(4), rest = std::make_shared<Watch>();
  const DepthStudy part = depth_study(recipe_of(dense), options("s", 2, stopped));
  EXPECT_TRUE(part.interrupted);
  EXPECT_EQ(stopped->notes, 4);
  EXPECT_FALSE(figures_of_run(folder.path("s/2x15-seed-0"))) << "it came to its first epoch only";
  EXPECT_EQ(part.series[0].rows[2].test.size(), 1u);
  EXPECT_EQ(content(folder.path("s/depth.csv")), part.to_csv());
  const DepthStudy end = depth_study(recipe_of(dense), options("s", 2, rest));
  EXPECT_EQ(rest->notes, 10 - 3);
  EXPECT_EQ(without_seconds(end.to_csv()), without_seconds(whole.to_csv()));
}

TEST_F(Study, BadOptionsAreOneSentence) {
  DepthOptions few = options("s", 1, nullptr);
  few.neurons = 1;
  EXPECT_EQ(error_of([&] { depth_study(recipe_of(dense), few); }), "1 neurons are too few for 4 hidden layers");
  EXPECT_EQ(error_of([&] { depth_study(recipe_of(dense, "validation = 0\ntest = 0\n"), options("s", 1, nullptr)); }),
            "r.toml:10: the study needs a part to judge the nets by: give [data] test or validation");
  EXPECT_FALSE(fs::exists(folder.path("s")));
}

TEST_F(Study, NumbersAreJudgedByTheirError) {
  const Recipe numbers = parse_recipe(text("task = \"regress\"\nlayers = [ { kind = \"linear\", features = 4 }, { kind "
                                           "= \"relu\" },\n{ kind = \"linear\", "
                                           "features = 1 } ]\n[data]\ntable = \"",
                                           rows(60), "\"\ntarget = \"b\"\ntest = 0.25\n[train]\nepochs = 1\n"),
                                      "r.toml");
  DepthOptions one = options("s", 1, nullptr);
  one.depths = {1};
  const DepthStudy study = depth_study(numbers, one);
  EXPECT_EQ(study.measure, "rmse");
  const RunFigures figures =
      figures_of_run(folder.path(text("s/1x", study.series[0].rows[0].width, "-seed-0"))).value();
  EXPECT_EQ(study.series[0].rows[0].test.at(0), train::figure(figures.test, "rmse").value());
}

// --- what it says ---

DepthStudy made(const std::vector<std::vector<double>>& parameters, const std::vector<std::vector<double>>& neurons) {
  DepthStudy out;
  out.directory = "runs/d";
  out.recipe = "d.toml";
  out.measure = "error, %";
  out.budget = 1000;
  out.test_rows = 50;
  const auto series = [](const std::string& name, const std::vector<std::vector<double>>& numbers) {
    DepthSeries made{name, {}};
    const int64_t depths[] = {1, 3, 7};
    for (size_t i = 0; i < numbers.size(); ++i) made.rows.push_back({depths[i], 10, 1000, numbers[i], numbers[i], 1.5});
    return made;
  };
  out.series = {series("equal parameters", parameters), series("equal neurons", neurons)};
  return out;
}

TEST(DepthReport, SpreadIsOfASample) {
  const Spread spread = spread_of(std::vector<double>{1, 2, 6});
  EXPECT_DOUBLE_EQ(spread.mean, 3);
  EXPECT_DOUBLE_EQ(spread.deviation, std::sqrt(7.0));
  EXPECT_EQ(spread.least, 1);
  EXPECT_EQ(spread.most, 6);
  EXPECT_EQ(spread_of(std::vector<double>{4}).deviation, 0);
}

TEST(DepthReport, FindsWhicheverWins) {
  const DepthStudy study = made({{5, 6}, {3, 4}, {4, 4.5}}, {{2, 3}, {4, 5}, {2.75, 8}});
  EXPECT_EQ(study.findings(),
            (std::vector<std::string>{"equal parameters: 3 hidden layers are best, 3.5 (3 to 4), before one hidden "
                                      "layer, 5.5 (5 to 6); the ranges of 2 seeds do not meet. With 7 hidden layers: "
                                      "4.25 (4 to 4.5).",
                                      "equal neurons: one hidden layer is best, 2.5 (2 to 3), before 3 hidden layers, "
                                      "4.5 (4 to 5); the ranges of 2 seeds do not meet. With 7 hidden layers: 5.375 "
                                      "(2.75 to 8)."}));
  const DepthStudy unsure = made({{5, 6}, {5.5, 5.25}, {}}, {{2}, {1}, {3}});
  EXPECT_EQ(
      unsure.findings()[0],
      "equal parameters: 3 hidden layers are best, 5.375 (5.25 to 5.5), before one hidden layer, 5.5 (5 to 6); the "
      "ranges of 2 seeds overlap.");
  EXPECT_TRUE(unsure.findings()[1].find("one seed tells nothing of chance") != std::string::npos);
  EXPECT_TRUE(made({{1}}, {}).findings().empty()) << "nothing to compare with";
}

TEST(DepthReport, TableChartAndReference) {
  const DepthStudy study = made({{5, 6}, {3, 4}, {}}, {{5, 6}, {7, 9}, {8, 8}});
  EXPECT_EQ(study.to_csv(),
            "series,hidden layers,width,neurons,parameters,mean,deviation,least,most,training mean,seeds,seconds\n"
            "equal parameters,1,10,10,1000,5.5,0.7071,5,6,5.5,2,1.5\n"
            "equal parameters,3,10,30,1000,3.5,0.7071,3,4,3.5,2,1.5\n"
            "equal neurons,1,10,10,1000,5.5,0.7071,5,6,5.5,2,1.5\n"
            "equal neurons,3,10,30,1000,8,1.414,7,9,8,2,1.5\n"
            "equal neurons,7,10,70,1000,8,0,8,8,8,2,1.5\n");
  const std::string table = study.to_markdown(), svg = study.to_svg();
  EXPECT_NE(table.find("| equal parameters | 3 | 10 | 30 | 1000 | 3.5 | 0.7071 | 3 | 4 | 3.5 | 2 | 1.5 |\n"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("24.2 % with one layer of 2k units, 17.1 % with seven, 22.6 % with one"), std::string::npos);
  size_t circles = 0;
  for (size_t at = 0; (at = svg.find("<circle", at)) != std::string::npos; ++at) ++circles;
  EXPECT_EQ(circles, 5u + 3u) << "ours, and those of 2011 beside them";
}

}  // namespace
}  // namespace descent::tasks
