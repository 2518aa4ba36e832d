// Runs of the task 'reply': trained on a few conversations, judged, and talked with.
#include <fstream>

#include "descent/data/replies.h"
#include "descent/tasks/chat.h"
#include "descent/tasks/language.h"
#include "tests/unit/data_testing.h"

namespace descent::tasks {
namespace {

using ReplyRun = tasks::Run;  // within a test, Run is GoogleTest's

class Replying : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / text("descent_reply_", getpid());
    std::filesystem::create_directories(folder_);
    std::ofstream file(folder_ / "talks.txt", std::ios::binary);
    for (int i = 0; i < 200; ++i)
      file << "hi\nhello you\nhow are you\nfine, " << i << "\n\nbye\nsee you\nat " << i << "\n\n";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Recipe recipe(const std::vector<std::string>& overrides = {}, const std::string& cell = "gru") const {
    return parse_recipe(text(R"(
task = "reply"
[net]
kind = "encoder_decoder"
cell = ")",
                             cell, R"("
outputs = 280
layers = 1
heads = 2
width = 48
[data]
dialogue = "talks.txt"
tokens = 280
context = 24
validation = 0.1
test = 0.1
[optimizer]
kind = "adamw"
learning_rate = 0.01
[train]
epochs = 6
batch_size = 16
precision = "f32"
)"),
                        folder_ / "recipe.toml", overrides);
  }

  std::filesystem::path folder_;
};

TEST_P(Replying, LearnsIsJudgedAndTalks) {
  const RunResult result = train_run(recipe({}, GetParam()), {.directory = folder_ / "run", .progress = nullptr});
  ASSERT_TRUE(result.baseline.has_value());
  EXPECT_GT(result.baseline->perplexity(), 1);
  EXPECT_LT(train::figure(result.test, "perplexity").value(), 3);
  EXPECT_GT(train::figure(result.test, "accuracy").value(), 0.7);

  const ReplyRun run = load_run(folder_ / "run");
  Chat chat(run, {.sampling = {.temperature = 0}});
  EXPECT_EQ(chat.answer("hi").text, "hello you");
  EXPECT_EQ(chat.answer("how are you").text.substr(0, 6), "fine, ");
  EXPECT_EQ(Chat(run, {.sampling = {.temperature = 0}}).answer("bye").text, "see you");
  EXPECT_EQ(Chat(run, {.beam = 3}).answer("hi").text, "hello you");

  // What is too long is cut, what does not fit any more forgotten, and replies end with the window.
  Chat other(run, {.sampling = {.temperature = 3}, .length = 1000, .seed = 1});
  int64_t forgotten = 0;
  for (int i = 0; i < 5; ++i) {
    const Reply reply = other.answer("how are you");
    EXPECT_GE(reply.tokens, 1);
    EXPECT_LE(reply.tokens, 24);
    forgotten += reply.turns_forgotten;
  }
  EXPECT_GT(forgotten, 0);
  std::string turn;
  for (int i = 0; i < 300; ++i) turn += "zq" + std::to_string(i);
  EXPECT_GT(other.answer(turn).tokens_cut, 300);
  EXPECT_EQ(data::error_of([&] { other.answer("h\xff"); }), "what was said is no text in UTF-8");

  // Judged on other conversations, and asked for what it cannot do.
  EXPECT_EQ(run.examples((folder_ / "talks.txt").string()).size(), 1000);
  const std::string error = data::error_of([&] { generate(run, {}, [](const std::string&) {}); });
  EXPECT_NE(error.find("descent chat"), std::string::npos) << error;
}
INSTANTIATE_TEST_SUITE_P(Cells, Replying, testing::Values("transformer", "gru"));

// The n-gram is judged on the tokens of answers and the marks behind them, and on no others.
TEST_F(Replying, IsJudgedBesideCountingOfAnswers) {
  const Experiment experiment = prepare(recipe());
  const data::Dataset &train = experiment.splits.train, &test = experiment.splits.test;
  const std::optional<NGramBaseline> answers = ngram_baseline(train, test);
  ASSERT_TRUE(answers.has_value());
  int64_t wanted = 0;
  for (const int32_t target : test.targets.as<int32_t>()) wanted += target >= 0;
  EXPECT_GT(wanted, 3 * test.size());
  const auto& rows = dynamic_cast<const data::Replies&>(*test.source);
  int64_t counted = 0;
  for (const data::Replies::Place& place : rows.places()) counted += place.last - place.turn;
  EXPECT_EQ(counted, wanted);
  EXPECT_FALSE(ngram_baseline(train, {}).has_value());
}

TEST_F(Replying, RecipesSayWhatIsWrong) {
  const auto sentence = [&](const std::vector<std::string>& overrides) {
    return data::error_of([&] { prepare(recipe(overrides)); });
  };
  const auto has = [](const std::string& whole, const std::string& part) {
    return whole.find(part) != std::string::npos ? testing::AssertionSuccess() : testing::AssertionFailure() << whole;
  };
  EXPECT_TRUE(has(sentence({"data.windows=100"}), "'windows' is for the task 'language'"));
  EXPECT_TRUE(has(sentence({"data.context=2"}), "'context' must be at least 4"));
  EXPECT_TRUE(has(sentence({"loss.kind=cross_entropy"}), "needs the loss 'sequence_cross_entropy'"));
  EXPECT_TRUE(has(sentence({"data.dialogue=", "data.text=talks.txt"}), "wants conversations"));
  EXPECT_TRUE(has(sentence({"net.outputs=300"}), "did you mean outputs = 280?"));
  EXPECT_TRUE(has(sentence({"net.cell=gro"}), "did you mean 'gru'?"));
  // A net that goes on with a text is no net that answers, and the other way round.
  const auto net_error = [&](const std::string& task, const std::string& net) {
    return data::error_of([&] {
      prepare(parse_recipe(text("task = \"", task, "\"\nnet = { ", net, ", outputs = 280, width = 16, heads = 2 }\n",
                                "[data]\ndialogue = \"talks.txt\"\ntokens = 280\ncontext = 24\nvalidation = 0.1\n"),
                           folder_ / "recipe.toml"));
    });
  };
  EXPECT_TRUE(has(net_error("reply", "kind = \"decoder\""), "did you mean net = { kind = \"encoder_decoder\""));
  EXPECT_TRUE(has(net_error("language", "kind = \"encoder_decoder\""), "did you mean net = { kind = \"decoder\""));
}

}  // namespace
}  // namespace descent::tasks
