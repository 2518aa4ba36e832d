// Sound: WAV and FLAC files and raw streams, as one channel of numbers at a wanted rate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "descent/core/array.h"

namespace descent::data {

// How a sound is stored.
struct AudioFacts {
  int64_t rate = 0, channels = 0;
  std::optional<int64_t> frames = {};  // samples of each channel, where the file tells
};

// Samples without a header, little-endian, the channels' side by side: what `arecord -t raw` writes.
struct RawAudio {
  int64_t rate = 16000, channels = 1;
  int64_t bits = 16;  // of a sample: 8 (unsigned), 16, 24 or 32 (signed)
};

// A sound from its beginning to its end, as the mean of its channels, in [-1, 1] (a little beyond after resampling, or
// where a file of floats says so). It holds some thousand samples at a time, however long the sound is.
class AudioStream {
 public:
  // A WAV or FLAC file (told by its first bytes, not its name) of 8, 16, 24 or 32 bits or floats, brought to `rate`
  // samples a second; 0 keeps its own. Fails naming the file if it is neither, is damaged, or holds no samples. A WAV
  // file that ends before its header says is what a stopped recorder leaves, and is read as far as it goes.
  static AudioStream open(const std::string& path, int64_t rate = 0);

  // The same from bytes in memory, which must stay; `name` is what errors call them.
  static AudioStream parse(std::span<const std::byte> bytes, const std::string& name, int64_t rate = 0);

  // A file descriptor that stays the caller's: a pipe, a terminal, a device. What it begins with may be the header of a
  // WAV stream, which then says what follows in the place of `format`. `name` is what errors call it.
  static AudioStream raw(int descriptor, const RawAudio& format, const std::string& name, int64_t rate = 0);

  ~AudioStream();
  AudioStream(AudioStream&&) noexcept;
  AudioStream& operator=(AudioStream&&) noexcept;

  // Fills `out` and returns how many samples that are; fewer than wanted only at the end. Waits for a live source.
  // Fails naming the file and the place if it is damaged there, or a sample is not a number.
  size_t read(std::span<float> out);

  int64_t rate() const { return rate_; }              // of what read() gives
  const AudioFacts& facts() const { return facts_; }  // of what is read from

  class Samples;

 private:
  AudioStream(std::unique_ptr<Samples> samples, const AudioFacts& facts, int64_t rate, const std::string& name);

  AudioFacts facts_;
  int64_t rate_;
  std::unique_ptr<Samples> samples_;
};

// All of a file, f32 [samples], at `rate` (0: its own). Fails as AudioStream does, and if there are more than `most`
// samples.
inline constexpr int64_t default_most_samples = int64_t{1} << 28;
Array read_audio(const std::string& path, int64_t rate = 0, int64_t most = default_most_samples);

// The rest of a stream, likewise; `name` is what errors call it.
Array read_rest(AudioStream& stream, const std::string& name, int64_t most = default_most_samples);

// A sound of the same length and speed in time at another rate, f32 [samples], by a band-limited interpolation.
Array resampled_audio(const Array& samples, int64_t from_rate, int64_t to_rate);

// f32 [samples] at `rate` as a WAV file of 16 bits; what is beyond [-1, 1] is clipped.
void write_wav(const std::string& path, const Array& samples, int64_t rate);

}  // namespace descent::data
