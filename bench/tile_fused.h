// The arrays of the loops that are fused by hand in tile_machine.cpp.
#pragma once

#include <cstdint>

namespace descent::cpu {

struct AdamArrays {
  float *w, *m, *v;
  const float* g;
  uint16_t* half;
  float rate, epsilon;
};

struct GeluArrays {
  const uint16_t *x, *dy;
  uint16_t* dx;
};

}  // namespace descent::cpu
