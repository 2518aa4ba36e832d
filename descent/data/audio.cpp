#include "descent/data/audio.h"

#include <fcntl.h>
#include <samplerate.h>
#include <sndfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/data/audio_samples.h"
#include "descent/io/atomic_file.h"

namespace descent::data {

namespace {

constexpr int64_t least_rate = 1000, most_rate = 1'000'000, most_channels = 64;
constexpr size_t block_frames = 4096;

void check_format(const std::string& name, int64_t rate, int64_t channels) {
  if (rate < least_rate || rate > most_rate)
    fail(text(name, ": a rate of ", rate, " samples a second is not between ", least_rate, " and ", most_rate));
  if (channels < 1 || channels > most_channels)
    fail(text(name, ": ", channels, " channels are not between 1 and ", most_channels));
}

// The mean of each frame's channels. Fails if a sample is not a number.
void mix(std::span<const float> frames, size_t channels, std::span<float> out, const std::string& name, int64_t first) {
  const float share = 1.0f / static_cast<float>(channels);
  for (size_t i = 0; i < out.size(); ++i) {
    float sum = 0;
    for (size_t c = 0; c < channels; ++c) sum += frames[i * channels + c];
    out[i] = sum * share;
    if (!std::isfinite(out[i])) fail(text(name, ": sample ", first + static_cast<int64_t>(i), " is not a number"));
  }
}

// --- files, by libsndfile ---

struct CloseFile {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using FileHandle = std::unique_ptr<SNDFILE, CloseFile>;

class FileSamples : public AudioStream::Samples {
 public:
  FileSamples(FileHandle file, AudioFacts facts, std::string name)
      : file_(std::move(file)), facts_(facts), name_(std::move(name)) {}

  size_t read(std::span<float> out) override {
    size_t filled = 0;
    while (filled < out.size()) {
      const size_t wanted = std::min(out.size() - filled, block_frames);
      frames_.resize(wanted * static_cast<size_t>(facts_.channels));
      const sf_count_t got = sf_readf_float(file_.get(), frames_.data(), static_cast<sf_count_t>(wanted));
      if (got <= 0) {
        check_end();
        break;
      }
      mix(frames_, static_cast<size_t>(facts_.channels), out.subspan(filled, static_cast<size_t>(got)), name_, place_);
      filled += static_cast<size_t>(got);
      place_ += got;
    }
    return filled;
  }

 private:
  void check_end() const {
    if (facts_.frames && place_ < *facts_.frames)
      fail(text(name_, ": the sound is damaged after ", place_, " of ", *facts_.frames, " samples"));
  }

  FileHandle file_;
  AudioFacts facts_;
  std::string name_;
  int64_t place_ = 0;
  std::vector<float> frames_;
};

// libsndfile knows many formats; only those are let near it that are wanted.
void check_beginning(std::span<const std::byte> bytes, const std::string& name) {
  const auto begins = [&](std::string_view word) {
    return bytes.size() >= word.size() && std::memcmp(bytes.data(), word.data(), word.size()) == 0;
  };
  if (bytes.empty()) fail(text(name, ": the file is empty"));
  if (!begins("RIFF") && !begins("RIFX") && !begins("RF64") && !begins("fLaC"))
    fail(text(name, ": is neither a WAV nor a FLAC file"));
}

void check_encoding(const SF_INFO& info, const std::string& name) {
  static constexpr std::array<int, 4> kinds{SF_FORMAT_WAV, SF_FORMAT_WAVEX, SF_FORMAT_RF64, SF_FORMAT_FLAC};
  static constexpr std::array<int, 9> encodings{SF_FORMAT_PCM_U8, SF_FORMAT_PCM_S8, SF_FORMAT_PCM_16,
                                                SF_FORMAT_PCM_24, SF_FORMAT_PCM_32, SF_FORMAT_FLOAT,
                                                SF_FORMAT_DOUBLE, SF_FORMAT_ULAW,   SF_FORMAT_ALAW};
  if (std::ranges::find(kinds, info.format & SF_FORMAT_TYPEMASK) == kinds.end())
    fail(text(name, ": is neither a WAV nor a FLAC file"));
  if (std::ranges::find(encodings, info.format & SF_FORMAT_SUBMASK) == encodings.end())
    fail(text(name,
              ": its samples are compressed in a way that is not read here (8 to 32 bits, floats, A-law and "
              "mu-law are)"));
}

AudioFacts checked_facts(const FileHandle& file, const SF_INFO& info, const std::string& name) {
  if (!file) {
    std::string why = sf_strerror(nullptr);
    while (!why.empty() && (why.back() == '.' || why.back() == '\n')) why.pop_back();
    fail(text(name, ": cannot be read as sound: ", why));
  }
  check_encoding(info, name);
  check_format(name, info.samplerate, info.channels);
  if (info.frames == 0) fail(text(name, ": there are no samples in it"));
  const bool known = info.frames > 0 && info.frames < SF_COUNT_MAX;
  return {info.samplerate, info.channels, known ? std::optional<int64_t>(info.frames) : std::nullopt};
}

// A file in memory.
struct Memory {
  std::span<const std::byte> bytes;
  sf_count_t place = 0;

  sf_count_t size() const { return static_cast<sf_count_t>(bytes.size()); }
};

Memory& memory_of(void* user) { return *static_cast<Memory*>(user); }

sf_count_t seek_memory(sf_count_t offset, int whence, void* user) {
  Memory& memory = memory_of(user);
  const sf_count_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? memory.place : memory.size();
  memory.place = std::clamp<sf_count_t>(from + std::clamp(offset, -memory.size(), memory.size()), 0, memory.size());
  return memory.place;
}

sf_count_t read_memory(void* to, sf_count_t count, void* user) {
  Memory& memory = memory_of(user);
  const sf_count_t got = std::clamp<sf_count_t>(count, 0, memory.size() - memory.place);
  std::memcpy(to, memory.bytes.data() + memory.place, static_cast<size_t>(got));
  memory.place += got;
  return got;
}

SF_VIRTUAL_IO memory_functions() {
  return {.get_filelen = [](void* user) { return memory_of(user).size(); },
          .seek = seek_memory,
          .read = read_memory,
          .write = [](const void*, sf_count_t, void*) { return sf_count_t{0}; },
          .tell = [](void* user) { return memory_of(user).place; }};
}

class MemorySamples : public AudioStream::Samples {
 public:
  MemorySamples(std::span<const std::byte> bytes, const std::string& name)
      : memory_{bytes}, functions_(memory_functions()) {
    SF_INFO info{};
    FileHandle file(sf_open_virtual(&functions_, SFM_READ, &info, &memory_));
    facts_ = checked_facts(file, info, name);
    samples_.emplace(std::move(file), facts_, name);
  }
  size_t read(std::span<float> out) override { return samples_->read(out); }
  const AudioFacts& facts() const { return facts_; }

 private:
  Memory memory_;
  SF_VIRTUAL_IO functions_;
  AudioFacts facts_;
  std::optional<FileSamples> samples_;  // ends before what it reads from
};

// --- another rate, by libsamplerate ---

struct DeleteConverter {
  void operator()(SRC_STATE* state) const { src_delete(state); }
};

class ResampledSamples : public AudioStream::Samples {
 public:
  ResampledSamples(std::unique_ptr<AudioStream::Samples> from, int64_t from_rate, int64_t to_rate,
                   const std::string& name)
      : from_(std::move(from)),
        ratio_(static_cast<double>(to_rate) / static_cast<double>(from_rate)),
        block_(block_frames) {
    if (!src_is_valid_ratio(ratio_)) fail(text(name, ": ", from_rate, " samples a second cannot become ", to_rate));
    int error = 0;
    state_.reset(src_callback_new(give, SRC_SINC_MEDIUM_QUALITY, 1, &error, this));
    if (!state_) fail(text(name, ": cannot be brought to another rate: ", src_strerror(error)));
  }

  size_t read(std::span<float> out) override {
    size_t filled = 0;
    while (filled < out.size()) {
      const size_t wanted = std::min(out.size() - filled, block_frames);
      const long got = src_callback_read(state_.get(), ratio_, static_cast<long>(wanted), out.data() + filled);
      if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
      if (got <= 0) break;
      filled += static_cast<size_t>(got);
    }
    return filled;
  }

 private:
  // Called from C, through which no exception may go.
  static long give(void* user, float** data) {
    auto& self = *static_cast<ResampledSamples*>(user);
    *data = self.block_.data();
    try {
      return static_cast<long>(self.from_->read(self.block_));
    } catch (...) {
      self.error_ = std::current_exception();
      return 0;
    }
  }

  std::unique_ptr<AudioStream::Samples> from_;
  double ratio_;
  std::vector<float> block_;
  std::unique_ptr<SRC_STATE, DeleteConverter> state_;
  std::exception_ptr error_;
};

class GivenSamples : public AudioStream::Samples {
 public:
  explicit GivenSamples(std::span<const float> samples) : left_(samples) {}
  size_t read(std::span<float> out) override {
    const size_t count = std::min(out.size(), left_.size());
    std::ranges::copy(left_.first(count), out.begin());
    left_ = left_.subspan(count);
    return count;
  }

 private:
  std::span<const float> left_;
};

// Everything that `samples` gives.
Array drained(AudioStream::Samples& samples, const std::string& name, int64_t most) {
  std::vector<float> all;
  for (size_t got = block_frames; got == block_frames;) {
    const size_t before = all.size();
    all.resize(before + block_frames);
    got = samples.read(std::span(all).subspan(before));
    all.resize(before + got);
    if (std::ssize(all) > most) fail(text(name, ": the sound is longer than ", most, " samples"));
  }
  Array out(DType::f32, {std::ssize(all)});
  std::ranges::copy(all, out.as<float>().begin());
  return out;
}

}  // namespace

AudioStream::AudioStream(std::unique_ptr<Samples> samples, const AudioFacts& facts, int64_t rate,
                         const std::string& name)
    : facts_(facts), rate_(rate == 0 ? facts.rate : rate), samples_(std::move(samples)) {
  check_format(name, rate_, 1);
  if (rate_ != facts.rate) samples_ = std::make_unique<ResampledSamples>(std::move(samples_), facts.rate, rate_, name);
}

AudioStream::~AudioStream() = default;
AudioStream::AudioStream(AudioStream&&) noexcept = default;
AudioStream& AudioStream::operator=(AudioStream&&) noexcept = default;

size_t AudioStream::read(std::span<float> out) { return samples_->read(out); }

AudioStream AudioStream::open(const std::string& path, int64_t rate) {
  uint64_t size = 0;
  io::Descriptor file = io::open_regular(path, size);
  std::array<std::byte, 4> beginning{};
  const ssize_t got = ::pread(file.number(), beginning.data(), beginning.size(), 0);
  check_beginning(std::span(beginning).first(static_cast<size_t>(std::max<ssize_t>(got, 0))), path);
  SF_INFO info{};
  // libsndfile closes the descriptor in either case.
  FileHandle handle(sf_open_fd(file.release(), SFM_READ, &info, SF_TRUE));
  const AudioFacts facts = checked_facts(handle, info, path);
  return {std::make_unique<FileSamples>(std::move(handle), facts, path), facts, rate, path};
}

AudioStream AudioStream::parse(std::span<const std::byte> bytes, const std::string& name, int64_t rate) {
  check_beginning(bytes, name);
  auto samples = std::make_unique<MemorySamples>(bytes, name);
  const AudioFacts facts = samples->facts();
  return {std::move(samples), facts, rate, name};
}

AudioStream AudioStream::raw(int descriptor, const RawAudio& format, const std::string& name, int64_t rate) {
  auto samples = std::make_unique<RawSamples>(descriptor, format, name);
  const AudioFacts facts = samples->facts();
  check_format(name, facts.rate, facts.channels);
  return {std::move(samples), facts, rate, name};
}

Array read_rest(AudioStream& stream, const std::string& name, int64_t most) {
  class Rest : public AudioStream::Samples {
   public:
    explicit Rest(AudioStream& stream) : stream_(stream) {}
    size_t read(std::span<float> out) override { return stream_.read(out); }

   private:
    AudioStream& stream_;
  } rest(stream);
  return drained(rest, name, most);
}

Array read_audio(const std::string& path, int64_t rate, int64_t most) {
  AudioStream stream = AudioStream::open(path, rate);
  Array out = read_rest(stream, path, most);
  if (out.elements() == 0) fail(text(path, ": there are no samples in it"));
  return out;
}

Array resampled_audio(const Array& samples, int64_t from_rate, int64_t to_rate) {
  if (from_rate == to_rate) return samples;
  const std::string name = "the sound";
  ResampledSamples changed(std::make_unique<GivenSamples>(samples.as<float>()), from_rate, to_rate, name);
  return drained(changed, name, default_most_samples);
}

void write_wav(const std::string& path, const Array& samples, int64_t rate) {
  check_format(path, rate, 1);
  SF_INFO info{};
  info.samplerate = static_cast<int>(rate);
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  const FileHandle file(sf_open(path.c_str(), SFM_WRITE, &info));
  if (!file) fail(text(path, ": cannot be written: ", std::strerror(errno)));
  sf_command(file.get(), SFC_SET_CLIPPING, nullptr, SF_TRUE);
  const std::span<const float> values = samples.as<float>();
  if (sf_write_float(file.get(), values.data(), std::ssize(values)) != std::ssize(values))
    fail(text(path, ": cannot be written: ", std::strerror(errno)));
}

}  // namespace descent::data
