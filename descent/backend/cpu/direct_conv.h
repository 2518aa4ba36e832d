// The inner loops of convolutions whose windows hold few numbers (the first layer's): every one is multiplied where it
// lies, in f32.
#pragma once

#include <cstddef>
#include <cstdint>

namespace descent::cpu::direct_conv {

constexpr int64_t columns = 32;    // channels of a result that are made at a time
constexpr int64_t most_rows = 12;  // numbers of a window whose sums fit registers

// Places side by side in a result, under windows that begin `step` numbers apart; the window's numbers lie at `offsets`
// from its beginning.
struct Places {
  const float* image;
  int64_t step, count;
  const int32_t* offsets;
  int64_t depth;
};

// What lies at the places of a result, channels side by side: bf16, or else f32.
struct Result {
  std::byte* at;
  bool bf16;
  int64_t place_stride;  // in elements
  int64_t channels;      // at most `columns`
};

struct Kernels {
  // Results, from weights [depth, columns].
  void (*convolve)(const Places& places, const float* weights, const Result& out);
  // Adds to sums [depth, columns], for a depth of at most most_rows: each number times the result's gradient.
  void (*correlate)(const Places& places, const Result& gradient, float* sums);
};

const Kernels* avx512(bool bf16);  // null where the processor lacks the instructions

}  // namespace descent::cpu::direct_conv
