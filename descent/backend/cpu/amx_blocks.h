// Operands of matrix tiles (AMX) in bf16: blocks of 16 x 16 units (two elements that are neighbours along k), each 1
// KiB that a tile register is loaded from. Included inside a target pragma, after <immintrin.h>.
#pragma once

#include <array>

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

// Both blocks of 32 whole lines that lie across (xs is 1), line by line. Eight elements of the rows k, k + 8, k + 16 and
// k + 24 come to a register's four quarters by loads alone, which leaves 8 x 8 elements to turn in every quarter.
inline void turn_lines(const Source& from, int64_t x, int64_t k, uint32_t* to) {
  const uint16_t* at = from.data + k * from.ks + x;
#pragma GCC unroll 4
  for (int64_t group = 0; group < 4; ++group, at += 8, to += 8 * 16) {
    const auto quarter = [&](int64_t row) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + row * from.ks)); };
    __m512i r[8], t[8];
#pragma GCC unroll 8
    for (int64_t i = 0; i < 8; ++i) {
      r[i] = _mm512_castsi128_si512(quarter(i));
      r[i] = _mm512_mask_broadcast_i32x4(r[i], 0x00f0, quarter(i + 8));
      r[i] = _mm512_mask_broadcast_i32x4(r[i], 0x0f00, quarter(i + 16));
      r[i] = _mm512_mask_broadcast_i32x4(r[i], 0xf000, quarter(i + 24));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      t[i] = _mm512_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
      t[i + 4] = _mm512_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {  // lines 4 i and those behind it: of rows 0 to 3, then 4 to 7
      r[4 * i] = _mm512_unpacklo_epi32(t[4 * i], t[4 * i + 1]);
      r[4 * i + 1] = _mm512_unpackhi_epi32(t[4 * i], t[4 * i + 1]);
      r[4 * i + 2] = _mm512_unpacklo_epi32(t[4 * i + 2], t[4 * i + 3]);
      r[4 * i + 3] = _mm512_unpackhi_epi32(t[4 * i + 2], t[4 * i + 3]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        const __m512i first = r[4 * i + j], second = r[4 * i + j + 2];
        _mm512_store_si512(to + (4 * i + 2 * j) * 16, _mm512_unpacklo_epi64(first, second));
        _mm512_store_si512(to + (4 * i + 2 * j + 1) * 16, _mm512_unpackhi_epi64(first, second));
      }
    }
  }
}

// A line of units of both blocks of 32 lines that lie across, unit by unit: rows k and k + 1, interleaved.
inline void interleave_lines(const Source& from, int64_t x, int64_t k, uint32_t* to) {
  alignas(64) static constexpr auto order = [] {
    std::array<uint16_t, 64> out{};
    for (uint16_t i = 0; i < 64; ++i) out[i] = static_cast<uint16_t>(i / 2 + i % 2 * 32);
    return out;
  }();
  const int64_t left = from.lines - x;
  const __mmask32 kept = left >= 32 ? 0xffffffffu : (uint32_t{1} << left) - 1;
  const uint16_t* at = from.data + k * from.ks + x;
  const __m512i first = k < from.k ? _mm512_maskz_loadu_epi16(kept, at) : _mm512_setzero_si512();
  const __m512i second = k + 1 < from.k ? _mm512_maskz_loadu_epi16(kept, at + from.ks) : _mm512_setzero_si512();
  _mm512_store_si512(to, _mm512_permutex2var_epi16(first, _mm512_load_si512(order.data()), second));
  _mm512_store_si512(to + block, _mm512_permutex2var_epi16(first, _mm512_load_si512(order.data() + 32), second));
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

// GCC 12 does not know that loading a tile reads memory. What is stored before this lies there for the tiles that are
// loaded behind it, and what is stored behind it does not come before tiles that were loaded.
inline void order_tile_loads() { __asm__ volatile("" ::: "memory"); }

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
