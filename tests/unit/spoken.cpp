// Recordings with transcripts: texts, files, parts and rows.
#include "descent/data/spoken.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "data_testing.h"
#include "descent/data/archive.h"

namespace descent::data {
namespace {

namespace fs = std::filesystem;

TEST(SpokenText, IsWhatIsSaid) {
  const auto said = [](std::string_view transcript) { return spoken_text(transcript, true, "it"); };
  EXPECT_EQ(said("Please press 1 to mute,  or 12 to leave..."), "please press one to mute or twelve to leave");
  EXPECT_EQ(said("[beep] You don\xe2\x80\x99t have e-mail (really)."), "you don't have e mail");
  EXPECT_EQ(said("(5 seconds of silence)"), "");
  EXPECT_EQ(said("Dial 0049 or 123456."), "dial zero zero four nine or one two three four five six");
  EXPECT_EQ(spoken_text("Room 12", false, "it"), "room 12");
  EXPECT_EQ(said("Größe"), "größe");
  EXPECT_THROW(spoken_text("\xff", true, "it"), Error);
}

TEST(SpokenText, NumbersInEnglish) {
  const std::pair<int64_t, std::string> rows[] = {{0, "zero"},
                                                  {7, "seven"},
                                                  {13, "thirteen"},
                                                  {20, "twenty"},
                                                  {42, "forty two"},
                                                  {100, "one hundred"},
                                                  {999, "nine hundred ninety nine"},
                                                  {1000, "one thousand"},
                                                  {1205, "one thousand two hundred five"},
                                                  {3'000'017, "three million seventeen"}};
  for (const auto& [number, words] : rows) EXPECT_EQ(number_in_english(number), words);
  EXPECT_THROW(number_in_english(-1), Error);
}

// A folder with recordings of so many samples, all different.
class Recordings : public testing::Test {
 protected:
  Recordings()
      : folder_(fs::path(testing::TempDir()) /
                ("spoken_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Recordings() override { fs::remove_all(folder_); }

  std::string record(const std::string& name, int64_t samples, double pitch = 400) {
    fs::create_directories((folder_ / name).parent_path());
    Array sound(DType::f32, {samples});
    const double step = 2 * 3.14159 * (pitch + static_cast<double>(count_++)) / 8000;
    for (int64_t i = 0; i < samples; ++i) sound.set(i, 0.3 * std::sin(step * static_cast<double>(i)));
    write_wav((folder_ / name).string(), sound, 8000);
    return (folder_ / name).string();
  }
  void write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }
  std::string path(const std::string& name = "") const { return (folder_ / name).string(); }

  fs::path folder_;
  int count_ = 0;
};

std::set<std::string> texts_of(const SpokenSet& set, const Clips& clips) {
  std::set<std::string> out;
  for (const int32_t label : clips.labels()) out.insert(set.texts[static_cast<size_t>(label)]);
  return out;
}

constexpr SpokenOptions all_training{.fractions = {0, 0}};

TEST_F(Recordings, FoldersSayWhatIsSaid) {
  record("how_are_you/1.wav", 800);
  record("how_are_you/2.wav", 900);
  record("goodnight/1.wav", 1000);
  const SpokenSet set = read_spoken({path()}, {}, all_training);
  EXPECT_EQ(set.train.size(), 3);
  EXPECT_EQ(texts_of(set, set.train), (std::set<std::string>{"goodnight", "how are you"}));
}

TEST_F(Recordings, TranscriptsAreFoundByNameOrFolder) {
  record("a/one.wav", 800);
  record("a/two.wav", 800);
  record("b/x.wav", 800);
  record("c/y.wav", 800);
  write("transcripts.tsv", "folder\ttranscript\na/one\tThe first.\nb\tAny of \"b\"\n");
  const SpokenSet set = read_spoken({path()}, {}, all_training);
  EXPECT_EQ(texts_of(set, set.train), (std::set<std::string>{"the first", "any of b"}));
  EXPECT_EQ(set.left_out.at("no transcript"), 2);
  write("transcripts.txt", "; as Asterisk has them\na/two: Number 2: yes.\nc/y: [beep]\n");
  const SpokenSet more = read_spoken({path()}, {}, {.numbers = true, .fractions = {0, 0}});
  EXPECT_TRUE(texts_of(more, more.train).contains("number two yes"));
  EXPECT_EQ(more.left_out.at("nothing is said"), 1);
}

TEST_F(Recordings, TablesHavePartsOfTheirOwn) {
  record("1.wav", 800);
  record("2.wav", 800);
  record("sub/3.wav", 800);
  write("clips.csv", "path,text,split\n1.wav,\"yes, yes\",train\n2.wav,no,test\nsub/3.wav,maybe,validation\n");
  const SpokenSet set = read_spoken({path("clips.csv")}, {}, all_training);
  EXPECT_EQ(texts_of(set, set.train), (std::set<std::string>{"yes yes"}));
  EXPECT_EQ(texts_of(set, set.test), (std::set<std::string>{"no"}));
  EXPECT_EQ(texts_of(set, set.validation), (std::set<std::string>{"maybe"}));
  const auto error_for = [&](const std::string& table) {
    write("clips.csv", table);
    return error_of([&] { read_spoken({path("clips.csv")}, {}, all_training); });
  };
  EXPECT_EQ(error_for("file,words\n1.wav,yes\n"),
            path("clips.csv") + ": a table of recordings needs columns 'path' and 'text', it has file, words");
  EXPECT_EQ(error_for("path,text\n9.wav,yes\n"), path("clips.csv") + ":2: there is no file " + path("9.wav"));
  EXPECT_EQ(error_for("path,text,split\n1.wav,yes,dev\n"),
            path("clips.csv") + ":2: 'split' must be train, validation or test, got 'dev'");
}

TEST_F(Recordings, AreLeftOutOrRefusedWithAReason) {
  record("yes/1.wav", 800);
  record("yes/long.wav", 90000);
  const SpokenSet set = read_spoken({path()}, {}, all_training);
  EXPECT_EQ(set.train.size(), 1);
  EXPECT_EQ(set.left_out.at("longer than 10 s"), 1);
  fs::create_directories(path("none"));
  EXPECT_EQ(error_of([&] { read_spoken({path("none")}, {}, all_training); }),
            path("none") + ": there is no recording with a transcript in it");
  write("yes/2.wav", "RIFF, but no more");
  EXPECT_NE(error_of([&] { read_spoken({path()}, {}, all_training); }).find("2.wav"), std::string::npos);
}

TEST_F(Recordings, HeldOutTextsAreSaidNowhereInTraining) {
  for (int i = 0; i < 20; ++i) {
    record("own/text_" + std::to_string(i) + "/1.wav", 800);
    record("more/text_" + std::to_string(i) + "/1.wav", 800);
  }
  SpokenOptions options{.fractions = {.validation = 0.1, .test = 0.2}, .seed = 3};
  const SpokenSet set = read_spoken({path("own")}, {path("more")}, options);
  EXPECT_EQ(set.test.size(), 4);
  EXPECT_EQ(set.validation.size(), 2);
  EXPECT_EQ(set.train.size(), 14 + 14);
  for (const Clips* part : {&set.test, &set.validation})
    for (const std::string& words : texts_of(set, *part)) EXPECT_FALSE(texts_of(set, set.train).contains(words));
  const SpokenSet again = read_spoken({path("own")}, {path("more")}, options);
  EXPECT_EQ(texts_of(again, again.test), texts_of(set, set.test));
  options.seed = 4;
  const SpokenSet other = read_spoken({path("own")}, {path("more")}, options);
  EXPECT_NE(texts_of(other, other.test), texts_of(set, set.test));
}

TEST_F(Recordings, OrAShareOfEachText) {
  for (const char* text : {"yes", "no"})
    for (int i = 0; i < 8; ++i) record(std::string(text) + "/" + std::to_string(i) + ".wav", 800);
  const SpokenSet set =
      read_spoken({path()}, {}, {.hold_out_texts = false, .fractions = {.validation = 0, .test = 0.25}});
  EXPECT_EQ(set.test.size(), 4);
  EXPECT_EQ(texts_of(set, set.test), texts_of(set, set.train));
}

TEST_F(Recordings, AreRepeatedInTrainingAlone) {
  for (int i = 0; i < 8; ++i) record("own/yes/" + std::to_string(i) + ".wav", 800);
  record("more/no/1.wav", 900);
  write("more.csv", "path,text,split\nmore/no/1.wav,no,train\n");
  const SpokenOptions options{.hold_out_texts = false, .repeat = 3, .fractions = {.validation = 0, .test = 0.25}};
  for (const char* more : {"more", "more.csv"}) {
    const SpokenSet set = read_spoken({path("own")}, {path(more)}, options);
    EXPECT_EQ(set.train.size(), 3 * 6 + 1);
    EXPECT_EQ(set.test.size(), 2);
  }
}

std::vector<float> row_of(const RowSource& rows, int64_t row, int64_t room) {
  std::vector<float> out(static_cast<size_t>(room));
  rows.read(row, std::as_writable_bytes(std::span(out)));
  return out;
}

TEST_F(Recordings, RowsEndInNan) {
  record("yes/1.wav", 12000);
  record("no/1.wav", 3000);
  record("maybe/1.wav", 9000);
  const Splits splits = spoken_splits(read_spoken({path()}, {}, all_training));
  const RowSource& rows = *splits.train.source;
  EXPECT_EQ(splits.train.classes, (std::vector<std::string>{"a", "b", "e", "m", "n", "o", "s", "y"}));
  ASSERT_EQ(rows.size(), 3);
  const int64_t lengths[] = {3000, 9000, 12000};  // in this order
  for (int64_t row = 0; row < 3; ++row) {
    const int64_t room = rows.room(row);
    EXPECT_GE(room, lengths[row]);
    EXPECT_LE(room, std::max<int64_t>(8000, lengths[row] * 7 / 5 + 1));
    const std::vector<float> values = row_of(rows, row, room);
    for (int64_t i = 0; i < room; ++i) EXPECT_EQ(std::isnan(values[static_cast<size_t>(i)]), i >= lengths[row]);
  }
  EXPECT_EQ(splits.train.targets.shape(), (Shape{3, 5}));
  const std::vector<double> wanted{4, 5, -1, -1, -1, 3, 0, 7, 1, 2, 7, 2, 6, -1, -1};
  EXPECT_EQ(splits.train.targets.to_doubles(), wanted);
}

TEST_F(Recordings, AreVariedByTheirKey) {
  record("yes/1.wav", 3000);
  record("no/1.wav", 4000);
  const SoundAugment augment{.gain = 6, .speed = 0.1, .delay = 100, .noise = 0.1};
  const Splits splits = spoken_splits(read_spoken({path()}, {}, all_training), augment);
  const RowSource& rows = *splits.train.source;
  const auto varied = [&](uint64_t key) {
    std::vector<float> out(static_cast<size_t>(rows.room(0)));
    rows.vary(0, key, std::as_writable_bytes(std::span(out)), {});
    return out;
  };
  const auto length = [](const std::vector<float>& values) {
    return std::ranges::find_if(values, [](float value) { return std::isnan(value); }) - values.begin();
  };
  std::set<int64_t> lengths;
  for (uint64_t key = 0; key < 50; ++key) {
    const std::vector<float> values = varied(key);
    lengths.insert(length(values));
    EXPECT_GE(length(values), 3000 / 1.1 - 2);
    EXPECT_LE(length(values), 3000 / 0.9 + 1600 + 2);
    EXPECT_TRUE(std::all_of(values.begin() + length(values), values.end(), [](float v) { return std::isnan(v); }));
    const std::vector<float> again = varied(key);
    EXPECT_TRUE(std::equal(values.begin(), values.begin() + length(values), again.begin()));
  }
  EXPECT_GT(lengths.size(), 30u);
}

TEST_F(Recordings, HeldOutCharactersMustBeKnown) {
  record("own/yes/1.wav", 800);
  write("clips.csv", "path,text,split\nown/yes/1.wav,yes,train\nown/yes/1.wav,quiz,test\n");
  const std::string error = error_of([&] { spoken_splits(read_spoken({path("clips.csv")}, {}, all_training)); });
  EXPECT_NE(error.find("the transcript \"quiz\": the character 'q'"), std::string::npos) << error;
}

}  // namespace
}  // namespace descent::data
