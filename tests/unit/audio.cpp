#include "descent/data/audio.h"

#include <fcntl.h>
#include <sndfile.h>
#include <unistd.h>

#include <cmath>
#include <numbers>
#include <thread>

#include "data_testing.h"
#include "descent/io/atomic_file.h"
#include "sound_testing.h"

namespace descent::data {
namespace {

// A file of one or more channels, each of which holds `samples` times 1, 2, 3 ..
std::string sound_file(const Folder& folder, const std::string& name, int format, int rate,
                       const std::vector<float>& samples, int channels = 1) {
  SF_INFO info{};
  info.samplerate = rate;
  info.channels = channels;
  info.format = format;
  SNDFILE* const file = sf_open(folder.path(name).c_str(), SFM_WRITE, &info);
  EXPECT_NE(file, nullptr) << sf_strerror(nullptr);
  std::vector<float> frames;
  for (const float sample : samples)
    for (int c = 1; c <= channels; ++c) frames.push_back(sample * static_cast<float>(c));
  EXPECT_EQ(sf_writef_float(file, frames.data(), std::ssize(samples)), std::ssize(samples));
  sf_close(file);
  return folder.path(name);
}

// The strength of a sound at a frequency: the amplitude of a sine there.
double strength(std::span<const float> sound, double hertz, double rate) {
  double c = 0, s = 0;
  for (size_t i = 0; i < sound.size(); ++i) {
    const double angle = 2 * std::numbers::pi * hertz * static_cast<double>(i) / rate;
    c += sound[i] * std::cos(angle);
    s += sound[i] * std::sin(angle);
  }
  return 2 * std::hypot(c, s) / static_cast<double>(sound.size());
}

double rms(std::span<const float> sound) {
  double sum = 0;
  for (const float value : sound) sum += value * value;
  return std::sqrt(sum / static_cast<double>(sound.size()));
}

struct Encoding {
  const char* name;
  int format;
  double error;  // half a step of the samples
};

TEST(Audio, ReadsEveryEncoding) {
  const Folder folder;
  const std::vector<float> sound = tone(440, 8000, 1000);
  const Encoding encodings[] = {{"a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 1.0 / 128},
                                {"b.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1.0 / 32768},
                                {"c.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 1.0 / 8388608},
                                {"d.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_32, 1e-7},
                                {"e.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0},
                                {"f.wav", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 0},
                                {"g.wav", SF_FORMAT_WAV | SF_FORMAT_ULAW, 0.02},
                                {"h.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16 | SF_ENDIAN_BIG, 1.0 / 32768},
                                {"i.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1.0 / 32768},
                                {"j.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 1.0 / 8388608}};
  for (const Encoding& encoding : encodings) {
    const std::string path = sound_file(folder, encoding.name, encoding.format, 8000, sound);
    const Array read = read_audio(path);
    ASSERT_EQ(read.shape(), Shape{1000}) << encoding.name;
    for (int64_t i = 0; i < 1000; ++i) ASSERT_NEAR(read.at(i), sound[i], encoding.error) << encoding.name << ' ' << i;
    const Array bytes = [&] {
      uint64_t size = 0;
      const io::Descriptor file = io::open_regular(path, size);
      Array out(DType::u8, {static_cast<int64_t>(size)});
      io::read_at(file, path, 0, out.bytes());
      return out;
    }();
    AudioStream parsed = AudioStream::parse(bytes.bytes(), "memory");
    EXPECT_EQ(bytes_of(read_rest(parsed, "memory")), bytes_of(read)) << encoding.name;
  }
}

TEST(Audio, MixesChannels) {
  const Folder folder;
  const std::vector<float> sound = tone(100, 8000, 500);
  const std::string path = sound_file(folder, "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, sound, 2);
  const Array read = read_audio(path);
  ASSERT_EQ(read.shape(), Shape{500});
  for (int64_t i = 0; i < 500; ++i) ASSERT_NEAR(read.at(i), 1.5 * sound[i], 1e-7);
  EXPECT_EQ(AudioStream::open(path).facts().channels, 2);
}

TEST(Audio, BringsToAnotherRate) {
  const Folder folder;
  for (const int from : {8000, 11025, 16000, 44100, 48000}) {
    const auto count = static_cast<size_t>(from);  // a second
    const std::string path =
        sound_file(folder, "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, from, tone(1000, from, count));
    const Array read = read_audio(path, 16000);
    EXPECT_NEAR(static_cast<double>(read.elements()), 16000, 2) << from;
    const std::span<const float> middle = read.as<float>().subspan(2000, 12000);
    EXPECT_NEAR(strength(middle, 1000, 16000), 0.5, 0.001) << from;
    EXPECT_NEAR(rms(middle), 0.5 / std::numbers::sqrt2, 0.001) << from;  // and nothing else
  }
}

TEST(Audio, LeavesNoAliases) {
  const Folder folder;
  const std::string path =
      sound_file(folder, "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 48000, tone(6000, 48000, 48000));
  const Array read = read_audio(path, 8000);  // 6 kHz would fold to 2 kHz
  EXPECT_LT(rms(read.as<float>().subspan(500, 7000)), 1e-4);
}

TEST(Audio, AStreamGivesTheSameInAnyPieces) {
  const Folder folder;
  const std::string path =
      sound_file(folder, "a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 22050, tone(333, 22050, 30000));
  for (const int64_t rate : {22050, 16000}) {
    const Array whole = read_audio(path, rate);
    AudioStream stream = AudioStream::open(path, rate);
    std::vector<float> pieces;
    for (size_t size = 1;; size = size * 3 % 5003) {
      std::vector<float> piece(size);
      const size_t got = stream.read(piece);
      pieces.insert(pieces.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
      if (got < size) break;
    }
    EXPECT_EQ(bytes_of(array_of(pieces)), bytes_of(whole)) << rate;
  }
}

// What the process holds, in MiB.
double resident() {
  std::ifstream file("/proc/self/statm");
  double all = 0, here = 0;
  file >> all >> here;
  return here * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

// Ten hours: 288 million samples of silence, which takes no place on the disk but in the header.
TEST(Audio, TenHoursNeedLittleMemory) {
  const Folder folder;
  constexpr int64_t rate = 8000, samples = rate * 3600 * 10;
  const std::string path = sound_file(folder, "a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, rate, tone(100, rate, 4096));
  std::filesystem::resize_file(path, 44 + samples);
  std::fstream header(path, std::ios::in | std::ios::out | std::ios::binary);
  for (const auto& [place, value] : {std::pair{4, samples + 36}, {40, samples}}) {
    header.seekp(place);
    for (int shift = 0; shift < 32; shift += 8) header.put(static_cast<char>(value >> shift));
  }
  header.close();
  AudioStream stream = AudioStream::open(path);
  EXPECT_EQ(stream.facts().frames, samples);
  std::vector<float> piece(1 << 16);
  const double before = resident();
  int64_t read = 0;
  for (size_t got = piece.size(); got == piece.size();) read += static_cast<int64_t>(got = stream.read(piece));
  EXPECT_EQ(read, samples);
  EXPECT_LT(resident() - before, 16);
  EXPECT_NE(error_of([&] { read_audio(path, 0, 1 << 20); }).find("longer than 1048576 samples"), std::string::npos);
}

TEST(Audio, WritesWhatItReads) {
  const Folder folder;
  std::vector<float> sound = tone(440, 16000, 300);
  sound[7] = 2;  // clipped
  write_wav(folder.path("a.wav"), array_of(sound), 16000);
  const Array read = read_audio(folder.path("a.wav"));
  EXPECT_EQ(AudioStream::open(folder.path("a.wav")).rate(), 16000);
  for (int64_t i = 0; i < 300; ++i) ASSERT_NEAR(read.at(i), std::min(sound[i], 1.0f), 1.0 / 32768);
}

TEST(Audio, ResamplesInMemory) {
  const Array slow = resampled_audio(array_of(tone(440, 8000, 8000)), 8000, 10000);
  EXPECT_NEAR(static_cast<double>(slow.elements()), 10000, 2);
  EXPECT_NEAR(strength(slow.as<float>().subspan(1000, 8000), 440, 10000), 0.5, 0.001);
}

// --- raw streams ---

// The two ends of a pipe; what is written is written by a thread, so that more than the pipe holds goes through.
class Pipe {
 public:
  explicit Pipe(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {
    EXPECT_EQ(::pipe(ends_), 0);
    writer_ = std::thread([this] {
      for (size_t at = 0; at < bytes_.size();) {
        const ssize_t put = ::write(ends_[1], bytes_.data() + at, std::min<size_t>(bytes_.size() - at, 1001));
        if (put <= 0) break;
        at += static_cast<size_t>(put);
      }
      ::close(ends_[1]);
    });
  }
  ~Pipe() {
    writer_.join();
    ::close(ends_[0]);
  }
  int end() const { return ends_[0]; }

 private:
  std::vector<std::byte> bytes_;
  int ends_[2] = {-1, -1};
  std::thread writer_;
};

std::vector<std::byte> sixteen_bits(const std::vector<float>& sound) {
  std::vector<std::byte> out;
  for (const float value : sound) {
    const auto number = static_cast<int>(std::lround(value * 32768));
    out.push_back(static_cast<std::byte>(number));
    out.push_back(static_cast<std::byte>(number >> 8));
  }
  return out;
}

TEST(AudioRaw, ReadsAPipe) {
  const std::vector<float> sound = tone(440, 16000, 100000);
  const Pipe pipe(sixteen_bits(sound));
  AudioStream stream = AudioStream::raw(pipe.end(), {}, "standard input");
  const Array read = read_rest(stream, "standard input");
  ASSERT_EQ(read.shape(), Shape{100000});
  for (int64_t i = 0; i < 100000; ++i) ASSERT_NEAR(read.at(i), sound[i], 1.0 / 32768);
}

TEST(AudioRaw, KnowsTheHeaderOfAWavStream) {
  const Folder folder;
  const std::vector<float> sound = tone(440, 8000, 2000);
  for (const int format : {SF_FORMAT_PCM_U8, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_PCM_32}) {
    const std::string path = sound_file(folder, "a.wav", SF_FORMAT_WAV | format, 8000, sound, 2);
    const io::Descriptor file(::open(path.c_str(), O_RDONLY));
    AudioStream stream = AudioStream::raw(file.number(), {}, "standard input", 8000);
    EXPECT_EQ(stream.facts().channels, 2);
    EXPECT_EQ(bytes_of(read_rest(stream, "standard input")), bytes_of(read_audio(path))) << format;
  }
}

TEST(AudioRaw, LeavesOutHalfASample) {
  std::vector<std::byte> bytes = sixteen_bits(tone(440, 16000, 10));
  bytes.push_back(std::byte{1});
  const Pipe pipe(bytes);
  AudioStream stream = AudioStream::raw(pipe.end(), {}, "standard input");
  EXPECT_EQ(read_rest(stream, "standard input").shape(), Shape{10});
}

TEST(AudioRaw, RefusesWhatItCannotRead) {
  const auto error_for = [](std::vector<std::byte> bytes, const RawAudio& format = {}) {
    const Pipe pipe(std::move(bytes));
    return error_of([&] { AudioStream::raw(pipe.end(), format, "in"); });
  };
  EXPECT_EQ(error_for({}, {.bits = 12}), "in: samples of 12 bits are not read (8, 16, 24 and 32 are)");
  EXPECT_EQ(error_for({}, {.channels = 0}), "in: 0 channels are not between 1 and 64");
  EXPECT_EQ(error_for(bytes_of("RIFF....WAVEfm")), "in: the stream ends within its header");
  EXPECT_NE(error_for(bytes_of("RIFF....WAVEdata....")).find("does not say how"), std::string::npos);
}

// --- bad files ---

TEST(Audio, RefusesBadFiles) {
  const Folder folder;
  const auto error_for = [](const std::string& path) { return error_of([&] { read_audio(path); }); };
  const std::string empty = folder.write("empty.wav", {});
  EXPECT_EQ(error_for(empty), empty + ": the file is empty");
  const std::string words = folder.write("words.wav", bytes_of("Hello, this is no sound at all."));
  EXPECT_EQ(error_for(words), words + ": is neither a WAV nor a FLAC file");
  const std::string none = sound_file(folder, "none.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, {});
  EXPECT_EQ(error_for(none), none + ": there are no samples in it");
  const std::string head = folder.write("head.wav", bytes_of("RIFF\1\0\0"));
  EXPECT_EQ(error_for(head).find(head + ": cannot be read as sound: "), 0u) << error_for(head);
  const std::string slow = sound_file(folder, "slow.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 10, {0, 0});
  EXPECT_EQ(error_for(slow), slow + ": a rate of 10 samples a second is not between 1000 and 1000000");
  const std::string packed = sound_file(folder, "packed.wav", SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, 8000, {0, 0});
  EXPECT_NE(error_for(packed).find("compressed in a way"), std::string::npos);
  EXPECT_NE(error_for(folder.path("nothing.wav")).find("nothing.wav"), std::string::npos);
  EXPECT_NE(error_for(folder.path(".")).find("not a regular file"), std::string::npos) << error_for(folder.path("."));
}

TEST(Audio, RefusesWhatIsNoNumber) {
  const Folder folder;
  const std::string path = sound_file(folder, "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, {0, 0, NAN});
  EXPECT_EQ(error_of([&] { read_audio(path); }), path + ": sample 2 is not a number");
  EXPECT_EQ(error_of([&] { read_audio(path, 16000); }), path + ": sample 2 is not a number");  // through C
}

// A recorder that was stopped leaves a WAV file without its end; a FLAC file that ends early is damaged.
TEST(Audio, ReadsACutWavButNoCutFlac) {
  const Folder folder;
  const std::vector<float> sound = tone(1234, 8000, 20000);
  const std::string wav = sound_file(folder, "a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, sound);
  std::filesystem::resize_file(wav, 44 + 2 * 700 + 1);
  EXPECT_EQ(read_audio(wav).shape(), Shape{700});
  const std::string flac = sound_file(folder, "a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 8000, sound);
  std::filesystem::resize_file(flac, std::filesystem::file_size(flac) / 2);
  EXPECT_NE(error_of([&] { read_audio(flac); }).find("of 20000 samples"), std::string::npos);
}

}  // namespace
}  // namespace descent::data
