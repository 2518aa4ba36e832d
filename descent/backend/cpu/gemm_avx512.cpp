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

#include "descent/backend/cpu/gemm_kernel.h"

namespace descent::cpu::gemm {
namespace {

struct Avx512 {
  using reg = __m512;
  static constexpr int width = 16, widest = 4, registers = 32;

  static __mmask16 first(int64_t count) { return count >= 16 ? 0xffff : count <= 0 ? 0 : static_cast<__mmask16>((1u << count) - 1); }

  static reg zero() { return _mm512_setzero_ps(); }
  static reg set1(float x) { return _mm512_set1_ps(x); }
  static reg load(const float* p) { return _mm512_load_ps(p); }
  static reg load_some(const float* p, int64_t count) { return _mm512_maskz_loadu_ps(first(count), p); }
  static void store_some(float* p, reg x, int64_t count) { _mm512_mask_storeu_ps(p, first(count), x); }
  static reg add(reg a, reg b) { return _mm512_add_ps(a, b); }
  static reg relu(reg x) { return _mm512_max_ps(_mm512_setzero_ps(), x); }  // the second operand wins if it is NaN

  // A NaN's payload may round to infinity's; everything else rounds to even.
  static void store_bf16(uint16_t* p, reg x, int64_t count) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i kept = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_mask_storeu_epi16(p, first(count), _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16)));
  }

  static void store_units(uint32_t* p, __m512i units, int64_t count) { _mm512_mask_storeu_epi32(p, first(count), units); }

  static void gather(const std::byte* from, int64_t from_bytes, int64_t count, uint32_t* to, int64_t width_to) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i offsets = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(static_cast<int>(from_bytes)));
    store_units(to, _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), first(count), offsets, from, 1), width_to);
  }

  // 16 x 16 units: to[u * to_stride + i] = unit u of the line at from + i * from_bytes. In four rounds, each a shuffle
  // of neighbours at twice the distance.
  static void transpose(const std::byte* from, int64_t from_bytes, uint32_t* to, int64_t to_stride) {
    __m512i r[16], t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_si512(from + i * from_bytes);
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
      t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
      r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
      r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
      r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
      r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
      t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
      t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
      t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      _mm512_storeu_si512(to + i * to_stride, _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88));
      _mm512_storeu_si512(to + (i + 8) * to_stride, _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd));
      _mm512_storeu_si512(to + (i + 4) * to_stride, _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88));
      _mm512_storeu_si512(to + (i + 12) * to_stride, _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd));
    }
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
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first(count), row));
    if (k + 1 >= size) return low;
    const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first(count), row + ks));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
  }
};

template <class V>
constexpr Kernels kernels(const char* name) {
  using G = Gemm<V>;
  return {name, [](const Problem& p) { return G::panel_for(p.n); }, G::tiles, G::shared_bytes, G::scratch_bytes, G::share_a, G::compute};
}

}  // namespace
}  // namespace descent::cpu::gemm

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace descent::cpu::gemm {

const Kernels* avx512_f32() {
  static constexpr Kernels table = kernels<F32>("gemm avx512 f32");
  return processor().avx512 ? &table : nullptr;
}

const Kernels* avx512_bf16() {
  static constexpr Kernels table = kernels<Bf16>("gemm avx512 bf16");
  return processor().avx512_bf16 ? &table : nullptr;
}

}  // namespace descent::cpu::gemm

#else
namespace descent::cpu::gemm {
const Kernels* avx512_f32() { return nullptr; }
const Kernels* avx512_bf16() { return nullptr; }
}  // namespace descent::cpu::gemm
#endif
