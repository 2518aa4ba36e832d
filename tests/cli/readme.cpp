// What README.md and scripts/quickstart tell people to type is typed here as it stands there, on small data and for one
// epoch; what they name exists.
#include <regex>
#include <set>

#include "cli_testing.h"

namespace descent::cli {
namespace {

const fs::path source = DESCENT_SOURCE_DIR;

std::string between(const std::string& whole, const std::string& begin, const std::string& end) {
  const size_t from = whole.find(begin);
  EXPECT_NE(from, std::string::npos) << begin;
  const size_t to = whole.find(end, from + begin.size());
  return whole.substr(from + begin.size(), to - from - begin.size());
}

std::set<std::string> all_matches(const std::string& whole, const std::string& pattern) {
  const std::regex expression(pattern);
  return {std::sregex_token_iterator(whole.begin(), whole.end(), expression), {}};
}

// A `descent` of which every training takes one epoch on the bars, and whose MNIST they are.
class Shown : public BarsRun {
 protected:
  Shown() {
    const std::string real = DESCENT_BINARY, bars = (folder_ / "bars").string();
    file("bin/descent", "#!/bin/sh\ncase $1 in\n  train) exec " + real +
                            " \"$@\" --set train.epochs=1 --set data.name= --set data.idx=" + bars +
                            " ;;\n  data) echo " + bars + " ;;\n  *) exec " + real + " \"$@\" ;;\nesac\n");
    fs::permissions(folder_ / "bin" / "descent", fs::perms::owner_all);
    fs::create_directory_symlink(source / "recipes", folder_ / "recipes");
    fs::create_symlink("bars/t10k-images-idx3-ubyte", folder_ / "t10k-images-idx3-ubyte");
  }

  // Runs a shell script in the folder; what it prints is shown if it fails.
  void expect_success(const std::string& script) const {
    file("script", script);
    const std::string line = "cd '" + folder_.string() + "' && PATH=\"$PWD/bin:$PATH\" sh -eu script >shown 2>&1";
    EXPECT_EQ(std::system(line.c_str()), 0) << script << "\n" << content(folder_ / "shown");
  }

  const std::string readme_ = content(source / "README.md");
};

TEST_F(Shown, TheQuickstart) {
  const std::string whole = content(source / "scripts/quickstart");
  const std::string build_line = "descent=build/release/bin/descent\n";
  const std::string rest = whole.substr(whole.find(build_line) + build_line.size());
  expect_success("step() { echo \"$@\"; }\ndescent=bin/descent\n" + rest);
  const std::string shown = content(folder_ / "shown");
  EXPECT_TRUE(has(shown, "t10k-images-idx3-ubyte:3:  ")) << shown;
  EXPECT_TRUE(has(shown, "rows: what it is; columns: what it was taken for")) << shown;
  for (const std::string& name : all_matches(rest, "recipes/[a-z0-9-]+\\.toml")) EXPECT_TRUE(fs::exists(source / name));
}

TEST_F(Shown, TheSessionInTheReadme) {
  std::string typed;
  std::istringstream lines(readme_);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("$ ")) typed += line.substr(2) + "\n";
  EXPECT_TRUE(has(typed, "descent train") && has(typed, "descent predict")) << typed;
  expect_success(typed);
}

TEST_F(Shown, TheRecipeInTheReadme) {
  file("shown.toml", between(readme_, "```toml\n", "```"));
  expect_success("descent train shown.toml --out shown-run\ndescent inspect shown-run --after plan");
}

TEST_F(Shown, EveryCommandWithItsFlags) {
  std::istringstream words(between(readme_, "## The commands\n\n```\n", "```"));
  std::set<std::string> commands;
  std::string help;
  for (std::string word, command; words >> word;) {
    if (word == "descent") {
      words >> command;
      commands.insert(command);
      const Ended ended = run({command, "--help"});
      EXPECT_EQ(ended.code, 0) << command;
      help = ended.out;
    }
    for (const std::string& flag : all_matches(word, "--[a-z]+"))
      EXPECT_TRUE(has(help, flag)) << command << " has no " << flag;
  }
  EXPECT_GE(commands.size(), 10u);
}

TEST_F(Shown, WhatTheReadmeNamesExists) {
  const std::set<std::string> recipes = all_matches(readme_, "[a-z0-9-]+\\.toml");
  for (const fs::directory_entry& entry : fs::directory_iterator(source / "recipes"))
    EXPECT_TRUE(entry.path().extension() != ".toml" || recipes.contains(entry.path().filename()))
        << entry.path() << " is not in README.md";
  for (const std::string& name : recipes) EXPECT_TRUE(fs::exists(source / "recipes" / name)) << name;
  for (const std::string& path : all_matches(readme_, "(scripts|bench|docs)/[a-z]+(\\.md)?"))
    EXPECT_TRUE(fs::exists(source / path)) << path;
  for (std::string test : all_matches(readme_, "`(unit|train|cli|table|golden)_[a-z_]+`")) {
    test = test.substr(1, test.size() - 2);
    test[test.find('_')] = '/';
    EXPECT_TRUE(fs::exists(source / "tests" / (test + ".cpp"))) << test;
  }
}

}  // namespace
}  // namespace descent::cli
