// Counter-based random numbers of the data room: the i-th number of a key is a function of (key, i) and nothing else,
// so that a batch can be made again, in any thread, without the ones before it.
#pragma once

#include <cstdint>
#include <span>

#include "descent/base/hash.h"

namespace descent::data {

// The numbers of one key. The i-th is SplitMix64's finaliser of key and i (Steele, Lea and Flood 2014).
class RandomStream {
 public:
  explicit RandomStream(uint64_t key) : key_(key) {}

  uint64_t bits() { return hash_mix(key_, 0x9e3779b97f4a7c15ull * counter_++); }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }  // in [0, 1)
  double symmetric(double bound) { return bound * (2 * uniform() - 1); }    // in [-bound, bound)
  uint64_t below(uint64_t bound) { return static_cast<uint64_t>(uniform() * static_cast<double>(bound)); }

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

// A key made of several numbers; every order of them is a different key.
template <class... Words>
constexpr uint64_t random_key(Words... words) {
  uint64_t key = 0;
  ((key = hash_mix(key, static_cast<uint64_t>(words))), ...);
  return key;
}

// Fills `order` with 0, 1, ..., size - 1 in an order drawn uniformly by `key` (Fisher and Yates).
void random_order(std::span<uint32_t> order, uint64_t key);

}  // namespace descent::data
