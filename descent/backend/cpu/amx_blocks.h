// Operands of matrix tiles (AMX) in bf16: blocks of 16 x 16 units (two elements that are neighbours along k), each 1
// KiB that a tile register is loaded from. Included inside a target pragma, after <immintrin.h>.
#pragma once

#include "descent/backend/cpu/avx512_units.h"

namespace descent::cpu {
namespace {

constexpr int64_t block = 256;  // units in a block
constexpr int64_t depth = 32;   // elements along k in a block

// Elements of a matrix as 16 lines x 32 elements along k: element (line x, k) lies at data + x * xs + k * ks.
struct Source {
  const uint16_t* data;
  int64_t xs, ks;    // one of them is 1
  int64_t lines, k;  // how many there are; beyond them is zero
};

template <bool unit_by_unit>
void copy_block(const Source& from, int64_t x, int64_t k, uint32_t* to) {
  __m512i r[16];
  const bool line_by_line = from.ks == 1;
  if (line_by_line) {
    const int64_t left = from.k - k;
    const __mmask32 kept = left >= 32 ? 0xffffffffu : (uint32_t{1} << left) - 1;
#pragma GCC unroll 16
    for (int64_t i = 0; i < 16; ++i)
      r[i] = x + i < from.lines ? _mm512_maskz_loadu_epi16(kept, from.data + (x + i) * from.xs + k)
                                : _mm512_setzero_si512();
  } else {
    const __mmask16 lines = first_lanes(from.lines - x);
#pragma GCC unroll 16
    for (int64_t u = 0; u < 16; ++u) {
      const int64_t at = k + 2 * u;
      r[u] = at < from.k ? interleave_rows(from.data + at * from.ks + x, at + 1 < from.k ? from.ks : 0, lines)
                         : _mm512_setzero_si512();
    }
  }
  if (line_by_line == unit_by_unit) transpose_units(r);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * 16, r[i]);
}

// Eight registers of 16 rows of 64 bytes: 0 to 3 for sums (row block i, column block j is 2 i + j), 4 and 5 for the
// left operand's blocks, 6 and 7 for the right one's.
struct TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes_a_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
// Not a local: GCC 12's intrinsic tells the compiler of its first bytes only.
alignas(64) constexpr TileConfig tile_config;

// The intrinsics take a register's number as a literal.
template <int sum>
void store_tile(float* to, int64_t stride) {
  if constexpr (sum == 0) _tile_stored(0, to, stride);
  if constexpr (sum == 1) _tile_stored(1, to, stride);
  if constexpr (sum == 2) _tile_stored(2, to, stride);
  if constexpr (sum == 3) _tile_stored(3, to, stride);
}
template <int sum>
void load_tile(const float* from, int64_t stride) {
  if constexpr (sum == 0) _tile_loadd(0, from, stride);
  if constexpr (sum == 1) _tile_loadd(1, from, stride);
  if constexpr (sum == 2) _tile_loadd(2, from, stride);
  if constexpr (sum == 3) _tile_loadd(3, from, stride);
}
// A block of an operand, to register 4 to 7.
template <int to>
void load_block(const uint32_t* from, int64_t stride) {
  if constexpr (to == 4) _tile_loadd(4, from, stride);
  if constexpr (to == 5) _tile_loadd(5, from, stride);
  if constexpr (to == 6) _tile_loadd(6, from, stride);
  if constexpr (to == 7) _tile_loadd(7, from, stride);
}
// The same past the first cache, which keeps what is there.
template <int to>
void stream_block(const uint32_t* from, int64_t stride) {
  if constexpr (to == 4) _tile_stream_loadd(4, from, stride);
  if constexpr (to == 5) _tile_stream_loadd(5, from, stride);
  if constexpr (to == 6) _tile_stream_loadd(6, from, stride);
  if constexpr (to == 7) _tile_stream_loadd(7, from, stride);
}
template <int sum>
void clear_tile() {
  if constexpr (sum == 0) _tile_zero(0);
  if constexpr (sum == 1) _tile_zero(1);
  if constexpr (sum == 2) _tile_zero(2);
  if constexpr (sum == 3) _tile_zero(3);
}

}  // namespace
}  // namespace descent::cpu
