// Conversations on the command line: learnt, judged, continued, and ended.
#include "cli_testing.h"

namespace descent::cli {
namespace {

class TalkRun : public Program {
 protected:
  TalkRun() {
    std::string talks;
    for (int i = 0; i < 200; ++i) talks += "hi\nhello you\nhow are you\nfine, " + std::to_string(i) + "\n\n";
    file("talks.txt", talks);
    file("talk.toml", R"(
task = "language"
[net]
kind = "decoder"
outputs = 280
layers = 1
heads = 2
width = 48
positions = "rotary"
[data]
dialogue = "talks.txt"
tokens = 280
context = 40
windows = 400
validation = 0.1
test = 0.1
[optimizer]
kind = "adamw"
learning_rate = 0.01
[train]
epochs = 5
batch_size = 16
precision = "f32"
)");
  }

  // Talks with the run by standard input.
  Ended talk(const std::string& said) const {
    file("said.txt", said);
    return run({"chat", "run", "--greedy"}, [] { ::dup2(::open("said.txt", O_RDONLY), STDIN_FILENO); });
  }
};

TEST_F(TalkRun, IsTrainedJudgedAndTalkedWith) {
  const Ended trained = run({"train", "talk.toml", "--out", "run"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(has(trained.out, "5-gram ")) << trained.out;
  const Ended judged = run({"evaluate", "run", "--json"});
  ASSERT_EQ(judged.code, 0) << judged.err;
  EXPECT_GT(judged.json().at("baseline").at("perplexity"), 1);
  EXPECT_TRUE(has(run({"evaluate", "run"}).out, "; the net's is ")) << judged.out;

  const Ended said = run({"chat", "run", "--say", "hi", "--greedy"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(said.out, "hello you\n");
  const Json twice = run({"chat", "run", "--say", "hi", "--say", "how are you", "--json", "--seed", "3"}).json();
  EXPECT_EQ(twice.at("replies").size(), 2u);
  EXPECT_EQ(twice.at("replies")[0].at("reply"), "hello you");
  EXPECT_EQ(twice, run({"chat", "run", "--say", "hi", "--say", "how are you", "--json", "--seed", "3"}).json());
  EXPECT_EQ(run({"chat", "run", "--say", "hi", "--beam", "3"}).out, "hello you\n");

  EXPECT_EQ(talk("hi\nhow are you\n").out.substr(0, 16), "hello you\nfine, ");
  EXPECT_EQ(talk("hi").out, "hello you\n");
  EXPECT_EQ(talk("").out, "");
  const Ended bad = talk("\xff\nhi\n");
  EXPECT_EQ(bad.code, 0);
  EXPECT_EQ(bad.out, "hello you\n");
  EXPECT_TRUE(has(bad.err, "no text in UTF-8")) << bad.err;
  EXPECT_TRUE(has(talk(std::string(5000, 'q') + "\n").err, "too long for the net's window")) << bad.err;

  const Ended none = run({"chat", "run", "--say", " "});
  EXPECT_EQ(none.code, 2);
  EXPECT_EQ(none.complaint(), "nothing was said that could be answered");
  const Ended broken = run({"chat", "run", "--say", "hi", "--say", "h\xff"});
  EXPECT_EQ(broken.code, 2);
  EXPECT_TRUE(has(broken.complaint(), "no text in UTF-8")) << broken.err;
  EXPECT_EQ(run({"chat", "run", "--json"}).code, 2);
  EXPECT_EQ(run({"chat", "run", "--say", "hi", "--top-p", "0"}).code, 2);
  EXPECT_TRUE(has(run({"generate", "run", "--prompt", "h\xff", "--length", "5", "--json"}).out, "\"text\""));

  // Without the data that it was trained on it is judged on others, and talks.
  std::string others_said;
  for (int i = 0; i < 20; ++i) others_said += "hi\nhello you\nhow are you\nfine, " + std::to_string(i) + "\n\n";
  file("others.txt", others_said);
  fs::rename(folder_ / "talks.txt", folder_ / "gone.txt");
  const Ended others = run({"evaluate", "run", "--data", "others.txt"});
  EXPECT_EQ(others.code, 0) << others.err;
  EXPECT_TRUE(has(others.out, "perplexity")) << others.out;
  EXPECT_TRUE(has(others.err, "there is no n-gram to compare with")) << others.err;
  EXPECT_EQ(run({"chat", "run", "--say", "hi", "--greedy"}).out, "hello you\n");

  // Ctrl-C ends the conversation, cleanly.
  fs::remove(folder_ / "out.txt");  // what earlier ones said
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = start({"chat", "run"}, [&] { ::dup2(ends[0], STDIN_FILENO); });
  ASSERT_EQ(::write(ends[1], "hi\n", 3), 3);
  for (int i = 0; i < 600 && !has(content(folder_ / "out.txt"), "\n"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  ::kill(child, SIGINT);
  const Ended ended = wait(child);
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.err, "");
  ::close(ends[0]);
  ::close(ends[1]);
}

// A run that reads and then answers talks as one does that goes on.
TEST_F(TalkRun, OfAnEncoderAndADecoder) {
  const Ended trained = run({"train", "talk.toml", "--out", "run", "--set", "task=reply", "--set",
                             "net.kind=encoder_decoder", "--set", "net.cell=gru", "--set", "data.windows=0", "--set",
                             "data.context=24", "--set", "train.epochs=6", "--threads", "1"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(has(trained.out, "5-gram ")) << trained.out;
  EXPECT_TRUE(has(trained.out, "perplexity ")) << trained.out;
  EXPECT_GT(run({"evaluate", "run", "--json"}).json().at("baseline").at("perplexity"), 1);
  EXPECT_EQ(run({"chat", "run", "--say", "hi", "--greedy"}).out, "hello you\n");
  EXPECT_EQ(run({"chat", "run", "--say", "hi", "--beam", "3"}).out, "hello you\n");
  EXPECT_EQ(talk("hi\nhow are you\n").out.substr(0, 16), "hello you\nfine, ");
  EXPECT_TRUE(has(talk(std::string(5000, 'q') + "\n").err, "too long for the net's window"));
  const Ended generated = run({"generate", "run"});
  EXPECT_EQ(generated.code, 2);
  EXPECT_TRUE(has(generated.complaint(), "descent chat")) << generated.err;
}

TEST_F(TalkRun, ThatIsNone) {
  file("verse.txt", std::string(300, 'a') + "b");
  const std::vector<std::string> train{"train", "talk.toml",         "--out", "verse",
                                       "--set", "data.dialogue=",    "--set", "data.text=verse.txt",
                                       "--set", "data.tokens=0",     "--set", "net.outputs=2",
                                       "--set", "data.validation=0", "--set", "data.test=0",
                                       "--set", "train.epochs=1"};
  ASSERT_EQ(run(train).code, 0);
  const Ended ended = run({"chat", "verse", "--say", "hi"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_TRUE(has(ended.complaint(), "was not trained on conversations")) << ended.err;
}

TEST_F(Program, LearnsTokens) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "the cat sat on the mat \xe7\x8c\xab\xff\n";
  file("some.txt", text);
  const Ended ended = run({"data", "tokens", "some.txt", "--size", "270", "--out", "tokens.json", "--json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.json().at("tokens"), 270);
  EXPECT_EQ(ended.json().at("bytes"), text.size());
  EXPECT_GT(ended.json().at("bytes_per_token"), 1.5);
  EXPECT_EQ(Json::parse(content(folder_ / "tokens.json")).at("byte_pairs").size(), 14u);
  EXPECT_TRUE(has(run({"data", "tokens", "some.txt"}).out, "every byte comes back"));
  EXPECT_EQ(run({"data", "tokens", "some.txt", "--size", "100"}).code, 2);
  EXPECT_EQ(run({"data", "tokens", "none.txt"}).code, 2);
}

}  // namespace
}  // namespace descent::cli
