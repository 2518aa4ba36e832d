// Rounding to bf16 with the instruction that AVX512-BF16 has for it; the bits are those of the other targets.
#include "descent/backend/cpu/tile_targets.h"

#include "descent/backend/cpu/tile_code.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include "descent/backend/cpu/processor.h"

#define DESCENT_BF16_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

namespace descent::cpu {

namespace {

DESCENT_BF16_TARGET inline __m256i to_bf16(const float* from) {
  return (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from));
}

DESCENT_BF16_TARGET void store_bf16(const TileOp& op, const TileFrame& frame) {
  Extent extent = frame.extent[static_cast<size_t>(op.lanes)];
  if (extent.pitch == extent.run) extent = {extent.flat, 1, extent.count(), 0};
  auto* to = reinterpret_cast<uint16_t*>(frame.addresses[op.view->buffer]) + op.view->offset + extent.flat;
  const float* from = frame.reg[op.in[0]];
  for (int64_t row = 0; row < extent.rows; ++row, from += extent.run, to += extent.pitch) {
    int64_t i = 0;
    for (; i + 32 <= extent.run; i += 32) {
      const __m256i low = to_bf16(from + i), high = to_bf16(from + i + 16);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), low);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i + 16), high);
    }
    for (; i < extent.run; i += 16) {
      const int64_t count = extent.run - i < 16 ? extent.run - i : 16;
      const auto some = static_cast<__mmask16>((1u << count) - 1);
      _mm256_mask_storeu_epi16(to + i, some, to_bf16(from + i));
    }
  }
}

DESCENT_BF16_TARGET void round_to_bf16(const TileOp& op, const TileFrame& frame) {
  const float* from = frame.reg[op.in[0]];
  float* to = frame.reg[op.out];
  for (int64_t i = 0; i < frame.lanes[static_cast<size_t>(op.lanes)]; i += 16) {
    const __m512i wide = _mm512_slli_epi32(_mm512_cvtepu16_epi32(to_bf16(from + i * op.step[0])), 16);
    _mm512_storeu_ps(to + i, _mm512_castsi512_ps(wide));
  }
}

}  // namespace

bool fill_bf16(TileTable& table) {
  if (!processor().avx512_bf16) return false;
  table.store[static_cast<size_t>(DType::bf16)] = &store_bf16;
  table.cast[static_cast<size_t>(LaneType::real)][static_cast<size_t>(DType::bf16)] = &round_to_bf16;
  return true;
}

}  // namespace descent::cpu

#else

namespace descent::cpu {
bool fill_bf16(TileTable&) { return false; }
}  // namespace descent::cpu

#endif
