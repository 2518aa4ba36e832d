// The program as a user types it: what it prints, what it leaves behind, how it exits.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Output {
  int status = 0;
  std::string standard, out;  // standard output, and both
  json last() const {         // the last line of standard output
    const size_t end = standard.find_last_not_of('\n');
    return json::parse(standard.substr(standard.find_last_of('\n', end) + 1));
  }
};

Output run(const std::string& arguments) {
  const std::string errors = (fs::temp_directory_path() / ("descent_cli_errors_" + std::to_string(getpid()))).string();
  Output result;
  FILE* pipe = popen((std::string(DESCENT_BINARY) + " " + arguments + " 2>" + errors).c_str(), "r");
  std::array<char, 4096> buffer;
  while (const size_t count = fread(buffer.data(), 1, buffer.size(), pipe)) result.standard.append(buffer.data(), count);
  result.status = WEXITSTATUS(pclose(pipe));
  std::ifstream file(errors);
  result.out = result.standard + std::string(std::istreambuf_iterator<char>(file), {});
  fs::remove(errors);
  return result;
}

class Cli : public testing::Test {
 protected:
  Cli() : folder_(fs::temp_directory_path() / ("descent_cli_" + std::to_string(getpid()) + "_" + testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::create_directories(folder_);
  }
  ~Cli() override { fs::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name) << content;
    return (folder_ / name).string();
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  static std::string recipe(const std::string& name) { return std::string(DESCENT_SOURCE_DIR) + "/recipes/" + name; }

  fs::path folder_;
};

TEST_F(Cli, APerceptronLearnsAndButNotXor) {
  const json yes = run("train " + recipe("perceptron-and.toml") + " --json --out " + path("and")).last();
  EXPECT_EQ(yes["train"]["accuracy"], 1.0);
  const Output no = run("train " + recipe("perceptron-xor.toml") + " --json --out " + path("xor"));
  EXPECT_LE(no.last()["train"]["accuracy"], 0.75);
  EXPECT_NE(no.out.find("no line separates the classes"), std::string::npos) << no.out;
  const json cured = run("train " + recipe("xor.toml") + " --json --out " + path("cured")).last();
  EXPECT_EQ(cured["train"]["accuracy"], 1.0);
}

TEST_F(Cli, TheReportHasWhatScriptsNeed) {
  const json report = run("train " + recipe("xor.toml") + " --json --seed 3 --set train.epochs=5 --out " + path("run")).last();
  for (const char* key : {"run", "seed", "epochs", "steps", "seconds", "samples_per_second", "precision", "train", "validation", "test", "weights_sha256"})
    EXPECT_TRUE(report.contains(key)) << key;
  EXPECT_EQ(report["seed"], 3);
  EXPECT_EQ(report["epochs"], 5);
  EXPECT_EQ(report["steps"], 5);
}

TEST_F(Cli, TheSameSeedGivesTheSameWeights) {
  const auto weights = [&](const std::string& name, const std::string& flags) {
    return run("train " + recipe("xor.toml") + " --json --set train.epochs=20 " + flags + " --out " + path(name)).last()["weights_sha256"];
  };
  const json first = weights("a", "--seed 1"), again = weights("b", "--seed 1"), other = weights("c", "--seed 2");
  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
  EXPECT_EQ(first, weights("d", "--seed 1 --threads 1"));
}

TEST_F(Cli, BadUseIsTwoAndOneSentence) {
  EXPECT_EQ(run("").status, 2);
  EXPECT_EQ(run("trane x.toml").status, 2);
  EXPECT_EQ(run("train nothing.toml").status, 2);
  EXPECT_EQ(run("--help").status, 0);
  const Output unknown_key = run("train " + file("key.toml", "task = \"classify\"\n[train]\nepocs = 3\n"));
  EXPECT_EQ(unknown_key.status, 2);
  EXPECT_NE(unknown_key.out.find("key.toml:3"), std::string::npos) << unknown_key.out;
  EXPECT_NE(unknown_key.out.find("epochs"), std::string::npos) << unknown_key.out;
  const Output unknown_layer = run("train " + file("layer.toml", "layers = [\n{ kind = \"liner\" }]\n[data]\nname = \"iris\"\n"));
  EXPECT_EQ(unknown_layer.status, 2);
  EXPECT_NE(unknown_layer.out.find("did you mean 'linear'"), std::string::npos) << unknown_layer.out;
  EXPECT_EQ(run("ops sofmax").status, 2);
  EXPECT_NE(run("ops sofmax").out.find("softmax"), std::string::npos);
  EXPECT_EQ(run("train " + recipe("xor.toml") + " --precision f8").status, 2);
}

TEST_F(Cli, ResumingWithAnotherRecipeIsRefused) {
  run("train " + recipe("xor.toml") + " --set train.epochs=3 --out " + path("run"));
  const Output changed = run("train " + recipe("xor.toml") + " --set train.epochs=3 --set optimizer.learning_rate=0.5 --resume " + path("run"));
  EXPECT_EQ(changed.status, 2);
  EXPECT_NE(changed.out.find("optimizer.learning_rate"), std::string::npos) << changed.out;
}

TEST_F(Cli, ARunThatExplodesSaysWhere) {
  const Output out = run("train " + file("explode.toml", "task=\"regress\"\nlayers=[{kind=\"linear\",features=1}]\n[data]\ntable=\"\"\"\nx,y\n1,2\n2,3\n3,5\n4,9\n\"\"\"\ntarget=\"y\"\nvalidation=0\ntest=0\n"
                                                          "[optimizer]\nkind=\"sgd\"\nlearning_rate=1e20\n[train]\nepochs=50\nbatch_size=4\n") +
                         " --out " + path("run"));
  EXPECT_EQ(out.status, 1);
  for (const char* part : {"step ", "learning rate", "try"}) EXPECT_NE(out.out.find(part), std::string::npos) << part << " in " << out.out;
}

// --- killed and resumed ---

const char* const slow_recipe = R"(
layers = [
  { kind = "linear", features = 64 },
  { kind = "relu" },
  { kind = "dropout", rate = 0.3 },
  { kind = "linear", features = 2 },
]
[data]
table = """
ROWS"""
target = "c"
validation = 0
test = 0
[optimizer]
kind = "adamw"
learning_rate = 0.003
[schedule]
kind = "cosine"
[train]
epochs = 3000
batch_size = 8
)";

std::string recipe_with_rows() {
  std::mt19937 draw(5);
  std::string rows = "a,b,c\n";
  for (int i = 0; i < 400; ++i) {
    const int a = static_cast<int>(draw() % 100), b = static_cast<int>(draw() % 100);
    rows += std::to_string(a) + "," + std::to_string(b) + "," + (a * b > 2500 ? "yes" : "no") + "\n";
  }
  std::string text = slow_recipe;
  return text.replace(text.find("ROWS"), 4, rows);
}

// Starts a training, kills it after `milliseconds`; says whether it was still running.
bool killed_after(const std::vector<std::string>& arguments, int milliseconds) {
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    (void)!freopen("/dev/null", "w", stdout);
    (void)!freopen("/dev/null", "w", stderr);
    execv(DESCENT_BINARY, argv.data());
    _exit(127);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status);
}

TEST_F(Cli, KilledAtTwentyMomentsItEndsAsIfNothingHadHappened) {
  const std::string recipe_file = file("slow.toml", recipe_with_rows());
  const json whole = run("train " + recipe_file + " --json --out " + path("whole")).last();
  std::mt19937 draw(7);
  killed_after({"descent", "train", recipe_file, "--out", path("run")}, 80);
  int kills = 0;
  for (int i = 0; i < 20; ++i) {
    if (!fs::exists(folder_ / "run" / "run.json")) {  // killed before it was a run: begin again
      fs::remove_all(folder_ / "run");
      kills += killed_after({"descent", "train", recipe_file, "--out", path("run")}, 60 + static_cast<int>(draw() % 100));
    } else {
      kills += killed_after({"descent", "train", "--resume", path("run")}, 30 + static_cast<int>(draw() % 120));
    }
  }
  EXPECT_GE(kills, 5);
  const bool begun = fs::exists(folder_ / "run" / "run.json");
  const Output end = run(begun ? "train --json --resume " + path("run") : "train " + recipe_file + " --json --out " + path("run"));
  EXPECT_EQ(end.last()["weights_sha256"], whole["weights_sha256"]) << end.out;
  EXPECT_EQ(end.last()["steps"], whole["steps"]);
}

TEST_F(Cli, EvaluatePredictAndInspectARun) {
  const std::string recipe_file = file("slow.toml", recipe_with_rows());
  run("train " + recipe_file + " --set train.epochs=5 --out " + path("run"));
  const std::string rows = file("rows.csv", "a,b,c\n90,90,yes\n1,1,no\n");
  const json evaluated = run("evaluate " + path("run") + " --json --data " + rows).last();
  EXPECT_EQ(evaluated["accuracy"], 1.0);
  const json predicted = run("predict " + path("run") + " --json " + file("new.csv", "a,b\n95,95\n2,3\n")).last();
  ASSERT_EQ(predicted["predictions"].size(), 2u);
  EXPECT_EQ(predicted["predictions"][0]["classes"][0]["label"], "yes");
  EXPECT_EQ(predicted["predictions"][1]["classes"][0]["label"], "no");
  const json inspected = run("inspect " + path("run") + " --json").last();
  EXPECT_EQ(inspected["parameters"], 2 * 64 + 64 + 64 * 2 + 2);
  EXPECT_NE(run("inspect " + recipe_file + " --after plan").out.find("step 0"), std::string::npos);
}

TEST_F(Cli, FitMakesARecipeFromATable) {
  std::mt19937 draw(5);
  std::string rows = "a,b,sum\n";
  for (int i = 0; i < 300; ++i) {
    const int a = static_cast<int>(draw() % 100), b = static_cast<int>(draw() % 100);
    rows += std::to_string(a) + "," + std::to_string(b) + "," + std::to_string(a + b) + ".5\n";
  }
  const Output out = run("fit " + file("table.csv", rows) + " --target sum --json --out " + path("run"));
  EXPECT_EQ(out.status, 0) << out.out;
  EXPECT_GT(out.last()["test"]["r2"], 0.98) << out.out;
  EXPECT_TRUE(fs::exists(folder_ / "run" / "recipe.toml"));
}

}  // namespace
