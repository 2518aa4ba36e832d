// Text on the command line: trained on, judged, gone on with; and what is said where it cannot be.
#include "cli_testing.h"

namespace descent::cli {
namespace {

class VerseRun : public Program {
 protected:
  VerseRun() {
    std::string verse;
    for (int i = 0; i < 40; ++i) verse += "the cat sat on the mat; ";
    file("verse.txt", verse);
    file("verse.toml", R"(
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
[optimizer]
kind = "adamw"
learning_rate = 0.01
[train]
epochs = 4
batch_size = 16
precision = "f32"
)");
  }
};

TEST_F(VerseRun, IsTrainedJudgedAndGoneOnWith) {
  const Ended trained = run({"train", "verse.toml", "--out", "run"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(has(trained.out, "perplexity 1.")) << trained.out;
  const Ended judged = run({"evaluate", "run", "--data", "verse.txt", "--json"});
  ASSERT_EQ(judged.code, 0) << judged.err;
  EXPECT_GT(judged.json().at("accuracy"), 0.9);
  EXPECT_FALSE(judged.json().contains("confusion"));

  const Ended shown = run({"generate", "run", "--prompt", "the cat sat on t", "--length", "8", "--greedy"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(shown.out, "the cat sat on the mat; \n");
  const std::vector<std::string> drawn{"generate", "run", "--prompt", "the", "--temperature", "2",
                                       "--top-k",  "5",   "--length", "50",  "--json",        "--seed"};
  const auto text_of = [&](const char* seed) {
    std::vector<std::string> arguments = drawn;
    arguments.emplace_back(seed);
    return run(arguments).json().at("text").get<std::string>();
  };
  EXPECT_EQ(text_of("1").size(), 50u);
  EXPECT_EQ(text_of("1"), text_of("1"));
  EXPECT_NE(text_of("1"), text_of("2"));

  // Of a prompt that is longer than the window the end counts.
  std::string verse;
  while (verse.size() < 200) verse += "the cat sat on the mat; ";
  const Ended far = run({"generate", "run", "--prompt", verse + "the cat sat on t", "--length", "8", "--greedy"});
  EXPECT_EQ(far.code, 0) << far.err;
  EXPECT_EQ(far.out, verse + "the cat sat on the mat; \n");
  const Ended broken = run({"generate", "run", "--prompt", "the\xff"});
  EXPECT_EQ(broken.code, 1);
  EXPECT_EQ(broken.complaint(), "the prompt: byte 3 begins no character in UTF-8");

  const Ended unknown = run({"generate", "run", "--prompt", "the dog"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_EQ(unknown.complaint(), "the prompt: the character 'd' at byte 4 is not one of the 11 that are known");
  EXPECT_EQ(run({"generate", "run", "--prompt", ""}).code, 2);
  EXPECT_EQ(run({"generate", "run", "--temperature", "-1"}).code, 2);
  EXPECT_EQ(run({"generate", "run", "--length", "0"}).code, 2);
  EXPECT_TRUE(has(run({"predict", "run", "verse.txt"}).complaint(), "descent generate"));
}

TEST_F(VerseRun, SaysWhatIsWrongWithTheText) {
  file("bad.txt", "the cat\xff sat on the mat");
  file("short.txt", "the cat");
  const auto complaint = [&](const std::string& name) {
    const Ended ended = run({"train", "verse.toml", "--set", "data.text=" + name, "--out", "bad"});
    EXPECT_EQ(ended.code, 1);
    return ended.complaint();
  };
  EXPECT_TRUE(has(complaint("bad.txt"), "bad.txt: byte 7 begins no character in UTF-8"));
  EXPECT_TRUE(has(complaint("short.txt"), "too few for a window of 16"));
  EXPECT_TRUE(has(complaint("gone.txt"), "gone.txt"));
}

TEST_F(TableRun, IsNoText) {
  ASSERT_EQ(run({"train", "recipe.toml", "--out", "run", "--set", "train.epochs=1"}).code, 0);
  const Ended ended = run({"generate", "run"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_EQ(ended.complaint(), "run was not trained on text");
}

}  // namespace
}  // namespace descent::cli
