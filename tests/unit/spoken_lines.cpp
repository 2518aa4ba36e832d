// Lines of text said by espeak-ng, as recordings with transcripts. Where the program is not installed, only what needs
// none of it is tested.
#include "descent/data/spoken_lines.h"

#include <cstdlib>
#include <fstream>
#include <set>

#include "descent/data/spoken.h"
#include "tests/unit/data_testing.h"

namespace descent::data {
namespace {

namespace fs = std::filesystem;

class SpokenLines : public testing::Test {
 protected:
  std::string write(const std::string& content) {
    std::ofstream(folder_.path("lines.txt"), std::ios::binary) << content;
    return folder_.path("lines.txt");
  }
  catalogue::Options cache() const { return {folder_.path("cache"), {}}; }
  static bool installed() { return std::system("espeak-ng --version >/dev/null 2>&1") == 0; }

  Folder folder_;
};

TEST_F(SpokenLines, VoicesDifferAndStay) {
  const SpokenLinesOptions options{.accents = {"en-us", "en-gb"}};
  std::set<std::string> names;
  for (int64_t i = 0; i < 13; ++i) {
    const EspeakVoice voice = voice_of("hello", i, options), again = voice_of("hello", i, options);
    EXPECT_EQ(voice.name, again.name);
    EXPECT_EQ(voice.speed, again.speed);
    EXPECT_TRUE(voice.name.starts_with("en-us") || voice.name.starts_with("en-gb")) << voice.name;
    EXPECT_TRUE(voice.speed >= 130 && voice.speed <= 200 && voice.pitch >= 25 && voice.pitch <= 80);
    names.insert(voice.name);
  }
  EXPECT_EQ(names.size(), 13u);
}

TEST_F(SpokenLines, WhatCannotBeSaidIsNamed) {
  const auto error_for = [&](const std::string& content, const SpokenLinesOptions& options = {}) {
    const std::string path = write(content);
    return error_of([&] { spoken_lines(path, options, cache()); });
  };
  const std::string path = folder_.path("lines.txt");
  EXPECT_EQ(error_for(""), path + ": there is no line to say in it");
  EXPECT_EQ(error_for("\n ...\r\n\n"), path + ": there is no line to say in it");
  EXPECT_NE(error_for("hello \xff\n").find(path), std::string::npos);
  EXPECT_EQ(error_for("yes\nno\n", {.voices = 60000}),
            path + ": 2 lines in 60000 voices are more than 100000 recordings");
  EXPECT_NE(error_of([&] { spoken_lines(folder_.path("none.txt"), {}, cache()); }).find("none.txt"), std::string::npos);
  if (installed()) {
    EXPECT_EQ(error_for("hello\n", {.accents = {"xx"}}),
              "the accent 'xx': espeak-ng failed: Error: The specified espeak-ng voice does not exist.");
    EXPECT_FALSE(fs::exists(folder_.path("cache/spoken")));
  }
}

TEST_F(SpokenLines, AreRecordingsWithTranscripts) {
  if (!installed()) GTEST_SKIP() << "espeak-ng is not installed";
  const std::string path = write("Hello, you!\r\n\nRoom 12: it's --help\n");
  const fs::path made = spoken_lines(path, {.voices = 3}, cache());
  const SpokenOptions options{.numbers = true, .fractions = {0, 0}};
  const SpokenSet set = read_spoken({made.string()}, {}, options);
  EXPECT_EQ(set.texts, (std::vector<std::string>{"hello you", "room twelve it's help"}));
  ASSERT_EQ(set.train.size(), 6);
  std::set<std::vector<int16_t>> sounds;
  for (int64_t clip = 0; clip < 6; ++clip) {
    const auto samples = set.train.samples(clip);
    EXPECT_GT(samples.size(), 2000u);  // a quarter of a second
    sounds.emplace(samples.begin(), samples.end());
  }
  EXPECT_EQ(sounds.size(), 6u);
  // Once: the same folder, whose files are as they were.
  const auto first = fs::last_write_time(made / "transcripts.txt");
  EXPECT_EQ(spoken_lines(path, {.voices = 3}, cache()), made);
  EXPECT_EQ(fs::last_write_time(made / "transcripts.txt"), first);
  EXPECT_NE(spoken_lines(path, {.voices = 2}, cache()), made);
  EXPECT_NE(spoken_lines(write("Hello\n"), {.voices = 3}, cache()), made);
}

}  // namespace
}  // namespace descent::data
