// Sounds made for tests.
#pragma once

#include <cmath>
#include <filesystem>
#include <numbers>
#include <string>
#include <vector>

#include "descent/data/audio.h"
#include "descent/data/random.h"

namespace descent::data {

// A sine of amplitude 0.5.
inline std::vector<float> tone(double hertz, double rate, size_t samples) {
  std::vector<float> out(samples);
  for (size_t i = 0; i < samples; ++i)
    out[i] = static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * hertz * static_cast<double>(i) / rate));
  return out;
}

inline Array array_of(const std::vector<float>& values) {
  return Array::from(std::span<const float>(values), {std::ssize(values)});
}

// A WAV file of 16 bits, its folders made.
inline std::string write_sound(const std::filesystem::path& path, const std::vector<float>& samples, int64_t rate) {
  std::filesystem::create_directories(path.parent_path());
  write_wav(path.string(), array_of(samples), rate);
  return path.string();
}

// A "word": a tone of the class's pitch between two silences, a little different each time.
inline std::vector<float> word(int kind, uint64_t seed, double rate = 8000) {
  RandomStream draw(random_key(seed, kind));
  const auto silence = static_cast<size_t>(rate * 0.05 * (1 + draw.uniform()));
  std::vector<float> out = tone(300 * (1 << kind) * (1 + draw.symmetric(0.1)), rate,
                                static_cast<size_t>(rate * (0.15 + 0.1 * draw.uniform())));
  for (float& value : out) value = static_cast<float>(value * (0.3 + 0.1 * kind) + draw.symmetric(0.02));
  out.insert(out.begin(), silence, 0.0f);
  out.insert(out.end(), silence, 0.0f);
  return out;
}

}  // namespace descent::data
