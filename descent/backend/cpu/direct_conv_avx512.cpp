#include "descent/backend/cpu/direct_conv.h"
#include "descent/backend/cpu/processor.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <utility>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")
#endif

#include "descent/backend/cpu/avx512_units.h"

namespace descent::cpu::direct_conv {
namespace {

// Sixteen of `lanes` channels.
inline __m512 load(const Result& from, int64_t element, __mmask16 lanes) {
  if (!from.bf16) return _mm512_maskz_loadu_ps(lanes, reinterpret_cast<const float*>(from.at) + element);
  const __m256i half = _mm256_maskz_loadu_epi16(lanes, reinterpret_cast<const uint16_t*>(from.at) + element);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

inline void store(const Result& to, int64_t element, __mmask16 lanes, __m512 value) {
  if (!to.bf16) return _mm512_mask_storeu_ps(reinterpret_cast<float*>(to.at) + element, lanes, value);
  const auto rounded = (__m256i)_mm512_cvtneps_pbh(value);
  _mm256_mask_storeu_epi16(reinterpret_cast<uint16_t*>(to.at) + element, lanes, rounded);
}

// Six places at a time; the last ones are repeated to fill them.
template <int vectors>
void convolve(const Places& places, const float* weights, const Result& out) {
  constexpr int together = 12 / vectors;
  const __mmask16 lanes[2] = {first_lanes(out.channels), first_lanes(out.channels - 16)};
  for (int64_t place = 0; place < places.count; place += together) {
    const float* at[together];
    __m512 sums[together][vectors];
    for (int i = 0; i < together; ++i) {
      at[i] = places.image + std::min(place + i, places.count - 1) * places.step;
      for (int j = 0; j < vectors; ++j) sums[i][j] = _mm512_setzero_ps();
    }
    for (int64_t k = 0; k < places.depth; ++k) {
      __m512 row[vectors];
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j) row[j] = _mm512_load_ps(weights + k * columns + 16 * j);
#pragma GCC unroll 12
      for (int i = 0; i < together; ++i) {
        const __m512 x = _mm512_set1_ps(at[i][places.offsets[k]]);
#pragma GCC unroll 2
        for (int j = 0; j < vectors; ++j) sums[i][j] = _mm512_fmadd_ps(x, row[j], sums[i][j]);
      }
    }
#pragma GCC unroll 12
    for (int i = 0; i < together; ++i)
      if (place + i < places.count)
#pragma GCC unroll 2
        for (int j = 0; j < vectors; ++j) store(out, (place + i) * out.place_stride + 16 * j, lanes[j], sums[i][j]);
  }
}

template <int vectors, int rows>
void correlate(const Places& places, const Result& gradient, float* to) {
  const __mmask16 lanes[2] = {first_lanes(gradient.channels), first_lanes(gradient.channels - 16)};
  int32_t offsets[rows];
  __m512 sums[rows][vectors];
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i) {
    offsets[i] = places.offsets[i];
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) sums[i][j] = _mm512_load_ps(to + i * columns + 16 * j);
  }
  const float* at = places.image;
  for (int64_t place = 0; place < places.count; ++place, at += places.step) {
    __m512 g[vectors];
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) g[j] = load(gradient, place * gradient.place_stride + 16 * j, lanes[j]);
#pragma GCC unroll 12
    for (int i = 0; i < rows; ++i) {
      const __m512 x = _mm512_set1_ps(at[offsets[i]]);
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j) sums[i][j] = _mm512_fmadd_ps(x, g[j], sums[i][j]);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) _mm512_store_ps(to + i * columns + 16 * j, sums[i][j]);
}

using Correlate = void (*)(const Places&, const Result&, float*);

template <int vectors, int... rows>
constexpr std::array<Correlate, most_rows> correlates(std::integer_sequence<int, rows...>) {
  return {correlate<vectors, rows + 1>...};
}

void convolve_any(const Places& places, const float* weights, const Result& out) {
  out.channels > 16 ? convolve<2>(places, weights, out) : convolve<1>(places, weights, out);
}

void correlate_any(const Places& places, const Result& gradient, float* sums) {
  static constexpr std::make_integer_sequence<int, most_rows> all;
  static constexpr auto narrow = correlates<1>(all), wide = correlates<2>(all);
  (gradient.channels > 16 ? wide : narrow)[static_cast<size_t>(places.depth - 1)](places, gradient, sums);
}

}  // namespace
}  // namespace descent::cpu::direct_conv

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace descent::cpu::direct_conv {

const Kernels* avx512(bool bf16) {
  static constexpr Kernels table{convolve_any, correlate_any};
  return processor().avx512 && (!bf16 || processor().avx512_bf16) ? &table : nullptr;
}

}  // namespace descent::cpu::direct_conv

#else
namespace descent::cpu::direct_conv {
const Kernels* avx512(bool) { return nullptr; }
}  // namespace descent::cpu::direct_conv
#endif
