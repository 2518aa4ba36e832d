// Talking with a net that has learnt a few conversations by heart.
#include "descent/tasks/chat.h"

#include <fstream>

#include "descent/data/utf8.h"
#include "descent/tasks/language.h"
#include "tests/unit/data_testing.h"

namespace descent::tasks {
namespace {

using TalkRun = tasks::Run;  // within a test, Run is GoogleTest's

// One net for all tests.
class Talking : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::filesystem::temp_directory_path() / text("descent_chat_", getpid());
    std::filesystem::create_directories(folder_);
    std::ofstream file(folder_ / "talks.tsv", std::ios::binary);
    for (int i = 0; i < 200; ++i)
      for (const std::string& turn :
           {std::string("hi"), std::string("hello you"), std::string("how are you"), text("fine, ", i)})
        file << i << "\tsomebody\t" << turn << "\n";
    file.close();
    train_run(recipe(), {.directory = folder_ / "run", .progress = nullptr});
    run_ = new TalkRun(load_run(folder_ / "run"));
  }
  static void TearDownTestSuite() {
    delete run_;
    std::filesystem::remove_all(folder_);
  }

  static Recipe recipe(const std::vector<std::string>& overrides = {}) {
    return parse_recipe(R"(
task = "language"
[net]
kind = "decoder"
outputs = 280
layers = 1
heads = 2
width = 48
positions = "rotary"
[data]
dialogue = "talks.tsv"
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
)",
                        folder_ / "recipe.toml", overrides);
  }
  static const TalkRun& run() { return *run_; }
  static ChatOptions greedy() { return {.sampling = {.temperature = 0}}; }

  static std::filesystem::path folder_;
  static TalkRun* run_;
};
std::filesystem::path Talking::folder_;
TalkRun* Talking::run_ = nullptr;

TEST_F(Talking, AnswersAndRemembersWhatWasSaid) {
  Chat chat(run(), greedy());
  EXPECT_EQ(chat.answer("hi").text, "hello you");
  EXPECT_EQ(chat.answer(" how are you\n").text.substr(0, 6), "fine, ");
  EXPECT_EQ(chat.turns().size(), 4u);
  EXPECT_EQ(chat.turns()[2], "how are you");
}

// What is told piece by piece is the reply.
TEST_F(Talking, TellsWhatItSays) {
  Chat chat(run(), {.sampling = {.temperature = 3}, .length = 12, .seed = 7});
  for (int i = 0; i < 5; ++i) {
    std::string told;
    const Reply reply = chat.answer("hi", [&](const std::string& piece) {
      std::string_view rest = piece;
      while (!rest.empty()) EXPECT_TRUE(data::next_code(rest).has_value());
      told += piece;
      return true;
    });
    EXPECT_EQ(told.substr(0, told.find_last_not_of(" \n\t\r\v\f") + 1), reply.text);
    EXPECT_GE(reply.tokens, 1);
    EXPECT_LE(reply.tokens, 12);
  }
}

TEST_F(Talking, StopsWhenItIsTold) {
  Chat chat(run(), greedy());
  const Reply reply = chat.answer("hi", [](const std::string&) { return false; });
  EXPECT_EQ(reply.tokens, 1);
}

TEST_F(Talking, IsTheSameForTheSameSeed) {
  const auto said = [&](uint64_t seed) {
    Chat chat(run(), {.sampling = {.temperature = 2}, .seed = seed});
    return chat.answer("hi").text + chat.answer("how").text;
  };
  EXPECT_EQ(said(1), said(1));
  EXPECT_NE(said(1), said(2));
}

TEST_F(Talking, SearchesForTheLikeliestReply) {
  Chat chat(run(), {.beam = 4});
  EXPECT_EQ(chat.answer("hi").text, "hello you");
}

// The oldest turns are forgotten, whole ones, and the roles of the others stay.
TEST_F(Talking, ForgetsTheOldestTurns) {
  Chat chat(run(), greedy());
  int64_t forgotten = 0;
  for (int i = 0; i < 8; ++i) {
    const Reply reply = chat.answer(i % 2 == 0 ? "hi" : "how are you");
    forgotten += reply.turns_forgotten;
    EXPECT_EQ(reply.tokens_cut, 0);
    EXPECT_EQ(std::ssize(chat.turns()), 2 * (i + 1) - forgotten);
    EXPECT_EQ(chat.turns()[chat.turns().size() - 2], i % 2 == 0 ? "hi" : "how are you");
  }
  EXPECT_GT(forgotten, 4);
  EXPECT_LT(chat.turns().size(), 12u);
}

TEST_F(Talking, SeesTheEndOfWhatIsTooLong) {
  Chat chat(run(), greedy());
  chat.answer("hi");
  std::string turn;
  for (int i = 0; i < 300; ++i) turn += "zq" + std::to_string(i);
  const Reply reply = chat.answer(turn + " how are you");
  EXPECT_GT(reply.tokens_cut, 500);
  EXPECT_EQ(reply.turns_forgotten, 2);
  EXPECT_GE(reply.tokens, 1);
  EXPECT_EQ(chat.turns().size(), 2u);
  EXPECT_GE(chat.answer("hi").tokens, 1);
}

TEST_F(Talking, SaysWhatItCannotAnswer) {
  Chat chat(run(), greedy());
  EXPECT_EQ(data::error_of([&] { chat.answer("h\xff"); }), "what was said is no text in UTF-8");
  EXPECT_EQ(data::error_of([&] { chat.answer(" \t"); }), "nothing was said that could be answered");
  EXPECT_TRUE(chat.turns().empty());
  EXPECT_EQ(chat.answer("hi").text, "hello you");
  TalkRun other = run();
  other.preprocess.conversations = false;
  EXPECT_THROW(Chat(other, {}), UsageError);
}

// A reply that is nothing but spaces is an empty one: it is said so, and the conversation goes on.
TEST_F(Talking, MaySayNothing) {
  const Recipe characters = recipe({"data.tokens=0", "net.outputs=27", "train.epochs=1", "data.windows=16"});
  const Experiment experiment = prepare(characters);
  for (const nn::ParameterPtr& parameter : nn::all_parameters(*experiment.net))
    parameter->assign(Array(parameter->type()));  // all tokens have one score, and the first of them is a space
  TalkRun silent{"run", characters, experiment.preprocess, experiment.net, experiment.loss, ""};
  ASSERT_EQ(silent.preprocess.tokenizer->decode(0), " ");
  for (const ChatOptions& options : {greedy(), ChatOptions{.beam = 2, .length = 5}}) {
    Chat chat(silent, options);
    std::string told;
    const Reply reply = chat.answer("hi", [&](const std::string& piece) {
      told += piece;
      return true;
    });
    EXPECT_EQ(reply.text, "");
    EXPECT_EQ(told, "");
    EXPECT_GE(chat.answer("how are you").tokens, 0);
    EXPECT_EQ(chat.turns().size(), 4u);
    EXPECT_EQ(chat.turns()[1], "");
  }
}

// A run has all that it needs: the data may be gone.
TEST_F(Talking, NeedsTheRunAlone) {
  std::filesystem::rename(folder_ / "talks.tsv", folder_ / "gone.tsv");
  Chat chat(load_run(folder_ / "run"), greedy());
  EXPECT_EQ(chat.answer("hi").text, "hello you");
  std::filesystem::rename(folder_ / "gone.tsv", folder_ / "talks.tsv");
}

// What is judged: perplexity of held-out conversations, beside a 5-gram's; other files in the run's tokens.
TEST_F(Talking, IsJudgedBesideCounting) {
  const data::Dataset test = run().examples("test"), train = run().examples("train");
  const std::optional<NGramBaseline> counted = ngram_baseline(train, test);
  ASSERT_TRUE(counted.has_value());
  EXPECT_GT(counted->perplexity(), 1);
  EXPECT_LT(counted->perplexity(), 3);
  EXPECT_EQ(counted->to_text({{"perplexity", counted->perplexity() / 2}}).substr(0, 7), "5-gram ");
  EXPECT_NE(counted->to_text({{"perplexity", counted->perplexity() / 2}}).find("50.0% lower"), std::string::npos);
  const train::Figures figures = train::evaluate(*run().net, run().loss, test, run().evaluate_options()).figures;
  EXPECT_LT(train::figure(figures, "perplexity").value(), 3);
  EXPECT_GT(run().examples((folder_ / "talks.tsv").string()).size(), test.size());
  EXPECT_FALSE(ngram_baseline({}, test).has_value());
}

TEST_F(Talking, RecipesSayWhatIsWrong) {
  const auto sentence = [](const std::vector<std::string>& overrides) {
    return data::error_of([&] { prepare(recipe(overrides)); });
  };
  EXPECT_NE(sentence({"data.tokens=200"}).find("'tokens' must be 0, for characters, or at least 259, got 200"),
            std::string::npos);
  EXPECT_NE(sentence({"data.dialogue=talks.tsv,,"}).find("'dialogue' names nothing between two commas"),
            std::string::npos);
  EXPECT_NE(sentence({"net.outputs=300"}).find("did you mean outputs = 280?"), std::string::npos);
  EXPECT_NE(sentence({"data.tokens=0"}).find("did you mean outputs = "), std::string::npos);
  EXPECT_NE(sentence({"data.dialogue=none.tsv"}).find("none.tsv"), std::string::npos);
}

}  // namespace
}  // namespace descent::tasks
