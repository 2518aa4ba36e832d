// Go as a user meets it: games looked at, a small net trained on them, asked about a game, and played with.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
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
  EXPECT_NE(drawn.out.find("    A B C D E\n 5  X "), std::string::npos) << drawn.out;
  EXPECT_NE(drawn.out.find("\n5  "), std::string::npos) << "five moves: " << drawn.out;
  EXPECT_NE(drawn.out.find("move 3, black to play; B5 was played"), std::string::npos) << drawn.out;
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

TEST_F(GoCli, ANetOfAnotherWidthIsRefused) {
  const Output refused = run("train " + path("net.toml") + " --set layers.1.features=27 --out " + path("run"));
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.out.find("26 classes (A5, B5, C5, D5, E5, A4, ...)"), std::string::npos) << refused.out;
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
