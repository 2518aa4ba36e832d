// Speech on the command line, as tones: each letter a pitch. Trained on, judged, transcribed, listened to as a stream.
#include <cmath>
#include <numbers>

#include "cli_testing.h"

namespace descent::cli {
namespace {

constexpr int rate = 8000;

// A letter is 120 ms of its own tone, a space as much silence; 60 ms of silence around all.
std::vector<int16_t> spoken(const std::string& text, std::mt19937& random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<int16_t> out(rate * 6 / 100);
  for (const char letter : text) {
    const double pitch = letter == ' ' ? 0 : 500 * std::pow(1.5, letter - 'a'), phase = uniform(random) * 6;
    const int samples = rate * 12 / 100;
    for (int i = 0; i < samples; ++i) {
      const double fade = std::min({1.0, i / 80.0, (samples - i) / 80.0});
      const double tone = pitch == 0 ? 0 : fade * std::sin(2 * std::numbers::pi * pitch * i / rate + phase);
      out.push_back(static_cast<int16_t>(6000 * tone + 60 * (uniform(random) - 0.5)));
    }
  }
  out.resize(out.size() + rate * 6 / 100);
  return out;
}

std::string raw_bytes(const std::vector<int16_t>& samples) {
  return {reinterpret_cast<const char*>(samples.data()), 2 * samples.size()};
}

std::string wav_bytes(const std::vector<int16_t>& samples) {
  const auto number = [](uint32_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  const auto size = static_cast<uint32_t>(2 * samples.size());
  return "RIFF" + number(36 + size, 4) + "WAVEfmt " + number(16, 4) + number(1, 2) + number(1, 2) + number(rate, 4) +
         number(2 * rate, 4) + number(2, 2) + number(16, 2) + "data" + number(size, 4) + raw_bytes(samples);
}

class Tones : public Program {
 protected:
  Tones() {
    std::mt19937 random(1);
    std::string table = "path\ttext\n";
    for (int i = 0; i < 160; ++i) {
      std::string text;
      const int letters = 2 + static_cast<int>(random() % 5);
      for (int k = 0; k < letters; ++k)
        text += k > 0 && k + 1 < letters && text.back() != ' ' && random() % 4 == 0
                    ? ' '
                    : static_cast<char>('a' + random() % 4);
      const std::string name = "clips/" + std::to_string(i) + ".wav";
      file(name, wav_bytes(spoken(text, random)));
      table += name + "\t" + text + "\n";
    }
    file("clips.tsv", table);
    file("tones.toml", R"(
task = "transcribe"
layers = [
  { kind = "log_mel", rate = 8000, bands = 20 },
  { kind = "scale", factor = 0.2 },
  { kind = "conv1d", features = 48, kernel = 5, stride = 2 },
  { kind = "relu" },
  { kind = "layer_norm" },
  { kind = "conv1d", features = 48, kernel = 5, stride = 2 },
  { kind = "relu" },
  { kind = "layer_norm" },
  { kind = "linear", features = 6 },
]
[data]
speech = "clips.tsv"
validation = 0.1
test = 0.2
[augment]
gain = 3
[optimizer]
kind = "adamw"
learning_rate = 0.004
[schedule]
kind = "cosine"
[train]
epochs = 45
batch_size = 16
precision = "f32"
threads = 2
[evaluate]
beam = 8
language = 0.3
words = 0.2
bonus = 0.3
)");
  }

  std::string sound(const std::string& name, const std::string& text, bool header = true) {
    std::mt19937 random(99);
    const std::vector<int16_t> samples = spoken(text, random);
    return file(name, header ? wav_bytes(samples) : raw_bytes(samples));
  }

  Ended listen(const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"listen", "run"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, [&] { ::dup2(::open(name.c_str(), O_RDONLY), STDIN_FILENO); });
  }
};

TEST_F(Tones, AreTrainedJudgedAndTranscribed) {
  const Ended trained = run({"train", "tones.toml", "--out", "run"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(has(trained.out, "cer")) << trained.out;
  const Ended judged = run({"evaluate", "run", "--json"});
  ASSERT_EQ(judged.code, 0) << judged.err;
  EXPECT_LT(judged.json().at("cer"), 0.1) << judged.out;
  EXPECT_LT(judged.json().at("decoded_cer"), 0.1);
  EXPECT_FALSE(judged.json().contains("confusion"));
  int64_t said = 0, right = 0;
  const Json figures = judged.json();
  for (const Json& count : figures.at("texts")) {
    said += count.at("said").get<int64_t>();
    right += count.at("right").get<int64_t>();
  }
  const auto all = judged.json().at("examples").get<int64_t>();
  EXPECT_EQ(said, all);
  EXPECT_NEAR(1 - static_cast<double>(right) / static_cast<double>(all),
              judged.json().at("decoded_sentence_error").get<double>(), 1e-9);
  const Ended other =
      run({"evaluate", "run", "--data", "clips.tsv", "--json", "--beam", "1", "--language", "0", "--words", "0"});
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_EQ(other.json().at("examples"), 160);
  EXPECT_FALSE(other.json().contains("decoded_cer"));

  // Models of the training texts: without them the search judges sounds alone; a list of words that is not there.
  const Ended sounds = run({"evaluate", "run", "--json", "--language", "0", "--words", "0"});
  EXPECT_LT(sounds.json().at("decoded_cer"), 0.15) << sounds.err;
  fs::rename(folder_ / "run/words.txt", folder_ / "run/other.txt");
  EXPECT_EQ(run({"evaluate", "run"}).complaint(), "run: there is no words.txt, its language model");
  fs::rename(folder_ / "run/other.txt", folder_ / "run/words.txt");

  sound("new.wav", "dab cab");
  const Ended predicted = run({"predict", "run", "new.wav"});
  EXPECT_EQ(predicted.out, "new.wav: dab cab\n") << predicted.err;
  EXPECT_EQ(run({"predict", "run", "new.wav", "--json"}).json().at("predictions")[0].at("text"), "dab cab");

  // A stream of several seconds, in windows of two: with a header, without one, and as a file.
  const std::string sentence = "dab cab bad cad abcd dada";
  sound("long.wav", sentence);
  sound("long.raw", sentence, false);
  EXPECT_EQ(listen("long.wav", {"--window", "2"}).out, sentence + "\n");
  EXPECT_EQ(listen("long.raw", {"--window", "2", "--rate", "8000"}).out, sentence + "\n");
  EXPECT_EQ(run({"listen", "run", "long.wav", "--window", "3"}).out, sentence + "\n");
  // A pause ends a line.
  sound("two.wav", "dab cab          bad");
  EXPECT_EQ(listen("two.wav", {"--window", "2"}).out, "dab cab\nbad\n");
  const Ended counted = listen("two.wav", {"--json"});
  EXPECT_EQ(counted.json().at("text"), "dab cab\nbad\n");
  EXPECT_NEAR(counted.json().at("seconds"), 20 * 0.12 + 0.12, 0.01);
  // Silence says nothing.
  file("silence.raw", std::string(rate * 2 * 5, '\0'));
  const Ended silent = listen("silence.raw", {"--rate", "8000"});
  EXPECT_EQ(silent.code, 0) << silent.err;
  EXPECT_EQ(silent.out, "");
  // Nothing at all, and what is no sound.
  file("empty.raw", "");
  const Ended empty = listen("empty.raw");
  EXPECT_EQ(empty.code, 1);
  EXPECT_TRUE(has(empty.complaint(), "standard input")) << empty.err;
  file("text.wav", "not a sound");
  const Ended none = run({"predict", "run", "text.wav"});
  EXPECT_EQ(none.code, 1);
  EXPECT_TRUE(has(none.complaint(), "text.wav")) << none.err;
  EXPECT_EQ(listen("long.raw", {"--window", "0.5"}).code, 2);
  // A shorter piece than a frame.
  file("short.raw", std::string(2 * 30, '\1'));
  EXPECT_EQ(listen("short.raw", {"--rate", "8000"}).code, 0);
}

// An hour of noise is heard in the memory that a minute takes, from a stream and from a file. (Ten hours as a file:
// unit_audio.) Its samples alone would be 58 MB.
TEST_F(Tones, AnHourTakesTheMemoryOfAMinute) {
  ASSERT_EQ(run({"train", "tones.toml", "--out", "run", "--set", "train.epochs=1"}).code, 0);
  std::mt19937 random(7);
  std::vector<int16_t> minute(rate * 60);
  for (int16_t& sample : minute) sample = static_cast<int16_t>(random() % 4001) - 2000;
  std::vector<int16_t> hour;
  for (int i = 0; i < 60; ++i) hour.insert(hour.end(), minute.begin(), minute.end());
  file("minute.raw", raw_bytes(minute));
  file("hour.raw", raw_bytes(hour));
  file("hour.wav", wav_bytes(hour));
  const std::vector<std::string> quickly{"--json", "--rate", "8000", "--beam", "2", "--window", "10"};
  const Ended one = listen("minute.raw", quickly), all = listen("hour.raw", quickly);
  ASSERT_EQ(all.code, 0) << all.err;
  EXPECT_NEAR(one.json().at("seconds"), 60, 0.01);
  EXPECT_NEAR(all.json().at("seconds"), 3600, 0.01);
  EXPECT_LT(all.peak_kib - one.peak_kib, 8192);
  const Ended named = run({"listen", "run", "hour.wav", "--json", "--beam", "2", "--window", "10"});
  EXPECT_NEAR(named.json().at("seconds"), 3600, 0.01) << named.err;
  EXPECT_LT(named.peak_kib - one.peak_kib, 8192);
}

// A file that is no sound, or only the beginning of one, stops each command with a sentence that names it; silence and
// a click do not.
TEST_F(Tones, OddSounds) {
  file("silence.wav", wav_bytes(std::vector<int16_t>(rate, 0)));
  file("click.wav", wav_bytes({100, -100, 100}));
  const std::string clips = content(folder_ / "clips.tsv");
  file("clips.tsv", clips + "silence.wav\tab\nclick.wav\ta\n");
  const Ended trained = run({"train", "tones.toml", "--out", "run", "--set", "train.epochs=2", "--set", "data.test=0"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_FALSE(has(trained.out, "nan")) << trained.out;
  for (const char* name : {"silence.wav", "click.wav"}) {
    EXPECT_EQ(run({"predict", "run", name}).code, 0) << name;
    EXPECT_EQ(run({"listen", "run", name}).code, 0) << name;
  }

  std::string floats = wav_bytes({1, 2, 3});
  floats[20] = 3;  // which would need 32 bits
  const std::pair<const char*, std::string> bad[] = {
      {"empty.wav", ""},      {"none.wav", wav_bytes({})}, {"header.wav", wav_bytes({1, 2}).substr(0, 30)},
      {"floats.wav", floats}, {"words.wav", "no sound"},   {"flac.flac", "fLaC, but no more"}};
  for (const auto& [name, bytes] : bad) {
    file(name, bytes);
    file("clips.tsv", clips + name + "\tab\n");
    for (const std::vector<std::string>& command : {std::vector<std::string>{"predict", "run", name},
                                                    {"listen", "run", name},
                                                    {"train", "tones.toml", "--out", "other"}}) {
      const Ended ended = run(command);
      EXPECT_EQ(ended.code, 1) << name << ' ' << command[0];
      EXPECT_TRUE(has(ended.complaint(), name)) << ended.err;
      EXPECT_FALSE(has(ended.complaint(), "\n")) << ended.err;
    }
  }
}

TEST_F(Tones, MistakesAreNamed) {
  const auto complaint = [&](const std::vector<std::string>& overrides) {
    std::vector<std::string> arguments{"train", "tones.toml", "--out", "none"};
    for (const std::string& one : overrides) arguments.insert(arguments.end(), {"--set", one});
    const Ended ended = run(arguments);
    EXPECT_NE(ended.code, 0);
    return ended.complaint();
  };
  EXPECT_TRUE(has(complaint({"layers.8.features=9"}), "did you mean features = 6?"));
  EXPECT_TRUE(has(complaint({"task=classify"}), "did you mean task = \"transcribe\"?"));
  EXPECT_TRUE(has(complaint({"data.speech=nowhere"}), "nowhere"));
  EXPECT_TRUE(has(complaint({"data.hold_out=words"}), "hold_out"));
  EXPECT_TRUE(has(complaint({"layers.4.kind=batch_norm"}), "it would mix what is behind the end"));
}

}  // namespace
}  // namespace descent::cli
