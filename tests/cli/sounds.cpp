// Folders of sounds as a user has them: fit, evaluate, predict; and what is said of bad ones.
#include "../unit/sound_testing.h"
#include "cli_testing.h"

namespace descent::cli {
namespace {

class SoundRun : public Program {
 protected:
  // words/low, words/middle, words/high, of several rates.
  void make_words(int count) const {
    static constexpr const char* names[] = {"low", "middle", "high"};
    for (int kind = 0; kind < 3; ++kind)
      for (int i = 0; i < count; ++i) {
        const int rate = i % 4 == 3 ? 11025 : 8000;
        data::write_sound(folder_ / "words" / names[kind] / (std::to_string(i) + ".wav"),
                          data::word(kind, static_cast<uint64_t>(i), rate), rate);
      }
  }
  void write(const std::string& name, const std::vector<float>& samples, int64_t rate) const {
    data::write_sound(folder_ / name, samples, rate);
  }
};

TEST_F(SoundRun, FitEvaluatePredict) {
  make_words(24);
  const Ended fitted = run({"fit", "words", "--out", "run", "--seed", "1"});
  ASSERT_EQ(fitted.code, 0) << fitted.err;
  EXPECT_TRUE(has(fitted.err, "72 sounds of 3 classes, most of 8000 samples a second")) << fitted.err;
  const Ended judged = run({"evaluate", "run", "--json"});
  EXPECT_GE(judged.json().at("accuracy"), 0.9) << judged.err;

  write("new/high/x.wav", data::word(2, 1000, 44100), 44100);
  write("new/low/y.wav", data::word(0, 1001), 8000);
  const Ended folder = run({"evaluate", "run", "--data", "new", "--json"});
  EXPECT_EQ(folder.json().at("examples"), 2) << folder.err;
  EXPECT_EQ(folder.json().at("accuracy"), 1.0);

  // A word within a minute of silence is found.
  std::vector<float> minute(8000 * 60);
  const std::vector<float> middle = data::word(1, 1002);
  std::ranges::copy(middle, minute.begin() + 123456);
  write("long.wav", minute, 8000);
  write("silence.wav", std::vector<float>(4000), 8000);
  const Ended asked = run({"predict", "run", "new/high/x.wav", "new/low/y.wav", "long.wav", "silence.wav", "--json"});
  ASSERT_EQ(asked.code, 0) << asked.err;
  const Json predictions = asked.json().at("predictions");
  EXPECT_EQ(predictions[0].at("label"), "high");
  EXPECT_EQ(predictions[1].at("label"), "low");
  EXPECT_EQ(predictions[2].at("label"), "middle");
  const double sure = predictions[3].at("classes")[0].at("probability");
  EXPECT_TRUE(sure > 0 && sure <= 1) << "silence has an answer, too";

  file("empty.wav", "");
  file("words.txt", "how are you");
  write("none.wav", {}, 8000);
  for (const auto& [name, why] : {std::pair{"empty.wav", "empty.wav: the file is empty"},
                                  {"words.txt", "words.txt: is neither a WAV nor a FLAC file"},
                                  {"none.wav", "none.wav: there are no samples in it"}}) {
    const Ended refused = run({"predict", "run", name});
    EXPECT_EQ(refused.code, 1);
    EXPECT_EQ(refused.complaint(), why);
  }
}

constexpr const char* recipe_text = R"(layers = [
  { kind = "mfcc", rate = 8000, norm = "clip" },
  { kind = "spec_augment", time_width = 3, frequency_width = 2 },
  { kind = "global_average_pool" },
  { kind = "linear", features = 3 },
]
[data]
sounds = "words"
rate = 8000
seconds = 0.4
validation = 0.2
test = 0.2
[augment]
gain = 6
speed = 0.1
delay = 40
noise = 0.4
noise_class = "low"
[train]
epochs = 4
batch_size = 4
precision = "f32"
)";

TEST_F(SoundRun, TrainsToTheSameWeightsWithAnyThreads) {
  make_words(8);
  file("recipe.toml", recipe_text);
  const Json one = run({"train", "recipe.toml", "--out", "one", "--threads", "1", "--json"}).json();
  const Json more =
      run({"train", "recipe.toml", "--out", "more", "--threads", "2", "--set", "train.data_threads=3", "--json"})
          .json();
  EXPECT_EQ(one.at("weights_sha256"), more.at("weights_sha256"));
}

TEST_F(SoundRun, WhatDoesNotFitIsNamed) {
  make_words(3);
  file("recipe.toml", recipe_text);
  const auto complaint = [&](const std::vector<std::string>& sets) {
    std::vector<std::string> arguments{"train", "recipe.toml", "--out", "run"};
    for (const std::string& set : sets) {
      arguments.emplace_back("--set");
      arguments.push_back(set);
    }
    const Ended ended = run(arguments);
    EXPECT_NE(ended.code, 0);
    return ended.complaint();
  };
  EXPECT_TRUE(
      has(complaint({"augment.flip=random"}), "the data are sounds, which gain, speed, delay and noise change"));
  EXPECT_TRUE(has(complaint({"augment.noise_class=lowe"}), "no class 'lowe' to be noise; did you mean 'low'?"));
  EXPECT_TRUE(has(complaint({"augment.speed=0.7"}), "'speed' must be at least 0 and below 0.5, got 0.7"));
  EXPECT_TRUE(has(complaint({"data.speaker_match=("}), "is no regular expression"));
  EXPECT_TRUE(has(complaint({"data.seconds=0.001"}), "is shorter than a window of 200 samples"));
  EXPECT_TRUE(has(complaint({"data.sounds=nowhere"}), "there is no folder or table of sounds"));
  file("words/low/broken.wav", "RIFF and no more");
  EXPECT_TRUE(has(complaint({}), "words/low/broken.wav: cannot be read as sound"));
}

}  // namespace
}  // namespace descent::cli
