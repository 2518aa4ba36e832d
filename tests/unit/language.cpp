// The task `language`: a net learns a text by heart and says it, as the library and as recipes run it.
#include "descent/tasks/language.h"

#include <cmath>
#include <fstream>

#include "descent/tasks/generate.h"
#include "tests/unit/data_testing.h"
#include "tests/unit/step_reference.h"

namespace descent::tasks {
namespace {

TEST(Choose, TakesTheBestOrDraws) {
  data::RandomStream random(1);
  const std::vector<float> scores{1, 3, 2, 3};
  for (int i = 0; i < 20; ++i) EXPECT_EQ(choose(scores, {.temperature = 0}, random), 1);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(choose(scores, {.top_k = 1}, random), 1);
  for (int i = 0; i < 100; ++i) EXPECT_NE(choose(scores, {.temperature = 100, .top_k = 3}, random), 0);
}

// The frequencies are softmax's, of the scores over the temperature.
TEST(Choose, DrawsBySoftmax) {
  const std::vector<float> scores{0, 1, 2};
  for (const double temperature : {0.5, 1.0, 2.0}) {
    data::RandomStream random(7);
    std::vector<double> counts(3), shares(3);
    constexpr int draws = 20000;
    for (int i = 0; i < draws; ++i) counts[choose(scores, {.temperature = temperature}, random)] += 1.0 / draws;
    double total = 0;
    for (int i = 0; i < 3; ++i) total += shares[i] = std::exp(scores[i] / temperature);
    for (int i = 0; i < 3; ++i) EXPECT_NEAR(counts[i], shares[i] / total, 0.015) << temperature;
  }
}

TEST(Choose, SaysWhatMakesNoSense) {
  data::RandomStream random(1);
  const std::vector<float> good{1, 2}, bad{1, NAN};
  EXPECT_THROW(choose(good, {.temperature = -1}, random), Error);
  EXPECT_THROW(choose(good, {.top_k = -1}, random), Error);
  EXPECT_THROW(choose(bad, {}, random), Error);
  EXPECT_THROW(choose({}, {}, random), Error);
  const std::vector<float> impossible{-HUGE_VALF, 0};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(choose(impossible, {}, random), 1);
}

using TrainedRun = Run;  // within a test, Run is GoogleTest's

class Language : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / text("descent_language_", getpid());
    std::filesystem::create_directories(folder_);
    std::ofstream file(folder_ / "verse.txt", std::ios::binary);
    for (int i = 0; i < 40; ++i) file << "the cat sat on the mat; ";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Recipe recipe(const std::vector<std::string>& overrides = {}) {
    return parse_recipe(R"(
task = "language"
[net]
kind = "decoder"
outputs = 11
layers = 1
heads = 2
width = 32
context = 16
[data]
text = "verse.txt"
context = 16
windows = 512
validation = 0.2
test = 0.2
[optimizer]
kind = "adamw"
learning_rate = 0.01
[train]
epochs = 4
batch_size = 16
precision = "f32"
)",
                        folder_ / "recipe.toml", overrides);
  }
  TrainedRun trained() {
    train_run(recipe(), {.directory = folder_ / "run", .progress = nullptr});
    return load_run(folder_ / "run");
  }
  static std::string said(const TrainedRun& run, const GenerateOptions& options) {
    std::string all;
    generate(run, options, [&](const std::string& piece) { all += piece; });
    return all;
  }

  std::filesystem::path folder_;
};

TEST_F(Language, LearnsByHeartAndSaysIt) {
  const TrainedRun run = trained();
  EXPECT_EQ(run.preprocess.classes.size(), 11u);
  EXPECT_TRUE(is_language(run.preprocess));
  // Longer than the window, and beyond it.
  EXPECT_EQ(said(run, {.prompt = "the cat sat on t", .length = 40, .sampling = {.temperature = 0}}),
            "he mat; the cat sat on the mat; the cat ");
  EXPECT_EQ(said(run, {.prompt = "the cat sat on the mat; the c", .length = 2, .sampling = {.temperature = 0}}), "at");
  const GenerateOptions drawn{.prompt = "t", .length = 60, .sampling = {.temperature = 3}, .seed = 5};
  GenerateOptions other = drawn;
  other.seed = 6;
  EXPECT_EQ(said(run, drawn), said(run, drawn));
  EXPECT_NE(said(run, drawn), said(run, other));
}

// What `evaluate` says is the mean over characters of what the net says of each, and perplexity its exponential.
TEST_F(Language, IsJudgedByCharacter) {
  const TrainedRun run = trained();
  const data::Dataset test = run.examples("test");
  const train::Figures figures = train::evaluate(*run.net, run.loss, test, run.evaluate_options()).figures;
  const Array scores = train::predict(*run.net, test.read_inputs(0, test.size()), run.evaluate_options());
  const std::span<const float> values = scores.as<float>();
  const std::span<const int32_t> labels = test.targets.as<int32_t>();
  double loss = 0, right = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::span<const float> row = values.subspan(i * 11, 11);
    double total = 0;
    for (const float score : row) total += std::exp(double{score});
    loss += std::log(total) - row[static_cast<size_t>(labels[i])];
    right += std::ranges::max_element(row) - row.begin() == labels[i];
  }
  const auto count = static_cast<double>(labels.size());
  EXPECT_NEAR(train::figure(figures, "loss").value(), loss / count, 1e-5);
  EXPECT_NEAR(train::figure(figures, "accuracy").value(), right / count, 1e-9);
  EXPECT_NEAR(train::figure(figures, "perplexity").value(), std::exp(loss / count), 1e-4);
  EXPECT_GT(right / count, 0.9);
  const data::Dataset whole = run.examples((folder_ / "verse.txt").string());
  EXPECT_EQ(whole.size(), (40 * 24 - 1) / 16);
}

// The training's own accuracy is a part of characters, too.
TEST_F(Language, CountsCharactersWhileTraining) {
  const RunResult result = train_run(recipe(), {.directory = folder_ / "run", .progress = nullptr});
  const double accuracy = train::figure(result.report.train, "accuracy").value();
  EXPECT_GT(accuracy, 0.5);
  EXPECT_LE(accuracy, 1);
  EXPECT_GT(result.report.best_epoch, 0);
  EXPECT_TRUE(train::figure(result.validation, "perplexity").has_value());
}

TEST_F(Language, SaysWhatDoesNotFit) {
  const auto sentence = [](const auto& work) -> std::string {
    try {
      work();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "nothing was wrong";
  };
  EXPECT_TRUE(contains(sentence([&] { prepare(recipe({"net.outputs=10"})); }), "did you mean outputs = 11?"));
  EXPECT_TRUE(contains(sentence([&] { prepare(recipe({"task=classify"})); }), "did you mean task = \"language\"?"));
  EXPECT_TRUE(
      contains(sentence([&] { prepare(recipe({"net.context=8"})); }), "has 16 places, but there are vectors for 8"));
  EXPECT_TRUE(contains(sentence([&] { recipe({"data.context=0"}); }), "'context' must be at least 1"));
  EXPECT_TRUE(contains(sentence([&] { prepare(recipe({"data.text=nowhere.txt"})); }), "nowhere.txt"));
  const TrainedRun run = trained();
  EXPECT_TRUE(contains(sentence([&] { said(run, {.prompt = ""}); }), "the prompt is empty"));
  EXPECT_TRUE(contains(sentence([&] { said(run, {.prompt = "The"}); }),
                       "the prompt: the character 'T' at byte 0 is not one of the 11 that are known"));
}

}  // namespace
}  // namespace descent::tasks
