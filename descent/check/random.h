// The same numbers in every run: seeded by what they are for.
#pragma once

#include <string_view>

#include "descent/base/hash.h"
#include "descent/core/philox.h"

namespace descent::check {

class Random {
 public:
  explicit Random(std::string_view name, std::string_view purpose = {})
      : seed_(hash_text(hash_text(0, name), purpose)) {}

  // Uniform in [low, high).
  double uniform(double low, double high) {
    const uint64_t at = next_++;
    const auto words = philox4x32_10({static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32), 0, 0},
                                     {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
    const double unit = (words[0] + words[1] * 0x1p-32) * 0x1p-32;
    return low + unit * (high - low);
  }

 private:
  uint64_t seed_, next_ = 0;
};

}  // namespace descent::check
