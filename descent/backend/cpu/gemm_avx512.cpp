// The product's kernels for AVX-512, in f32 and (AVX512-BF16) in bf16.
#include "descent/backend/cpu/gemm.h"
#include "descent/backend/cpu/processor.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")
#endif

#include "descent/backend/cpu/avx512_units.h"
#include "descent/backend/cpu/gemm_kernel.h"

namespace descent::cpu::gemm {
namespace {

struct Avx512 {
  using reg = __m512;
  static constexpr int width = 16, widest = 4, registers = 32;

  static __mmask16 first(int64_t count) { return first_lanes(count); }

  static reg zero() { return _mm512_setzero_ps(); }
  static reg set1(float x) { return _mm512_set1_ps(x); }
  static reg load(const float* p) { return _mm512_load_ps(p); }
  static reg load_some(const float* p, int64_t count) { return _mm512_maskz_loadu_ps(first(count), p); }
  static void store_some(float* p, reg x, int64_t count) { _mm512_mask_storeu_ps(p, first(count), x); }
  static reg add(reg a, reg b) { return _mm512_add_ps(a, b); }
  static reg relu(reg x) { return _mm512_max_ps(_mm512_setzero_ps(), x); }  // the second operand wins if it is NaN

  static void store_bf16(uint16_t* p, reg x, int64_t count) { _mm256_mask_storeu_epi16(p, first(count), round_to_bf16(x)); }

  static void store_units(uint32_t* p, __m512i units, int64_t count) { _mm512_mask_storeu_epi32(p, first(count), units); }

  static void gather(const std::byte* from, int64_t from_bytes, int64_t count, uint32_t* to, int64_t width_to) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i offsets = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(static_cast<int>(from_bytes)));
    store_units(to, _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), first(count), offsets, from, 1), width_to);
  }

  // 16 x 16 units: to[u * to_stride + i] = unit u of the line at from + i * from_bytes.
  static void transpose(const std::byte* from, int64_t from_bytes, uint32_t* to, int64_t to_stride) {
    __m512i r[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_si512(from + i * from_bytes);
    transpose_units(r);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + i * to_stride, r[i]);
  }
};

struct F32 : Avx512 {
  static constexpr bool bf16 = false;
  static reg fma(reg a, reg b, reg c) { return _mm512_fmadd_ps(a, b, c); }
  static __m512i units_along(const std::byte* data, int64_t k, int64_t, int64_t ks, int64_t x, int64_t count) {
    return _mm512_castps_si512(load_some(reinterpret_cast<const float*>(data) + k * ks + x, count));
  }
};

struct Bf16 : Avx512 {
  static constexpr bool bf16 = true;
  static reg fma(reg a, reg b, reg c) { return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)); }
  // Two rows of 16, interleaved.
  static __m512i units_along(const std::byte* data, int64_t k, int64_t size, int64_t ks, int64_t x, int64_t count) {
    const auto* row = reinterpret_cast<const uint16_t*>(data) + k * ks + x;
    return interleave_rows(row, k + 1 < size ? ks : 0, first(count));
  }
};

}  // namespace
}  // namespace descent::cpu::gemm

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace descent::cpu::gemm {

const Kernels* avx512_f32() {
  static constexpr Kernels table = Gemm<F32>::table("gemm avx512 f32");
  return processor().avx512 ? &table : nullptr;
}

const Kernels* avx512_bf16() {
  static constexpr Kernels table = Gemm<Bf16>::table("gemm avx512 bf16");
  return processor().avx512_bf16 ? &table : nullptr;
}

}  // namespace descent::cpu::gemm

#else
namespace descent::cpu::gemm {
const Kernels* avx512_f32() { return nullptr; }
const Kernels* avx512_bf16() { return nullptr; }
}  // namespace descent::cpu::gemm
#endif
