// What tests of the command line share: running `descent` in a folder of the test's own, and small data for it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace descent::cli {

namespace fs = std::filesystem;
using Json = nlohmann::json;

inline bool has(const std::string& whole, const std::string& part) { return whole.find(part) != std::string::npos; }

inline std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return (std::ostringstream() << in.rdbuf()).str();
}

struct Ended {
  int code = 0;  // -1: by a signal
  std::string out, err;
  int64_t peak_kib = 0;  // the most memory that it held

  Json json() const {  // the last line of standard output
    const size_t end = out.find_last_not_of('\n');
    const size_t begin = out.find_last_of('\n', end);
    return Json::parse(out.substr(begin == std::string::npos ? 0 : begin + 1));
  }

  // What it complained of: the last line of standard error, without "descent: ".
  std::string complaint() const {
    const size_t begin = err.rfind("descent: ");
    return begin == std::string::npos ? err : err.substr(begin + 9, err.find('\n', begin) - begin - 9);
  }
};

class Program : public testing::Test {
 protected:
  Program()
      : folder_(fs::path(testing::TempDir()) / ("descent_cli_" + std::to_string(::getpid()) + "_" +
                                                testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::create_directories(folder_);
  }
  ~Program() override { fs::remove_all(folder_); }

  // Starts `descent` in the test's folder; `before` runs in the new process.
  pid_t start(
      const std::vector<std::string>& arguments, const std::function<void()>& before = [] {}) const {
    const pid_t child = ::fork();
    if (child != 0) return child;
    std::vector<char*> argv{const_cast<char*>("descent")};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const auto to_file = [&](const char* name, int descriptor) {
      ::dup2(::open((folder_ / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), descriptor);
    };
    to_file("out.txt", STDOUT_FILENO);
    to_file("err.txt", STDERR_FILENO);
    if (::chdir(folder_.c_str()) != 0) ::_exit(126);
    before();
    ::execv(DESCENT_BINARY, argv.data());
    ::_exit(127);
  }

  Ended wait(pid_t child) const {
    int status = 0;
    rusage used{};
    ::wait4(child, &status, 0, &used);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content(folder_ / "out.txt"), content(folder_ / "err.txt"),
            used.ru_maxrss};
  }

  Ended run(
      const std::vector<std::string>& arguments, const std::function<void()>& before = [] {}) const {
    return wait(start(arguments, before));
  }

  std::string file(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return name;
  }
  void shorten(const std::string& name, size_t bytes) const { fs::resize_file(folder_ / name, bytes); }
  static std::string recipe(const std::string& name) { return std::string(DESCENT_SOURCE_DIR) + "/recipes/" + name; }

  fs::path folder_;
};

// A table whose class is whether a * b is large, and a recipe for it.
inline std::string table(int rows) {
  std::mt19937 draw(5);
  std::string out = "a,b,large\n";
  for (int i = 0; i < rows; ++i) {
    const int a = static_cast<int>(draw() % 100), b = static_cast<int>(draw() % 100);
    out += std::to_string(a) + "," + std::to_string(b) + "," + (a * b > 2500 ? "yes" : "no") + "\n";
  }
  return out;
}

inline constexpr const char* table_recipe = R"(layers = [
  { kind = "linear", features = 32 },
  { kind = "relu" },
  { kind = "dropout", rate = 0.2 },
  { kind = "linear", features = 2 },
]
[data]
csv = "table.csv"
target = "large"
validation = 0.2
test = 0.2
[optimizer]
kind = "adamw"
learning_rate = 0.005
[schedule]
kind = "cosine"
[train]
epochs = 40
batch_size = 16
)";

class TableRun : public Program {
 protected:
  TableRun() {
    file("table.csv", table(400));
    file("recipe.toml", table_recipe);
  }
};

inline std::string idx(std::initializer_list<uint32_t> sizes, const std::string& bytes) {
  std::string out{'\0', '\0', '\x08', static_cast<char>(sizes.size())};
  for (const uint32_t size : sizes)
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift & 255);
  return out + bytes;
}

inline constexpr const char* bars_recipe = R"(layers = [ { kind = "flatten" }, { kind = "linear", features = 10 } ]
[data]
idx = "bars"
validation = 0
[train]
epochs = 5
batch_size = 32
[optimizer]
kind = "adam"
learning_rate = 0.01
)";

// Ten "digits": a bright bar whose place is the class, in 28x28; and a recipe for them.
class BarsRun : public Program {
 protected:
  BarsRun() {
    write_bars("train", 400);
    write_bars("t10k", 50);
    file("bars.toml", bars_recipe);
  }

  void write_bars(const std::string& part, uint32_t count) const {
    std::string images, labels;
    std::mt19937 draw(count);
    for (uint32_t i = 0; i < count; ++i) {
      const auto label = draw() % 10;
      labels += static_cast<char>(label);
      for (unsigned pixel = 0; pixel < 784; ++pixel) {
        const unsigned x = pixel % 28, y = pixel / 28;
        const bool bar = x >= 4 + 2 * label && x < 6 + 2 * label && y >= 4 && y < 24;
        images += static_cast<char>(bar ? 200 + draw() % 55 : 0);
      }
    }
    file("bars/" + part + "-images-idx3-ubyte", idx({count, 28, 28}, images));
    file("bars/" + part + "-labels-idx1-ubyte", idx({count}, labels));
  }
};

}  // namespace descent::cli
