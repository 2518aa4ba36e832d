// What attention on matrix tiles (AMX) is made of: operands, products, weights. Included inside a target pragma, after
// <immintrin.h>.
//
// Weights and scores lie in blocks of 16 x 16 (f32) or 16 x 32 (bf16) that fill 1 KiB each, four f32 ones to 32 x 32.
// Where two rows of 16 become units, row 16 + i of 32 is the high half beside row i: two halves of a row are rounded
// and laid together without moving a lane, and what is multiplied with them is laid in the same order.
#pragma once

#include "descent/backend/cpu/amx_blocks.h"
#include "descent/backend/cpu/attention_tiles.h"

namespace descent::cpu::attention_tiles {
namespace {

constexpr int64_t side = 32;           // of what is multiplied at a time: queries, keys, features
constexpr int64_t pair = 2 * block;    // units of two blocks side by side
constexpr int64_t square = 4 * block;  // f32 of 32 x 32

inline int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t padded(int64_t size) { return (size + side - 1) / side * side; }

// How many keys, in whole blocks, some of 32 queries see.
inline int64_t keys_of(const Head& head, int64_t query) {
  return padded(head.visible(min(query + side, head.queries) - 1));
}

// Head::visible of 16 queries.
inline __m512i visible_to(const Head& head, int64_t query) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const int64_t length = min(max(head.length, 1), head.keys), first = query + 1 + head.keys - head.queries;
  const __m512i all = _mm512_set1_epi32(static_cast<int32_t>(length));
  const __m512i own = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int32_t>(first)));
  const __mmask16 there = first_lanes(head.queries - query);
  return _mm512_maskz_mov_epi32(there, head.causal ? _mm512_maskz_min_epi32(0xffff, own, all) : all);
}

// What 32 queries see of 32 keys: all, some, or none of the last 16 keys by the first 16 queries.
enum class Seen { all, some, no_corner };

inline Seen seen_of(const Head& head, int64_t query, int64_t key) {
  if (query + side <= head.queries && head.visible(query) >= key + side) return Seen::all;
  return head.visible(min(query + 16, head.queries) - 1) > key + 16 ? Seen::some : Seen::no_corner;
}

// --- operands ---

// A right operand: panels of 32 columns, each pair after pair of blocks along k.
struct Panels {
  uint32_t* data = nullptr;
  int64_t depth_pairs = 0;
  uint32_t* at(int64_t panel, int64_t depth_pair) const { return data + (panel * depth_pairs + depth_pair) * pair; }
};

// A left operand: 32 rows, the second 16 of them `lower` bytes behind the first ones.
struct Left {
  const std::byte* data;
  int64_t pitch, lower, step;  // bytes: from row to row, and from one block along k to the next
};

inline Left rows_of(const uint16_t* data, int64_t pitch) {
  return {reinterpret_cast<const std::byte*>(data), pitch * 2, pitch * 32, 64};
}
inline Left blocks_of(const uint32_t* data) {
  return {reinterpret_cast<const std::byte*>(data), 64, block * 4, pair * 4};
}

// Takes parts of a thread's scratch, one behind the other; from null, counts them.
class Taker {
 public:
  explicit Taker(std::byte* base) : base_(base) {}

  template <class T>
  T* take(int64_t count) {
    T* at = reinterpret_cast<T*>(base_ + bytes);
    bytes += (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return at;
  }
  Panels panels(int64_t columns, int64_t along) {
    return {take<uint32_t>(columns / side * (along / depth) * pair), along / depth};
  }

  size_t bytes = 0;

 private:
  std::byte* base_;
};

inline Rows behind(const Rows& rows, int64_t first) { return {rows.data + first * rows.pitch, rows.pitch}; }

inline __mmask32 first_32(int64_t count) {
  return count >= 32 ? 0xffffffffu : count <= 0 ? 0u : (uint32_t{1} << count) - 1;
}

// A row from feature `first` on. Unless it is there as a whole, zeros behind it, and for rows that are none.
template <bool whole>
__m512i row_part(const Rows& from, int64_t row, int64_t rows, int64_t first, int64_t features) {
  const uint16_t* at = from.data + row * from.pitch + first;
  if constexpr (whole) return _mm512_loadu_si512(at);
  const __mmask32 lanes = row < rows ? first_32(features - first) : 0;
  return _mm512_maskz_loadu_epi16(lanes, at);
}

// Rows as they are, and as many features; zeros around them.
inline void copy_rows(const Rows& from, int64_t rows, int64_t features, uint16_t* to, int64_t pitch) {
  for (int64_t i = 0; i < pitch; i += side)
    for (int64_t r = 0; r < side; ++r)
      _mm512_store_si512(to + r * pitch + i, row_part<false>(from, r, rows, i, features));
}

// 32 rows as a left operand, where they lie, or a copy with zeros around what there is.
inline Left left_rows(const Rows& from, int64_t rows, int64_t features, uint16_t* copy) {
  if (rows == side && features % side == 0) return rows_of(from.data, from.pitch);
  copy_rows(from, rows, features, copy, padded(features));
  return rows_of(copy, padded(features));
}

// A block of rows as columns. Units of rows r, r + 4, r + 8 and r + 12 come to a register's four quarters by loads
// alone, which leaves 4 x 4 units to turn in every quarter.
inline void turn_block(const uint16_t* from, int64_t pitch, uint32_t* to) {
#pragma GCC unroll 4
  for (int64_t unit = 0; unit < 16; unit += 4, from += 8, to += 64) {
    const auto quarter = [&](int64_t row) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + row * pitch));
    };
    __m512i r[4];
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; ++i) {
      r[i] = _mm512_castsi128_si512(quarter(i));
      r[i] = _mm512_mask_broadcast_i32x4(r[i], 0x00f0, quarter(i + 4));
      r[i] = _mm512_mask_broadcast_i32x4(r[i], 0x0f00, quarter(i + 8));
      r[i] = _mm512_mask_broadcast_i32x4(r[i], 0xf000, quarter(i + 12));
    }
    const __m512i low[2] = {_mm512_unpacklo_epi32(r[0], r[1]), _mm512_unpacklo_epi32(r[2], r[3])},
                  high[2] = {_mm512_unpackhi_epi32(r[0], r[1]), _mm512_unpackhi_epi32(r[2], r[3])};
    _mm512_store_si512(to, _mm512_unpacklo_epi64(low[0], low[1]));
    _mm512_store_si512(to + 16, _mm512_unpackhi_epi64(low[0], low[1]));
    _mm512_store_si512(to + 32, _mm512_unpacklo_epi64(high[0], high[1]));
    _mm512_store_si512(to + 48, _mm512_unpackhi_epi64(high[0], high[1]));
  }
}

// Rows as columns: features are the depth.
inline void lay_columns(const Rows& from, int64_t rows, int64_t features, const Panels& to) {
  const Source source{from.data, from.pitch, 1, rows, features};
  for (int64_t row = 0; row < padded(rows); row += 16)
    for (int64_t i = 0; i < features; i += depth) {
      uint32_t* at = to.at(row / side, i / depth) + row % side * 16;
      if (row + 16 <= rows && i + depth <= features)
        turn_block(from.data + row * from.pitch + i, from.pitch, at);
      else
        copy_block<true>(source, row, i, at);
    }
}

template <bool whole>
void lay_rows(const Rows& from, int64_t rows, int64_t row, int64_t first, int64_t features, uint32_t* to) {
  for (int64_t i = 0; i < 16; ++i) {
    const __m512i low = row_part<whole>(from, row + i, rows, first, features),
                  high = row_part<whole>(from, row + i + 16, rows, first, features);
    _mm512_store_si512(to + i * 16, _mm512_unpacklo_epi16(low, high));
    _mm512_store_si512(to + block + i * 16, _mm512_unpackhi_epi16(low, high));
  }
}

// Rows as rows, the depth, 16 + i beside i; features as store_rows() wants them.
inline void lay_rows(const Rows& from, int64_t rows, int64_t features, const Panels& to) {
  for (int64_t first = 0; first < features; first += side)
    for (int64_t row = 0; row < rows; row += depth) {
      const bool whole = row + depth <= rows && first + side <= features;
      (whole ? lay_rows<true> : lay_rows<false>)(from, rows, row, first, features, to.at(first / side, row / depth));
    }
}

// Brings rows into the cache, to be written or read.
template <bool to_write>
void fetch_rows(const uint16_t* data, int64_t pitch, int64_t rows, int64_t features) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < features; i += 32)
      __builtin_prefetch(data + r * pitch + i, to_write ? 1 : 0, to_write ? 3 : 2);
}

// Fetches the next head's rows, few at a time among the work on this one: the memory is far, and can be asked for some
// lines only at a time.
class Ahead {
 public:
  static constexpr int64_t steps = 2;  // a square

  Ahead(const Head& head, const Operands* next) : features_(head.features) {
    int64_t squares = 0;
    for (int64_t query = 0; query < head.queries; query += side) squares += keys_of(head, query) / side;
    if (next != nullptr)
      for (const Rows& rows : {next->q, next->k, next->v, next->g, next->o})
        if (rows.data != nullptr) part_[parts_++] = rows;
    rows_ = max(head.queries, head.keys);  // asking for what lies behind the shorter ones does no harm
    rows_a_step_ = (rows_ + squares * steps - 1) / (squares * steps);
  }

  // Rows of this head's results.
  void fetch_to(const uint16_t* data, int64_t pitch) { to_[tos_++] = {data, pitch}; }

  [[gnu::noinline]] void step() {  // else its addresses take the registers of what is computed around it
    const int64_t count = min(rows_a_step_, rows_ - row_);
    for (int i = 0; i < parts_; ++i)
      fetch_rows<false>(part_[i].data + row_ * part_[i].pitch, part_[i].pitch, count, features_);
    for (int i = 0; i < tos_; ++i) fetch_rows<true>(to_[i].data + row_ * to_[i].pitch, to_[i].pitch, count, features_);
    row_ += count;
  }

 private:
  Rows part_[5], to_[3];
  int parts_ = 0, tos_ = 0;
  int64_t features_, rows_ = 0, row_ = 0, rows_a_step_ = 0;
};

// --- products ---

enum class Sum { fresh, more };

// Products of 32 x 32. The tile unit takes its instructions in order, and sums are not there until some 50 cycles after
// their last product: so they are stored among the first instructions of the next one.
// Panels, which come back too late to be kept, pass by the first cache: what is used at once stays there.
class Products {
 public:
  // The square = left times a panel, `count` blocks along k, added to what is there or to nothing.
  template <Sum sum>
  void multiply(Left left, const uint32_t* panel, int64_t count, float* to) {
    float* const last = to_;  // read before anything is stored: behind stores that wait for sums, loads wait
    order_tile_loads();
    _tile_stream_loadd(6, panel, 64);
    _tile_loadd(4, left.data, left.pitch);
    next_sum<sum, 0>(last, to);
    _tile_dpbf16ps(0, 4, 6);
    _tile_stream_loadd(7, panel + block, 64);
    next_sum<sum, 1>(last, to);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, left.data + left.lower, left.pitch);
    next_sum<sum, 2>(last, to);
    _tile_dpbf16ps(2, 5, 6);
    next_sum<sum, 3>(last, to);
    _tile_dpbf16ps(3, 5, 7);
    for (int64_t i = 1; i < count; ++i) {
      panel += pair;
      left.data += left.step;
      _tile_stream_loadd(6, panel, 64);
      _tile_loadd(4, left.data, left.pitch);
      _tile_dpbf16ps(0, 4, 6);
      _tile_stream_loadd(7, panel + block, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, left.data + left.lower, left.pitch);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    order_tile_loads();
    to_ = to;
  }

  // Before the last square is read.
  void finish() {
    float* const last = to_;
    if (last == nullptr) return;
    store_tile<0>(last, 64);
    store_tile<1>(last + block, 64);
    store_tile<2>(last + 2 * block, 64);
    store_tile<3>(last + 3 * block, 64);
    to_ = nullptr;
  }

 private:
  template <Sum sum, int tile>
  static void next_sum(float* last, const float* to) {
    if (last != nullptr) store_tile<tile>(last + tile * block, 64);
    if constexpr (sum == Sum::more) load_tile<tile>(to + tile * block, 64);
    if constexpr (sum == Sum::fresh) clear_tile<tile>();
  }

  float* to_ = nullptr;
};

// --- weights ---

constexpr float log2_e = 1.44269504f;

inline float scale_of(const Head& head) { return 1.0f / __builtin_sqrtf(static_cast<float>(head.features)); }

// (Intrinsics with a mask of all lanes where GCC 12 warns that those without leave something uninitialized.)
// 2^x to 8e-5 of itself, a twentieth of what rounding to bf16 may add: from the whole number below x, a polynomial.
// With `half`, half of a bf16's last place more: cut off behind that place, it is rounded.
template <bool half>
inline __m512 exp2_of(__m512 x, __mmask16 lanes) {
  const __m512 f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 y = _mm512_set1_ps(7.8024523e-2f);
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(2.2606716e-1f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(6.9583354e-1f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(9.9992522e-1f + (half ? 0x1p-8f : 0)));
  return _mm512_maskz_scalef_ps(lanes, y, x);
}

inline __m512 larger(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }
inline __m512 together(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }

template <__m512 (*join)(__m512, __m512)>
__m512 join_parts(__m512 a, __m512 b) {
  return join(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

// Lane i becomes what all lanes of r[i] make together.
template <__m512 (*join)(__m512, __m512)>
__m512 join_lanes(const __m512 (&r)[16]) {
  __m512 fours[4], eights[2];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512 *a = r + 4 * i, *b = a + 2;
    const __m512d low = _mm512_castps_pd(join(_mm512_unpacklo_ps(a[0], a[1]), _mm512_unpackhi_ps(a[0], a[1]))),
                  high = _mm512_castps_pd(join(_mm512_unpacklo_ps(b[0], b[1]), _mm512_unpackhi_ps(b[0], b[1])));
    fours[i] = join(_mm512_castpd_ps(_mm512_unpacklo_pd(low, high)), _mm512_castpd_ps(_mm512_unpackhi_pd(low, high)));
  }
  for (int i = 0; i < 2; ++i) eights[i] = join_parts<join>(fours[2 * i], fours[2 * i + 1]);
  return join_parts<join>(eights[0], eights[1]);
}

// Rounded to bf16, in the upper half of each lane; the lower one holds anything.
inline __m512i rounded(__m512 x) { return _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000)); }

// The upper halves of both, as units.
inline __m512i units_of(__m512i low, __m512i high) {
  const __m512i down = _mm512_set4_epi32(0x0f0e0f0e, 0x0b0a0b0a, 0x07060706, 0x03020302);
  return _mm512_mask_shuffle_epi8(high, 0x3333333333333333u, low, down);
}

// --- results ---

// Rows of squares side by side, times a factor each (null: one), rounded; features as lay_rows() laid them.
inline void store_rows(const float* squares, float all, const float* factors, int64_t rows, int64_t features,
                       uint16_t* to, int64_t pitch) {
  for (int64_t i = 0; i < features; i += side, squares += square)
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = squares + r / 16 * 2 * block + r % 16 * 16;
      const __m512 factor = _mm512_set1_ps(factors ? factors[r] : all);
      const __m512i low = rounded(_mm512_mul_ps(_mm512_load_ps(row), factor)),
                    high = rounded(_mm512_mul_ps(_mm512_load_ps(row + block), factor));
      const __m512i both =
          _mm512_packus_epi32(_mm512_maskz_srli_epi32(0xffff, low, 16), _mm512_maskz_srli_epi32(0xffff, high, 16));
      _mm512_mask_storeu_epi16(to + r * pitch + i, first_32(features - i), both);
    }
}

}  // namespace
}  // namespace descent::cpu::attention_tiles
