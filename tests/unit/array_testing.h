// Arrays to test with.
#pragma once

#include <random>

#include "descent/core/array.h"

namespace descent {

// Numbers from -1 to 1, the same for the same seed.
inline Array random_array(const Type& type, unsigned seed) {
  std::mt19937 draw(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Array out(type);
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, uniform(draw));
  return out;
}

}  // namespace descent
