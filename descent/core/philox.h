// Random numbers without state: a key and a counter in, bits out (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). The op random_bits gives the same words on every device.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>

namespace descent {

// Philox4x32 with 10 rounds. Each counter gives four independent 32-bit words; different keys give different streams.
constexpr std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t even = uint64_t{0xD2511F53} * counter[0], odd = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(odd >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(odd),
               static_cast<uint32_t>(even >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(even)};
    key[0] += 0x9E3779B9;  // the golden ratio
    key[1] += 0xBB67AE85;  // the square root of 3, less 1
  }
  return counter;
}

// Which sequence of words: that of one consumer (`stream`) in one step (`counter`) of one run (`key`).
struct RandomSource {
  std::array<uint32_t, 2> key{}, counter{};
  uint32_t stream = 0;

  // Words 4 * block to 4 * block + 3 of the sequence, which has 2^34.
  constexpr std::array<uint32_t, 4> block(uint32_t block) const {
    return philox4x32_10({block, stream, counter[0], counter[1]}, key);
  }
  constexpr uint32_t word(uint64_t index) const { return block(static_cast<uint32_t>(index / 4))[index % 4]; }
};

// The first out.size() words of the sequence.
inline void fill_random(std::span<uint32_t> out, const RandomSource& source) {
  for (size_t begin = 0; begin < out.size(); begin += 4)
    std::ranges::copy_n(source.block(static_cast<uint32_t>(begin / 4)).begin(), std::min<size_t>(4, out.size() - begin),
                        out.begin() + begin);
}

// A number uniform in [0, 1): the word / 2^32, kept low enough to stay below 1 when rounded to f32.
constexpr double uniform_from_word(uint32_t word) { return std::min(word * 0x1p-32, 1 - 0x1p-24); }

// A standard normal number from two independent words (Box and Muller, 1958): of magnitude at most 6.8, since the
// logarithm's argument is kept at or above 2^-33.
inline double normal_from_words(uint32_t radius, uint32_t angle) {
  const double distance = std::sqrt(-2 * std::log(std::max(uniform_from_word(radius), 0x1p-33)));
  return distance * std::cos(2 * std::numbers::pi * uniform_from_word(angle));
}

}  // namespace descent
