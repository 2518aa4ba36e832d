// Pooling: each row of the result (the channels of one place) is made from a few rows of the operands. Plain loops over
// rows, compiled for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/backend/cpu/pool.cpp"
#include "descent/backend/cpu/tile_targets.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <bit>
#include <cstring>

#include "descent/backend/cpu/pool.h"

HWY_BEFORE_NAMESPACE();
namespace descent::cpu::HWY_NAMESPACE {
namespace {

using pool::Rows;

struct F32 {
  using Stored = float;
  static float load(float x) { return x; }
  static float store(float x) { return x; }
};
struct BF16 {
  using Stored = uint16_t;
  static float load(uint16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }
  static uint16_t store(float x) {
    const auto bits = std::bit_cast<uint32_t>(x);
    const uint32_t even = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16, nan = (bits >> 16) | 0x40;
    return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? nan : even);
  }
};
struct F16 {
  using Stored = uint16_t;
  static float load(uint16_t x) { return float_from_f16(x); }
  static uint16_t store(float x) { return f16_from_float(x); }
};

template <class T>
const typename T::Stored* row_of(const std::byte* base, int64_t row, int64_t channels) {
  return reinterpret_cast<const typename T::Stored*>(base) + row * channels;
}
template <class T>
typename T::Stored* row_of(std::byte* base, int64_t row, int64_t channels) {
  return reinterpret_cast<typename T::Stored*>(base) + row * channels;
}

// The larger of the rows so far and this one; the first of equals, and the first NaN.
template <class T>
void larger_row(const typename T::Stored* HWY_RESTRICT x, int32_t tap, int64_t channels, float* HWY_RESTRICT best,
                int32_t* HWY_RESTRICT taps) {
  for (int64_t c = 0; c < channels; ++c) {
    const float value = T::load(x[c]), old = best[c];
    const bool better = (value > old) | ((value != value) & (old == old));
    best[c] = better ? value : old;
    taps[c] = better ? tap : taps[c];
  }
}

template <class T>
void max_rows(const Rows& rows) {
  const int64_t channels = rows.channels;
  float* best = rows.scratch;
  auto* taps = reinterpret_cast<int32_t*>(rows.scratch + channels);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const auto [from, sources] = rows.of(row);
    const typename T::Stored* first = row_of<T>(rows.x, from + sources[0].row, channels);
    for (int64_t c = 0; c < channels; ++c) best[c] = T::load(first[c]);
    for (int64_t c = 0; c < channels; ++c) taps[c] = sources[0].tap;
    for (const pool::Source& source : sources.subspan(1))
      larger_row<T>(row_of<T>(rows.x, from + source.row, channels), source.tap, channels, best, taps);
    typename T::Stored* to = row_of<T>(rows.out, row, channels);
    uint8_t* tap = rows.taps_out + row * channels;
    for (int64_t c = 0; c < channels; ++c) to[c] = T::store(best[c]);
    for (int64_t c = 0; c < channels; ++c) tap[c] = static_cast<uint8_t>(taps[c]);
  }
}

// Adds a row times a factor to the sums.
template <class T>
void add_row(const typename T::Stored* HWY_RESTRICT x, float factor, int64_t channels, float* HWY_RESTRICT sums) {
  for (int64_t c = 0; c < channels; ++c) sums[c] += T::load(x[c]) * factor;
}

template <class T>
void sum_rows(const Rows& rows) {
  const int64_t channels = rows.channels;
  float* HWY_RESTRICT sums = rows.scratch;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const auto [from, sources] = rows.of(row);
    for (int64_t c = 0; c < channels; ++c) sums[c] = 0;
    for (const pool::Source& source : sources)
      add_row<T>(row_of<T>(rows.x, from + source.row, channels), source.factor, channels, sums);
    typename T::Stored* HWY_RESTRICT to = row_of<T>(rows.out, row, channels);
    for (int64_t c = 0; c < channels; ++c) to[c] = T::store(sums[c]);
  }
}

// Adds those elements of a row whose tap is this one.
template <class T>
void add_chosen(const typename T::Stored* HWY_RESTRICT x, const uint8_t* HWY_RESTRICT taps, int32_t tap, int64_t channels,
                float* HWY_RESTRICT sums) {
  for (int64_t c = 0; c < channels; ++c) sums[c] += taps[c] == tap ? T::load(x[c]) : 0.0F;
}

// g at the windows' places given back to the elements that were chosen.
template <class T>
void give_rows(const Rows& rows) {
  const int64_t channels = rows.channels;
  float* HWY_RESTRICT sums = rows.scratch;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const auto [from, sources] = rows.of(row);
    for (int64_t c = 0; c < channels; ++c) sums[c] = 0;
    for (const pool::Source& source : sources)
      add_chosen<T>(row_of<T>(rows.x, from + source.row, channels), rows.taps + (from + source.row) * channels, source.tap,
                    channels, sums);
    typename T::Stored* HWY_RESTRICT to = row_of<T>(rows.out, row, channels);
    for (int64_t c = 0; c < channels; ++c) to[c] = T::store(sums[c]);
  }
}

// The chosen elements of the windows.
template <class T>
void take_rows(const Rows& rows) {
  const int64_t channels = rows.channels;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const auto [from, sources] = rows.of(row);
    typename T::Stored* HWY_RESTRICT to = row_of<T>(rows.out, row, channels);
    const uint8_t* HWY_RESTRICT taps = rows.taps + row * channels;
    for (int64_t c = 0; c < channels; ++c) to[c] = 0;
    for (const pool::Source& source : sources) {
      const typename T::Stored* HWY_RESTRICT x = row_of<T>(rows.x, from + source.row, channels);
      for (int64_t c = 0; c < channels; ++c) to[c] = taps[c] == source.tap ? x[c] : to[c];
    }
  }
}

template <class T>
pool::Kernels kernels_of() {
  return {&max_rows<T>, &sum_rows<T>, &give_rows<T>, &take_rows<T>};
}

pool::Kernels kernels_for(DType dtype) {
  if (dtype == DType::f32) return kernels_of<F32>();
  return dtype == DType::bf16 ? kernels_of<BF16>() : kernels_of<F16>();
}

}  // namespace
}  // namespace descent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::cpu {

HWY_EXPORT(kernels_for);

pool::Kernels pool::kernels(DType dtype) { return HWY_DYNAMIC_DISPATCH(kernels_for)(dtype); }

}  // namespace descent::cpu
#endif
