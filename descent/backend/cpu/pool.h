// The inner loops of pooling, chosen for the processor at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "descent/core/dtype.h"

namespace descent::cpu::pool {

// A row that goes into a row of the result: where it lies in its image, as which tap of the window, times what.
struct Source {
  int32_t row, tap;
  float factor;
};

// Rows begin .. end of the result, each of `channels` elements; `places` of them an image.
struct Rows {
  int64_t begin, end, channels, places, source_rows;  // source_rows: of an image of the operand
  std::span<const int32_t> first;                     // by place: its first source; one more at the end
  std::span<const Source> sources;
  const std::byte* x;
  const uint8_t* taps;  // of the operand (give) or of the result (take)
  std::byte* out;
  uint8_t* taps_out;  // max

  // Those of a row, counted from the first operand row of its image.
  std::span<const Source> sources_of(int64_t place) const {
    const auto from = static_cast<size_t>(first[static_cast<size_t>(place)]),
               to = static_cast<size_t>(first[static_cast<size_t>(place) + 1]);
    return sources.subspan(from, to - from);
  }
};

struct Kernels {
  void (*max)(const Rows& rows);   // the largest of the sources and its tap; every row has a source
  void (*sum)(const Rows& rows);   // sources times their factors
  void (*give)(const Rows& rows);  // sources where their tap is the chosen one
  void (*take)(const Rows& rows);  // the source whose tap is the chosen one, else 0
};
Kernels kernels(DType dtype);  // f32, bf16 or f16, summed in f32

}  // namespace descent::cpu::pool
