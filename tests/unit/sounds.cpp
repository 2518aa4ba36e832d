#include "descent/data/sounds.h"

#include <algorithm>
#include <map>
#include <set>

#include "data_testing.h"
#include "descent/data/archive.h"
#include "descent/data/batches.h"
#include "sound_testing.h"

namespace descent::data {
namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string>;

class Sounds : public testing::Test {
 protected:
  std::string root() const { return folder.path("words"); }
  std::string put(const std::string& name, const std::vector<float>& samples, int64_t rate = 8000) const {
    return write_sound(folder.path(name), samples, rate);
  }
  // words/{low,middle,high}/N.wav.
  void make_words(int count) const {
    int kind = 0;
    for (const char* name : {"high", "low", "middle"}) {
      for (int i = 0; i < count; ++i)
        put("words/" + std::string(name) + "/" + std::to_string(i) + ".wav", word(kind, static_cast<uint64_t>(i)));
      ++kind;
    }
  }
  Folder folder;
};

Names names_of(const Clips& clips) {
  Names out;
  for (int64_t i = 0; i < clips.size(); ++i) out.push_back(clips.name(i));
  std::ranges::sort(out);
  return out;
}

std::vector<float> row_of(const RowSource& rows, int64_t row) {
  std::vector<float> out(static_cast<size_t>(rows.row_type().shape[0]));
  rows.read(row, std::as_writable_bytes(std::span(out)));
  return out;
}

std::vector<float> varied_row(const RowSource& rows, int64_t row, uint64_t key) {
  std::vector<float> out(static_cast<size_t>(rows.row_type().shape[0]));
  rows.vary(row, key, std::as_writable_bytes(std::span(out)), {});
  return out;
}

double rms(std::span<const float> sound) {
  double sum = 0;
  for (const float value : sound) sum += double{value} * value;
  return std::sqrt(sum / static_cast<double>(sound.size()));
}

// --- reading ---

TEST_F(Sounds, AFolderOfClassFolders) {
  put("words/yes/a.wav", tone(100, 16000, 1600), 16000);
  put("words/yes/b.WAV", tone(200, 8000, 800));
  put("words/no/c.wav", tone(300, 8000, 1200));
  folder.write("words/no/notes.txt", bytes_of("no sound"));
  EXPECT_TRUE(holds_sounds(root()));
  const SoundSet set = read_sounds(root());
  EXPECT_EQ(set.classes, (Names{"no", "yes"}));
  EXPECT_EQ(set.rate, 8000);
  EXPECT_EQ(set.samples, 1600);  // 0.15 s, rounded up to tenths
  EXPECT_EQ(names_of(set.train), (Names{"no/c.wav", "yes/a.wav", "yes/b.WAV"}));
  EXPECT_EQ(std::vector<int32_t>(set.train.labels().begin(), set.train.labels().end()),
            (std::vector<int32_t>{0, 1, 1}));
  EXPECT_EQ(set.train.samples(0).size(), 1200u);
  EXPECT_NEAR(static_cast<double>(set.train.samples(1).size()), 800, 2);  // of 1600 at twice the rate
  EXPECT_NEAR(set.train.samples(0)[10], 32768 * tone(300, 8000, 11)[10], 1);
  const SoundFacts facts = sound_facts(root());
  EXPECT_EQ(facts.sounds, 3);
  EXPECT_EQ(facts.classes, 2);
  EXPECT_EQ(facts.rate, 8000);
  EXPECT_NEAR(facts.seconds, 0.2, 1e-9);
  EXPECT_FALSE(facts.divided);
}

TEST_F(Sounds, ATableOfFiles) {
  put("a.wav", tone(100, 8000, 800));
  put("sub/b.wav", tone(200, 8000, 800));
  put("c.wav", tone(300, 8000, 800));
  const std::string table =
      folder.write("list.csv", bytes_of("sound,label,split\na.wav,x,train\nsub/b.wav,y,train\nc.wav,x,test\n"));
  const SoundSet set = read_sounds(table);
  EXPECT_EQ(names_of(set.train), (Names{"a.wav", "sub/b.wav"}));
  EXPECT_EQ(names_of(set.test), (Names{"c.wav"}));
  EXPECT_TRUE(sound_facts(table).divided);
}

TEST_F(Sounds, AnArchiveWhoseNamesTell) {
  std::vector<PackedFile> files;
  for (const char* name : {"set/rec/0_ann_0.wav", "set/rec/0_bob_1.wav", "set/rec/1_ann_7.wav", "set/rec/1_bob_0.wav",
                           "set/rec/x.wav", "set/README"}) {
    std::string bytes;
    {
      const std::string path = put("one.wav", tone(100, 8000, 900));
      std::ifstream in(path, std::ios::binary);
      bytes.assign(std::istreambuf_iterator<char>(in), {});
    }
    files.push_back({name, bytes});
  }
  const std::string tar = packed_tar(files);
  const std::string path = folder.write("set.tar", bytes_of(tar));
  EXPECT_EQ(packed_tar(files), tar);
  const SoundSet set = read_sounds(path, {.names = {.label = "/([0-9])_", .test = "_0[.]wav$"}});
  EXPECT_EQ(set.classes, (Names{"0", "1"}));
  EXPECT_EQ(names_of(set.test), (Names{"set/rec/0_ann_0.wav", "set/rec/1_bob_0.wav"}));
  EXPECT_EQ(names_of(set.train), (Names{"set/rec/0_bob_1.wav", "set/rec/1_ann_7.wav"}));
  const SoundSet ann = read_sounds(path, {.names = {.label = "/([0-9])_", .test = "_ann_"}});
  EXPECT_EQ(names_of(ann.test), (Names{"set/rec/0_ann_0.wav", "set/rec/1_ann_7.wav"}));
}

TEST_F(Sounds, LongSoundsGiveTheirLoudestPart) {
  std::vector<float> sound(40000);
  const std::vector<float> loud = tone(500, 8000, 3000);
  std::ranges::copy(loud, sound.begin() + 20000);
  put("words/a/long.wav", sound);
  put("words/b/short.wav", tone(100, 8000, 700));
  const SoundSet set = read_sounds(root(), {.rate = 8000, .seconds = 0.5});
  ASSERT_EQ(set.train.samples(0).size(), 4000u);
  double power = 0, all = 0;
  for (const int16_t value : set.train.samples(0)) power += static_cast<double>(value) * value;
  for (const float value : loud) all += std::pow(32768.0 * value, 2);
  EXPECT_NEAR(power / all, 1, 0.01) << "all of what is loud";
  EXPECT_EQ(set.train.samples(1).size(), 700u);
}

// However the sound comes: the same part, of no more than was asked for.
TEST_F(Sounds, TheLoudestPartOfAnyLength) {
  for (const size_t length : {1u, 15u, 160u, 161u, 1000u, 100000u}) {
    const std::string path = put("a.wav", tone(440, 8000, length));
    AudioStream stream = AudioStream::open(path);
    EXPECT_EQ(loudest_part(stream, 160).size(), std::min<size_t>(length, 160)) << length;
  }
}

// --- division ---

TEST_F(Sounds, EachClassIsDividedByContent) {
  make_words(20);
  const SoundOptions options{.fractions = {.validation = 0.2, .test = 0.1}, .seed = 7};
  const SoundSet set = read_sounds(root(), options), again = read_sounds(root(), options);
  SoundOptions other = options;
  other.seed = 8;
  EXPECT_EQ(set.test.size(), 6);
  EXPECT_EQ(set.validation.size(), 12);
  EXPECT_EQ(set.train.size(), 42);
  for (int32_t c = 0; c < 3; ++c) EXPECT_EQ(std::ranges::count(set.test.labels(), c), 2);
  EXPECT_EQ(names_of(set.test), names_of(again.test));
  EXPECT_NE(names_of(set.test), names_of(read_sounds(root(), other).test));
}

TEST_F(Sounds, NoSpeakerIsInTwoParts) {
  for (int speaker = 0; speaker < 10; ++speaker)
    for (int i = 0; i < 4; ++i)
      for (int kind = 0; kind < 2; ++kind)
        put("words/" + std::string(kind ? "yes" : "no") + "/s" + std::to_string(speaker) + "_" + std::to_string(i) +
                ".wav",
            word(kind, static_cast<uint64_t>(10 * speaker + i)));
  for (int i = 0; i < 10; ++i) put("words/silence/" + std::to_string(i) + ".wav", tone(50, 8000, 300 + 10 * i));
  const SoundOptions options{.names = {.speaker = "s([0-9]+)_"}, .fractions = {.validation = 0.1, .test = 0.2}};
  const SoundSet set = read_sounds(root(), options);
  std::map<std::string, std::set<int>> parts;
  int part = 0;
  for (const Clips* clips : {&set.train, &set.validation, &set.test}) {
    for (const std::string& name : names_of(*clips))
      if (const size_t at = name.find("/s"); name.starts_with("yes") || name.starts_with("no"))
        parts[name.substr(at, name.find('_') - at)].insert(part);
    ++part;
  }
  EXPECT_EQ(parts.size(), 10u);
  int tested = 0;
  for (const auto& [speaker, in] : parts) {
    EXPECT_EQ(in.size(), 1u) << speaker;
    tested += in.contains(2);
  }
  EXPECT_EQ(tested, 2);
  EXPECT_EQ(std::ranges::count(set.test.labels(), 1), 2) << "silence, which nobody says, is divided too";
  SoundOptions other = options;
  other.seed = 99;
  EXPECT_EQ(names_of(read_sounds(root(), other).test), names_of(set.test)) << "whatever the seed";
}

TEST_F(Sounds, WhatCannotBeIsNamed) {
  make_words(2);
  const auto error = [&](const SoundOptions& options) { return error_of([&] { read_sounds(root(), options); }); };
  EXPECT_EQ(error({.names = {.test = "nothing"}}), root() + ": no sound is left for the test part");
  EXPECT_EQ(error({.names = {.test = "low"}}), root() + ": the class 'low' is not in the training part");
  EXPECT_EQ(error({.names = {.speaker = "(("}, .fractions = {.test = 0.5}}),
            "'((', by which the speaker is told, is no regular expression");
  EXPECT_NE(error({.memory_bytes = 1000}).find("would take more memory than 0 MB"), std::string::npos);
  const std::string broken = folder.write("words/low/broken.wav", bytes_of("RIFF, but no more"));
  EXPECT_TRUE(error({}).starts_with(broken + ": cannot be read as sound")) << error({});
  fs::remove(broken);
  fs::create_directories(root() + "/none");
  EXPECT_EQ(error({}), root() + "/none: a class folder without sounds (*.wav or *.flac)");
  EXPECT_EQ(error_of([&] { read_sounds(folder.path("nowhere")); }),
            "there is no folder or table of sounds " + folder.path("nowhere"));
  const std::string tar = folder.write("empty.tar", bytes_of(packed_tar({})));
  EXPECT_EQ(error_of([&] { read_sounds(tar); }),
            tar + ": sounds of 0 classes, and telling classes apart needs at least two");
}

// --- rows ---

std::shared_ptr<Clips> some_clips() {
  auto clips = std::make_shared<Clips>();
  clips->add("a", 0, tone(400, 8000, 1000));
  clips->add("b", 1, tone(900, 8000, 3000));
  clips->add("noise", 2, tone(50, 8000, 500));
  return clips;
}
const Names three{"a", "b", "noise"};

TEST_F(Sounds, RowsAreInTheMiddle) {
  const SoundRows rows(some_clips(), 8000, 2000, {}, three);
  EXPECT_EQ(to_text(rows.row_type()), "f32[2000]");
  const std::vector<float> a = row_of(rows, 0), b = row_of(rows, 1);
  const std::vector<float> short_tone = tone(400, 8000, 1000), long_tone = tone(900, 8000, 3000);
  for (size_t i = 0; i < 2000; ++i) {
    ASSERT_NEAR(a[i], i >= 500 && i < 1500 ? short_tone[i - 500] : 0, 1e-4) << i;
    ASSERT_NEAR(b[i], long_tone[i + 500], 1e-4) << i;
  }
  EXPECT_EQ(a, centred(short_tone, 2000)) << "what is asked later is prepared as what was learnt from";
  EXPECT_EQ(varied_row(rows, 0, 5), a);
}

TEST_F(Sounds, ChangesAreAFunctionOfTheKey) {
  const SoundRows rows(some_clips(), 8000, 2000, {.gain = 6, .speed = 0.2, .delay = 30, .noise = 0.5}, three);
  EXPECT_EQ(varied_row(rows, 0, 5), varied_row(rows, 0, 5));
  EXPECT_NE(varied_row(rows, 0, 5), varied_row(rows, 0, 6));
  EXPECT_EQ(row_of(rows, 0), row_of(SoundRows(some_clips(), 8000, 2000, {}, three), 0)) << "what is judged stays";
}

TEST_F(Sounds, GainIsInDecibels) {
  const SoundRows rows(some_clips(), 8000, 2000, {.gain = 6}, three);
  const double before = rms(row_of(rows, 0));
  double least = 1e9, most = 0;
  for (uint64_t key = 0; key < 200; ++key) {
    const double ratio = rms(varied_row(rows, 0, key)) / before;
    least = std::min(least, ratio);
    most = std::max(most, ratio);
  }
  EXPECT_NEAR(20 * std::log10(least), -6, 0.3);
  EXPECT_NEAR(20 * std::log10(most), 6, 0.3);
}

// Where a row's first and last sounding samples are.
std::pair<int, int> extent(const std::vector<float>& row) {
  const auto sounds = [](float value) { return std::abs(value) > 1e-3; };
  const auto first = std::ranges::find_if(row, sounds);
  auto last = row.end();
  while (last != row.begin() && !sounds(*(last - 1))) --last;
  return {static_cast<int>(first - row.begin()), static_cast<int>(last - row.begin())};
}

TEST_F(Sounds, DelayMovesAndSpeedStretches) {
  const SoundRows late(some_clips(), 8000, 2000, {.delay = 50}, three);  // 400 samples
  const SoundRows fast(some_clips(), 8000, 2000, {.speed = 0.25}, three);
  std::set<int> begins;
  int shortest = 9999, longest = 0;
  for (uint64_t key = 0; key < 300; ++key) {
    const auto [begin, end] = extent(varied_row(late, 0, key));
    EXPECT_GE(begin, 100);
    EXPECT_LE(end, 1902);
    EXPECT_NEAR(end - begin, 1000, 4);
    begins.insert(begin);
    const auto [from, to] = extent(varied_row(fast, 0, key));
    EXPECT_NEAR(from + to, 2000, 8) << "in the middle still";
    shortest = std::min(shortest, to - from);
    longest = std::max(longest, to - from);
  }
  EXPECT_GT(begins.size(), 100u);
  EXPECT_NEAR(shortest, 1000 / 1.25, 12);
  EXPECT_NEAR(longest, 1000 / 0.75, 12);
}

TEST_F(Sounds, NoiseIsAPartOfTheSoundsLoudness) {
  const SoundRows rows(some_clips(), 8000, 3000, {.noise = 0.5}, three);
  const std::vector<float> clean = row_of(rows, 1);
  const double loudness = rms(clean);
  double most = 0, sum = 0;
  constexpr int keys = 300;
  for (uint64_t key = 0; key < keys; ++key) {
    std::vector<float> noise = varied_row(rows, 1, key);
    for (size_t i = 0; i < noise.size(); ++i) noise[i] -= clean[i];
    most = std::max(most, rms(noise) / loudness);
    sum += rms(noise) / loudness;
  }
  EXPECT_NEAR(most, 0.5, 0.05);
  EXPECT_NEAR(sum / keys, 0.25, 0.03);
}

TEST_F(Sounds, AClassCanBeNoise) {
  const SoundRows rows(some_clips(), 8000, 3000, {.noise = 0.5, .noise_class = "noise"}, three);
  const std::vector<float> clean = row_of(rows, 1);
  int slow = 0;
  for (uint64_t key = 0; key < 200; ++key) {
    std::vector<float> noise = varied_row(rows, 1, key);
    double changes = 0;
    for (size_t i = 0; i < noise.size(); ++i) noise[i] -= clean[i];
    for (size_t i = 1; i < noise.size(); ++i) changes += std::pow(noise[i] - noise[i - 1], 2);
    slow += changes / 3000 < 0.01 * std::pow(rms(noise), 2);  // the class's 50 Hz, not white or coloured noise
  }
  EXPECT_NEAR(slow, 100, 25);
  EXPECT_EQ(error_of([&] { SoundRows(some_clips(), 8000, 10, {.noise = 1, .noise_class = "noize"}, three); }),
            "augmentation: there is no class 'noize' to be noise; did you mean 'noise'?");
}

TEST_F(Sounds, SilenceStaysSilence) {
  auto clips = std::make_shared<Clips>();
  clips->add("silence", 0, std::vector<float>(100));
  const SoundRows rows(clips, 8000, 200, {.gain = 20, .speed = 0.3, .delay = 5, .noise = 2, .noise_class = "silence"},
                       Names{"silence", "x"});
  for (uint64_t key = 0; key < 20; ++key) EXPECT_EQ(varied_row(rows, 0, key), std::vector<float>(200));
}

TEST_F(Sounds, AmountsBeyondTheirBoundsAreNamed) {
  EXPECT_EQ(error_of([] { check_augmentation({.speed = 0.5}); }),
            "augmentation: speed is 0.5, but must be at least 0 and below 0.5");
  EXPECT_EQ(error_of([] { check_augmentation({.gain = -1}); }),
            "augmentation: gain is -1, but must be at least 0 and below 100");
}

TEST_F(Sounds, BatchesAreTheSameForAnyNumberOfThreads) {
  make_words(8);
  const Splits splits = sound_splits(read_sounds(root(), {.seconds = 0.3}),
                                     {.gain = 10, .speed = 0.1, .delay = 50, .noise = 0.5, .noise_class = "low"});
  std::vector<std::vector<std::byte>> seen;
  for (const int threads : {0, 1, 3}) {
    Batches batches(splits.train, {.batch_size = 5, .seed = 4, .threads = threads});
    std::vector<std::byte> bytes;
    for (const uint64_t epoch : {0, 1}) {
      batches.start(epoch);
      while (const Batch* batch = batches.next()) {
        const std::vector<std::byte> more = bytes_of(batch->inputs);
        bytes.insert(bytes.end(), more.begin(), more.end());
      }
    }
    seen.push_back(bytes);
  }
  EXPECT_EQ(seen[0].size(), 2 * 24 * 2400 * sizeof(float));
  EXPECT_EQ(seen[0], seen[1]);
  EXPECT_EQ(seen[0], seen[2]);
  EXPECT_FALSE(std::equal(seen[0].begin(), seen[0].begin() + static_cast<std::ptrdiff_t>(seen[0].size() / 2),
                          seen[0].begin() + static_cast<std::ptrdiff_t>(seen[0].size() / 2)));
}

}  // namespace
}  // namespace descent::data
