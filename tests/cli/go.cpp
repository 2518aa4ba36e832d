// Go as a user meets it: games looked at, a small net trained on them, asked about a game, and played with.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Output {
  int status = 0;
  std::string out;  // standard output and errors
  json last() const {
    const size_t end = out.find_last_not_of('\n');
    return json::parse(out.substr(out.find_last_of('\n', end) + 1));
  }
};

Output run(const std::string& arguments, const std::string& input = "") {
  Output result;
  const std::string command = "printf '" + input + "' | " + DESCENT_BINARY + " " + arguments + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> buffer;
  while (const size_t count = fread(buffer.data(), 1, buffer.size(), pipe)) result.out.append(buffer.data(), count);
  result.status = WEXITSTATUS(pclose(pipe));
  return result;
}

constexpr std::string_view net = R"(task = "classify"
layers = [ { kind = "flatten" }, { kind = "linear", features = 26 } ]
[data]
go = "games"
board = 5
validation = 0.1
test = 0.1
[optimizer]
kind = "adam"
learning_rate = 0.01
[train]
epochs = 3
batch_size = 64
)";

// Sixty games on 5x5, in which both fill the board from a corner on.
class GoCli : public testing::Test {
 protected:
  GoCli() : folder_(fs::temp_directory_path() / ("descent_cli_go_" + std::to_string(getpid()))) {
    fs::create_directories(folder_ / "games");
    for (int i = 0; i < 60; ++i) std::ofstream(path("games/" + std::to_string(i) + ".sgf")) << game(i);
    std::ofstream(path("net.toml")) << net;
  }
  ~GoCli() override { fs::remove_all(folder_); }

  static std::string game(int number) {
    std::ostringstream out;
    out << "(;SZ[5]KM[5.5]RE[B+1]";
    for (int i = 0; i < 14; ++i) {
      const int p = i % 2 ? 24 - (i / 2 + number % 5) % 12 : (i / 2 + number / 5) % 12;
      out << (i % 2 ? ";W[" : ";B[") << static_cast<char>('a' + p % 5) << static_cast<char>('a' + p / 5) << "]";
    }
    return out.str() + ")";
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  fs::path folder_;
};

TEST_F(GoCli, FromGamesToAPlayer) {
  const json shown = run("data show " + path("games") + " --json").last();
  EXPECT_EQ(shown["games"], 60);
  EXPECT_EQ(shown["positions"], 840);
  EXPECT_EQ(shown["kinds"]["5x5, even"], 60);

  const Output trained = run("train " + path("net.toml") + " --json --out " + path("run"));
  ASSERT_EQ(trained.status, 0) << trained.out;
  EXPECT_GT(trained.last()["train"]["accuracy"], 0.1) << "chance is 0.04";
  const json judged = run("evaluate " + path("run") + " --data " + path("games") + " --json").last();
  EXPECT_GT(judged["accuracy"], 0.1) << judged;

  const Output drawn = run("predict " + path("run") + " " + path("games/0.sgf") + " --move 3 --views 8");
  ASSERT_EQ(drawn.status, 0) << drawn.out;
  const std::regex picture(
      "    A B C D E\n"
      " 5  X [.1-5] [.1-5] [.1-5] [.1-5] 5\n"
      "( [432]  [.1-5] [.1-5] [+.1-5] [.1-5] [.1-5] [432]\n){3}"
      " 1  [.1-5] [.1-5] [.1-5] [.1-5]\\(O\\)1\n"
      "    A B C D E\n"
      "([1-5]  ([A-E][1-5]  |pass) ([1-5]-[1-5]|pass ) {3,5}[0-9]{1,2}\\.[0-9]%\n){5}"
      ".*/games/0\\.sgf: move 3, black to play; B5 was played\n");
  EXPECT_TRUE(std::regex_match(drawn.out, picture)) << drawn.out;
  const json moves = run("predict " + path("run") + " " + path("games/0.sgf") + " --json").last()["predictions"][0];
  EXPECT_EQ(moves["move"], 15);
  EXPECT_EQ(moves["moves"].size(), 5);
  EXPECT_FALSE(moves.contains("played"));
  EXPECT_EQ(run("predict " + path("run") + " " + path("games/0.sgf") + " --move 99").status, 1);

  const Output played =
      run("play " + path("run"), "1 boardsize 9\\n2 genmove b\\n3 genmove w\\n4 showboard\\n5 quit\\n");
  ASSERT_EQ(played.status, 0) << played.out;
  EXPECT_TRUE(played.out.starts_with("?1 unacceptable size\n\n=2 ")) << played.out;
  EXPECT_NE(played.out.find("=5 \n\n"), std::string::npos) << played.out;
  const Output search = run("play " + path("run") + " --visits 10");
  EXPECT_EQ(search.status, 2) << search.out;
  EXPECT_NE(search.out.find("says nothing of who wins"), std::string::npos);
}

TEST_F(GoCli, ANetWithAValueSearches) {
  const Output trained =
      run("train " + path("net.toml") + " --set layers.1.features=27 --set loss.kind=policy_and_value --json --out " +
          path("run"));
  ASSERT_EQ(trained.status, 0) << trained.out;
  EXPECT_EQ(trained.last()["test"]["value_accuracy"], 1.0) << "Black always wins: " << trained.out;
  const json judged = run("evaluate " + path("run") + " --data " + path("games") + " --json").last();
  EXPECT_TRUE(judged.contains("value_accuracy")) << judged;
  const json moves =
      run("predict " + path("run") + " " + path("games/0.sgf") + " --json --move 1").last()["predictions"][0];
  EXPECT_GT(moves["winning"], 0.5) << moves;
  const Output played = run("play " + path("run") + " --visits 20 --views 8", "genmove b\\ngenmove w\\nquit\\n");
  ASSERT_EQ(played.status, 0) << played.out;
  EXPECT_TRUE(played.out.starts_with("= ")) << played.out;
  EXPECT_EQ(played.out.find('?'), std::string::npos) << played.out;
}

// The ready net, as recipes/go.toml has it, on the small games.
constexpr std::string_view ready = R"(net = { kind = "go-resnet", width = 8, blocks = 1 }
[data]
go = "games"
board = 5
validation = 0.1
test = 0.1
[loss]
kind = "policy_and_value"
value_weight = 0.25
[schedule]
kind = "one_cycle"
[train]
epochs = 12
epoch_size = 320
batch_size = 32
top_k = 5
checkpoint_seconds = 0.05
)";

TEST_F(GoCli, TheReadyNetIsTheSameWheneverItWasKilled) {
  std::ofstream(path("ready.toml")) << ready;
  const json whole = run("train " + path("ready.toml") + " --threads 1 --json --out " + path("whole")).last();
  EXPECT_EQ(whole["steps"], 120);
  EXPECT_GT(whole["test"]["accuracy"], 0.1) << whole;
  EXPECT_GT(whole["test"]["top_5_accuracy"], whole["test"]["accuracy"]);
  EXPECT_LT(whole["test"]["value_loss"], 0.6931) << "Black always wins: " << whole;
  const json again = run("train " + path("ready.toml") + " --threads 2 --json --out " + path("again")).last();
  EXPECT_EQ(again["weights_sha256"], whole["weights_sha256"]);
  EXPECT_EQ(again["test"], whole["test"]);

  int kills = 0;
  for (int round = 0; round < 40 && kills < 5; ++round) {
    const bool begun = fs::exists(path("killed/run.json"));
    if (!begun) fs::remove_all(path("killed"));
    const std::string what = begun ? "--resume " + path("killed") : path("ready.toml") + " --out " + path("killed");
    const std::string limit = "timeout -s KILL 0." + std::to_string(2 + round % 5) + " ";
    const int status = std::system((limit + DESCENT_BINARY + " train " + what + " >/dev/null 2>&1").c_str());
    if (WEXITSTATUS(status) == 0) break;  // it had ended
    ++kills;
  }
  const json end = run("train --resume " + path("killed") + " --json").last();
  EXPECT_GT(kills, 0);
  EXPECT_EQ(end["weights_sha256"], whole["weights_sha256"]);
  EXPECT_EQ(end["test"], whole["test"]);
}

TEST_F(GoCli, EvaluatesTheMeanOfEightViews) {
  std::ofstream(path("ready.toml")) << ready;
  run("train " + path("ready.toml") + " --out " + path("run"));
  const std::string evaluate = "evaluate " + path("run") + " --data " + path("games") + " --json";
  const json one = run(evaluate).last(), all = run(evaluate + " --views 8").last();
  EXPECT_EQ(one["examples"], 840);
  EXPECT_FALSE(one.contains("views"));
  EXPECT_FALSE(one.contains("confusion"));
  EXPECT_EQ(all["views"], 8);
  for (const char* figure : {"accuracy", "top_5_accuracy", "value_accuracy", "value_loss"})
    EXPECT_TRUE(all.contains(figure)) << figure;
  EXPECT_NE(all["loss"], one["loss"]);
  EXPECT_LT(all["loss"], one["loss"].get<double>() + 0.1) << "a mean of views is no worse: " << all;
  EXPECT_NE(run(evaluate + " --flip").out.find("--flip and --shift are for images"), std::string::npos);
}

TEST_F(GoCli, ANetOfAnotherWidthIsRefused) {
  const Output refused = run("train " + path("net.toml") + " --set layers.1.features=27 --out " + path("run"));
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.out.find("26 classes (A5, B5, C5, D5, E5, A4, ...)"), std::string::npos) << refused.out;
}

TEST_F(GoCli, AReadyNetWithoutAValueIsRefusedIfOneIsWanted) {
  std::ofstream(path("ready.toml")) << ready;
  const Output refused = run("train " + path("ready.toml") + " --set net.with_value=false --out " + path("run"));
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.out.find("26 classes (A5, B5, C5, D5, E5, A4, ...) and a value\n"), std::string::npos)
      << refused.out;
}

TEST_F(GoCli, SaysWhatIsWrong) {
  EXPECT_NE(
      run("train " + path("net.toml") + " --set data.go=nowhere").out.find("nowhere: there is no such file or folder"),
      std::string::npos);
  EXPECT_NE(run("train " + path("net.toml") + " --set data.board=9").out.find("the training part would have no game"),
            std::string::npos);
  EXPECT_EQ(run("data show " + path("net.toml")).status, 1);
  EXPECT_EQ(run("play " + path("nothing")).status, 2);
}

}  // namespace
