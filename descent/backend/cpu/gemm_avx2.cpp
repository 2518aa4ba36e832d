// The product's kernels for AVX2 with FMA, in f32.
#include "descent/backend/cpu/gemm.h"
#include "descent/backend/cpu/processor.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include "descent/backend/cpu/gemm_kernel.h"

namespace descent::cpu::gemm {
namespace {

struct Avx2F32 {
  using reg = __m256;
  static constexpr int width = 8, widest = 2, registers = 16;
  static constexpr bool bf16 = false;

  // Lanes below `count`, as maskload and maskstore take them: by the sign of each lane.
  static __m256i first(int64_t count) {
    const int lanes = count >= 8 ? 8 : static_cast<int>(count < 0 ? 0 : count);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }

  static reg zero() { return _mm256_setzero_ps(); }
  static reg set1(float x) { return _mm256_set1_ps(x); }
  static reg load(const float* p) { return _mm256_load_ps(p); }
  static reg load_some(const float* p, int64_t count) { return _mm256_maskload_ps(p, first(count)); }
  static void store_some(float* p, reg x, int64_t count) { _mm256_maskstore_ps(p, first(count), x); }
  static reg add(reg a, reg b) { return _mm256_add_ps(a, b); }
  static reg relu(reg x) { return _mm256_max_ps(_mm256_setzero_ps(), x); }
  static reg fma(reg a, reg b, reg c) { return _mm256_fmadd_ps(a, b, c); }

  static void store_bf16(uint16_t* p, reg x, int64_t count) {
    alignas(32) uint32_t bits[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(bits), _mm256_castps_si256(x));
    for (int i = 0; i < 8 && i < count; ++i) {
      const bool nan = (bits[i] & 0x7fffffff) > 0x7f800000;
      p[i] = static_cast<uint16_t>((nan ? bits[i] | 0x400000 : bits[i] + 0x7fff + (bits[i] >> 16 & 1)) >> 16);
    }
  }

  static void store_units(uint32_t* p, __m256i units, int64_t count) { _mm256_maskstore_epi32(reinterpret_cast<int*>(p), first(count), units); }
  static __m256i units_along(const std::byte* data, int64_t k, int64_t, int64_t ks, int64_t x, int64_t count) {
    return _mm256_castps_si256(load_some(reinterpret_cast<const float*>(data) + k * ks + x, count));
  }

  static void gather(const std::byte* from, int64_t from_bytes, int64_t count, uint32_t* to, int64_t width_to) {
    for (int64_t i = 0; i < width_to; ++i) to[i] = i < count ? *reinterpret_cast<const uint32_t*>(from + i * from_bytes) : 0;
  }

  static void transpose(const std::byte* from, int64_t from_bytes, uint32_t* to, int64_t to_stride) {
    for (int i = 0; i < 16; ++i)
      for (int u = 0; u < 16; ++u) to[u * to_stride + i] = reinterpret_cast<const uint32_t*>(from + i * from_bytes)[u];
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

const Kernels* avx2_f32() {
  static constexpr Kernels table = Gemm<Avx2F32>::table("gemm avx2 f32");
  return processor().avx2 ? &table : nullptr;
}

}  // namespace descent::cpu::gemm

#else
namespace descent::cpu::gemm {
const Kernels* avx2_f32() { return nullptr; }
}  // namespace descent::cpu::gemm
#endif
