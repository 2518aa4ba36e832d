// What an AudioStream reads from. Internal to data: the door is audio.h.
#pragma once

#include <string>
#include <vector>

#include "descent/data/audio.h"

namespace descent::data {

// One channel at its own rate.
class AudioStream::Samples {
 public:
  virtual ~Samples() = default;
  virtual size_t read(std::span<float> out) = 0;  // fewer than wanted only at the end
};

// A descriptor's bytes, as RawAudio or a WAV stream's header says.
class RawSamples : public AudioStream::Samples {
 public:
  RawSamples(int descriptor, const RawAudio& format, std::string name);
  size_t read(std::span<float> out) override;
  AudioFacts facts() const { return {format_.rate, format_.channels, {}}; }

 private:
  size_t fill(std::span<std::byte> out);      // fewer bytes than wanted only at the end
  std::vector<std::byte> take(size_t bytes);  // fails if there are fewer
  void read_header();
  void read_format(std::span<const std::byte> content);

  int descriptor_;
  RawAudio format_;
  std::string name_;
  std::vector<std::byte> ahead_;  // read while looking for a header
  std::vector<std::byte> frames_;
};

}  // namespace descent::data
