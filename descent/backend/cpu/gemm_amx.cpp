// The product's kernels for matrix tiles (AMX), in bf16.
//
// A tile register holds 16 rows of 16 units (two bf16 that are neighbours along k). Both operands are copied to blocks
// of 16 x 16 units, each 1 KiB that a tile is loaded from: A's block line by line, B's unit by unit. The sums of two blocks
// of rows and two of columns stay in registers all along k, while the blocks stream from the second cache.
#include "descent/backend/cpu/gemm.h"
#include "descent/backend/cpu/piecewise.h"
#include "descent/backend/cpu/processor.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                          \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16,prfchw"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16,prfchw")
#endif

#include "descent/backend/cpu/amx_blocks.h"

namespace descent::cpu::gemm {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t blocks(const Problem& p) { return ceil_div(p.k, depth); }           // along k
int64_t panel_blocks(const Problem& p) { return p.n <= 16 ? 1 : 2; }        // blocks that a panel of B is wide
int64_t panel_columns(const Problem& p) { return 16 * panel_blocks(p); }
int64_t row_tiles(const Problem& p) { return ceil_div(p.m, 32); }           // pairs of row blocks
int64_t tile_row(const Problem& p, int64_t tile) { return min(32 * tile, p.m); }

// --- copies ---

Source lines_of_a(const Problem& p) {
  return {reinterpret_cast<const uint16_t*>(p.a.data), p.a.row_stride, p.a.column_stride, p.m, p.k};
}

Source lines_of_b(const Problem& p) {
  return {reinterpret_cast<const uint16_t*>(p.b.data), p.b.column_stride, p.b.row_stride, p.n, p.k};
}

// Tile after tile, block by block along k: the two row blocks of a tile side by side.
int64_t tile_units(const Problem& p) { return 2 * blocks(p) * block; }
size_t shared_bytes(const Problem& p) { return static_cast<size_t>(row_tiles(p) * tile_units(p) * 4); }

void share_a(const Problem& p, std::byte* shared, int64_t part, int64_t parts) {
  const Source from = lines_of_a(p);
  const int64_t begin = row_tiles(p) * part / parts, end = row_tiles(p) * (part + 1) / parts;
  const auto copy = [&](int64_t t, int64_t b) {
    uint32_t* to = reinterpret_cast<uint32_t*>(shared) + t * tile_units(p) + b * 2 * block;
    if (from.xs == 1 && (t + 1) * 32 <= from.lines && (b + 1) * depth <= from.k) return turn_lines(from, t * 32, b * depth, to);
    copy_block<false>(from, t * 32, b * depth, to);
    copy_block<false>(from, t * 32 + 16, b * depth, to + block);
  };
  // What lies in a row is read from end to end, so that the processor sees it coming.
  if (from.ks == 1) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t b = 0; b < blocks(p); ++b) copy(t, b);
  } else {
    for (int64_t b = 0; b < blocks(p); ++b)
      for (int64_t t = begin; t < end; ++t) copy(t, b);
  }
}

// --- the product ---

// A packed panel; the extra block keeps panels from starting in the same cache set.
int64_t panel_units(const Problem& p) { return (panel_blocks(p) * blocks(p) + 1) * block; }
size_t panel_bytes(const Problem& p) { return static_cast<size_t>(panel_units(p) * 4); }

// Panels of columns that lie along k.
template <int columns>
void pack_turned(const Problem& p, int64_t panel, int64_t count, uint32_t* to) {
  const Source from = lines_of_b(p);
  for (int64_t i = 0; i < count; ++i, to += panel_units(p))
    for (int64_t b = 0; b < blocks(p); ++b)
      for (int64_t j = 0; j < columns; ++j)
        copy_block<true>(from, ((panel + i) * columns + j) * 16, b * depth, to + (b * columns + j) * block);
}

// Panels of columns that lie across: rows of B are read from end to end, so that the processor sees them coming.
void pack_across(const Problem& p, int64_t panel, int64_t count, uint32_t* to) {
  const Source from = lines_of_b(p);
  for (int64_t unit = 0; unit < blocks(p) * 16; ++unit) {
    uint32_t* at = to + unit / 16 * 2 * block + unit % 16 * 16;
    for (int64_t i = 0; i < count; ++i, at += panel_units(p)) interleave_lines(from, (panel + i) * 32, 2 * unit, at);
  }
}

void pack(const Problem& p, int64_t panel, int64_t count, std::byte* to) {
  const bool across = p.b.column_stride == 1 && p.b.row_stride != 1;
  const auto run = panel_blocks(p) == 1 ? pack_turned<1> : across ? pack_across : pack_turned<2>;
  run(p, panel, count, reinterpret_cast<uint32_t*>(to));
}

// A thread's scratch: two places for a tile's sums.
size_t scratch_bytes(const Problem&) { return static_cast<size_t>(8 * block * 4); }

// Sums that are yet to be stored from the tile registers: block (i, j) goes to `to` + i * row_step + j * column_step, its
// lines `stride` bytes apart. That is done when the next tile's first products want the registers, one by one.
struct Unstored {
  float* to = nullptr;
  int64_t row_step = 0, column_step = 0, stride = 0;
};

// Sums that were left in memory, row by row, and are yet to be finished and stored. That is done while the next tile is
// multiplied: the vector units are idle then.
struct Unfinished {
  const float* sums = nullptr;
  int64_t row = 0, column = 0;
  int64_t next = 0, rows = 0;  // of the tile: the first that is not done, and how many there are
};

// gelu and its slope in the pieces of piecewise.h, as native_functions.cpp makes them.
struct Gelu {
  __m512 value, slope;

  explicit Gelu(__m512 x) {
    constexpr int least_size = 2;  // and x's sign
    const __m512 near = _mm512_range_ps(x, _mm512_set1_ps((gelu_middle - 1) * gelu_step), least_size);
    const __m512i piece = _mm512_castps_si512(
        _mm512_fmadd_ps(near, _mm512_set1_ps(1 / gelu_step), _mm512_set1_ps(whole_in_last_bits + gelu_middle)));
    const auto coefficient = [&](int i) {
      return _mm512_permutex2var_ps(_mm512_loadu_ps(gelu_coefficients[i]), piece, _mm512_loadu_ps(gelu_coefficients[i] + 16));
    };
    value = slope = coefficient(gelu_degree);
#pragma GCC unroll 4
    for (int i = gelu_degree - 1; i >= 0; --i) {
      value = _mm512_fmadd_ps(value, x, coefficient(i));
      if (i > 0) slope = _mm512_fmadd_ps(slope, x, value);
    }
  }
};

// Where the blocks of a tile of A are, in units: the tile at `row` begins at row * `row`, its second block of rows `lower`
// behind the first, the next blocks along k `step`. A block's lines lie `pitch` bytes apart.
struct Left {
  const uint32_t* data;
  int64_t row, lower, step, pitch;
};
Left left_of(const Problem& p, const std::byte* shared) {
  if (!p.a_in_place) return {reinterpret_cast<const uint32_t*>(shared), tile_units(p) / 32, block, 2 * block, 64};
  const int64_t row = p.a.row_stride / 2;
  return {reinterpret_cast<const uint32_t*>(p.a.data), row, 16 * row, 16, row * 4};
}

// What is done with the sums of the tile before, beside the products of this one: whole rows are rounded, or besides
// multiplied, or made the gelu of; or anything else.
enum class Beside { rounds, scales, makes_gelu, other };

// A tile of rows times a panel, again and again. Tile registers 0 to 3 are sums (row block i, column block j is 2 i + j), 4 and 5
// are A's, 6 and 7 are B's. What is used again soon, the tile of A or else the panel, stays in the first cache; the other
// operand streams past it.
template <int rows, int columns, bool stream_b, Beside beside>
class Multiplier {
 public:
  Multiplier(const Problem& p, const std::byte* shared, std::byte* scratch, int64_t panels)
      : p_(p),
        count_(blocks(p)),
        rows_each_(ceil_div(16 * rows, count_)),
        fetched_each_(p.a_in_place ? ceil_div(32, panels) : 0),
        straight_(!p.c_bf16 && !p.bias && !p.relu && !p.roomy),
        left_(left_of(p, shared)),
        sums_(reinterpret_cast<float*>(scratch)) {}

  // The tile whose rows begin at `row`, times panel number `index` of this call; if another tile follows, some of its rows
  // are fetched.
  void multiply(int64_t row, const uint32_t* panel, int64_t column, int64_t index, bool more) {
    const uint32_t *a = left_.data + row * left_.row, *b = panel;
    const uint32_t* next = a + (32 + index * fetched_each_) * left_.row;
    const int64_t fetched = more && index * fetched_each_ < 32 ? fetched_each_ : 0;
    if (p_.before) before_ = p_.before + row * p_.before_pitch + column;
    target_ = p_.c + (row * p_.ldc + column) * element();
    along(a, b, next, fetched);
    finish_rest();
    ready_ = stored_;
    stored_ = {};
    leave(row, column);
  }

  void end() {
    if (const Unstored last = unstored_; last.to != nullptr) {
      store<0>(last);
      store<1>(last);
      store<2>(last);
      store<3>(last);
    }
    finish_rest();
    ready_ = stored_;
    finish_rest();
    if (p_.slopes_pass_caches) _mm_sfence();  // before the others go on
  }

 private:
  static constexpr int64_t width = 16 * columns;  // of a tile's sums
  static constexpr bool has(int sum) { return sum / 2 < rows && sum % 2 < columns; }

  // All blocks along k, and beside each some rows of what waits.
  void along(const uint32_t* a, const uint32_t* b, const uint32_t* next, int64_t fetched) {
    const Left left = left_;
    const int64_t steps = count_, each = rows_each_, line = p_.ldc * element();
    const float* sums = ready_.sums;
    std::byte *to = p_.c + ready_.row * line + ready_.column * 2, *target = target_;
    const int64_t factors = beside == Beside::scales ? p_.factors - p_.c : 0;  // from there
    const int64_t slopes = beside == Beside::makes_gelu ? p_.slopes - p_.c : 0;
    const bool past_caches = p_.slopes_pass_caches;
    int64_t waiting = ready_.rows;
    for (int64_t i = 0; i < steps; ++i) {
      i == 0 ? first_products(a, b, left) : products<Begin::not_now>(a, b, left, {}, {});
      if constexpr (beside != Beside::other) {
        for (int64_t end = waiting > each ? waiting - each : 0; waiting > end; --waiting) {
          __m512 first = _mm512_load_ps(sums), second = _mm512_load_ps(sums + 16);
          if constexpr (beside == Beside::scales) {
            first = _mm512_mul_ps(first, wide(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(to + factors))));
            second = _mm512_mul_ps(second, wide(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(to + factors + 32))));
            if (factors != 0) __builtin_prefetch(target + factors);
          }
          if constexpr (beside == Beside::makes_gelu) {
            const Gelu one(first), other(second);
            const __m512i rounded = pair(one.slope, other.slope);
            if (past_caches) {
              _mm512_stream_si512(reinterpret_cast<__m512i*>(to + slopes), rounded);
            } else {
              _mm512_storeu_si512(to + slopes, rounded);
              __builtin_prefetch(target + slopes, 1);
            }
            first = one.value;
            second = other.value;
          }
          _mm512_storeu_si512(to, pair(first, second));
          __builtin_prefetch(target, 1);
          sums += width;
          to += line;
          target += line;
        }
      } else {
        straight_ ? fetch_target(i) : finish_some();
      }
      for (int64_t r = 0; r < fetched; ++r) __builtin_prefetch(next + r * left.row, 0, 2);
      a += left.step;
      b += columns * block;
      next += left.step;
    }
    if (beside != Beside::other) ready_.next = ready_.rows;
  }

  // What a tile's sums begin with, and whether those of the tile before are to be stored.
  enum class Begin { not_now, from_zero, from_zero_stored, from_before, from_before_stored };

  template <int sum>
  static void store(const Unstored& at) {
    if constexpr (has(sum)) store_tile<sum>(at.to + sum / 2 * at.row_step + sum % 2 * at.column_step, at.stride);
  }

  // Where a tile's sums lie in memory.
  struct Before {
    const float* sums;
    int64_t pitch;
  };

  template <Begin begins, int sum>
  static void begin(const Unstored& last, const Before& before) {
    if constexpr (begins == Begin::from_zero_stored || begins == Begin::from_before_stored) store<sum>(last);
    if constexpr (begins == Begin::from_zero || begins == Begin::from_zero_stored) clear_tile<sum>();
    if constexpr (begins == Begin::from_before || begins == Begin::from_before_stored)
      load_tile<sum>(before.sums + sum / 2 * 16 * before.pitch + sum % 2 * 16, before.pitch * 4);
  }

  template <int to>
  static void load_a(const uint32_t* a, int64_t pitch) {
    stream_b ? load_block<to>(a, pitch) : stream_block<to>(a, pitch);
  }
  template <int to>
  static void load_b(const uint32_t* b) {
    stream_b ? stream_block<to>(b, 64) : load_block<to>(b, 64);
  }

  // A block of k.
  template <Begin begins>
  static void products(const uint32_t* a, const uint32_t* b, const Left& left, const Unstored& last, const Before& before) {
    load_b<6>(b);
    load_a<4>(a, left.pitch);
    begin<begins, 0>(last, before);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (columns > 1) {
      load_b<7>(b + block);
      begin<begins, 1>(last, before);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (rows > 1) {
      load_a<5>(a + left.lower, left.pitch);
      begin<begins, 2>(last, before);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (rows > 1 && columns > 1) {
      begin<begins, 3>(last, before);
      _tile_dpbf16ps(3, 5, 7);
    }
  }

  // The first block of a tile. Members are read before anything is stored: behind stores that wait for sums, loads wait.
  void first_products(const uint32_t* a, const uint32_t* b, const Left& left) {
    const Unstored last = unstored_;
    const Before before{before_, p_.before_pitch};
    if (last.to == nullptr && before.sums == nullptr) return products<Begin::from_zero>(a, b, left, last, before);
    if (last.to == nullptr) return products<Begin::from_before>(a, b, left, last, before);
    if (before.sums == nullptr) return products<Begin::from_zero_stored>(a, b, left, last, before);
    products<Begin::from_before_stored>(a, b, left, last, before);
  }

  static __m512i pair(__m512 first, __m512 second) {
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
  }
  static __m512 wide(__m256i bf16) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16));
  }

  static void store_rounded(std::byte* to, __mmask16 lanes, __m512 x) {
    _mm256_mask_storeu_epi16(to, lanes, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
  }

  // Decides where the sums of the tile in the registers go.
  void leave(int64_t row, int64_t column) {
    const bool whole = p_.roomy || (row + 16 * rows <= p_.m && column + 16 * columns <= p_.n);
    if (whole && !p_.c_bf16 && !p_.bias && !p_.relu) {
      unstored_ = {reinterpret_cast<float*>(p_.c) + row * p_.ldc + column, 16 * p_.ldc, 16, p_.ldc * 4};
      return;
    }
    float* sums = ready_.sums == sums_ ? sums_ + 4 * block : sums_;
    unstored_ = {sums, 16 * width, 16, width * 4};
    stored_ = {sums, row, column, 0, min(16 * rows, p_.m - row)};
  }

  int64_t element() const { return p_.c_bf16 ? 2 : 4; }

  // Rows of C that the registers will be stored to as they are.
  void fetch_target(int64_t step) const {
    const int64_t line = p_.ldc * 4, begin = step * rows_each_, end = min(begin + rows_each_, 16 * rows);
    const std::byte* at = target_ + begin * line;
    for (int64_t r = begin; r < end; ++r, at += line) {
      __builtin_prefetch(at, 1);
      if constexpr (columns > 1) __builtin_prefetch(at + 64, 1);
    }
  }

  // Some rows of what waits; the lines of C that this tile will be stored to are on their way meanwhile.
  void finish_some() {
    const int64_t begin = ready_.next, end = min(begin + rows_each_, ready_.rows);
    if (begin >= end) return;
    ready_.next = end;
    finish(begin, end);
  }
  void finish_rest() {
    if (ready_.next < ready_.rows) finish(ready_.next, ready_.rows);
    ready_.next = ready_.rows;
  }
  void finish(int64_t begin, int64_t end) { p_.c_bf16 ? finish_rows<true>(begin, end) : finish_rows<false>(begin, end); }

  // bias, relu and rounding, without a branch in a row.
  template <bool to_bf16>
  void finish_rows(int64_t begin, int64_t end) {
    const __m512 least = _mm512_set1_ps(p_.relu ? 0.0f : -__builtin_inff());
    __m512 bias[columns];
    __mmask16 lanes[columns];
    for (int j = 0; j < columns; ++j) {
      lanes[j] = first_lanes(p_.n - ready_.column - 16 * j);
      bias[j] = p_.bias ? _mm512_maskz_loadu_ps(lanes[j], p_.bias + ready_.column + 16 * j) : _mm512_setzero_ps();
    }
    const int64_t first = (ready_.row + begin) * p_.ldc + ready_.column, ldc = p_.ldc;
    auto* c = p_.c + first * (to_bf16 ? 2 : 4);
    for (int64_t r = begin; r < end; ++r, c += ldc * (to_bf16 ? 2 : 4)) {
      const float* sums = ready_.sums + r * width;
      __m512 x[columns];
#pragma GCC unroll 2
      for (int j = 0; j < columns; ++j) {
        x[j] = _mm512_max_ps(least, _mm512_add_ps(_mm512_load_ps(sums + j * 16), bias[j]));
        if (to_bf16 && p_.factors != nullptr)
          x[j] = _mm512_mul_ps(x[j], wide(_mm256_maskz_loadu_epi16(lanes[j], c + (p_.factors - p_.c) + 32 * j)));
        if (to_bf16 && p_.slopes != nullptr) {
          const Gelu of(x[j]);
          store_rounded(c + (p_.slopes - p_.c) + 32 * j, lanes[j], of.slope);
          x[j] = of.value;
        }
      }
      if constexpr (to_bf16 && columns == 2) {
        if (lanes[1] == 0xffff) {
          _mm512_storeu_si512(c, pair(x[0], x[1]));
          continue;
        }
      }
#pragma GCC unroll 2
      for (int j = 0; j < columns; ++j) {
        if constexpr (to_bf16) store_rounded(c + 32 * j, lanes[j], x[j]);
        else _mm512_mask_storeu_ps(c + 64 * j, lanes[j], x[j]);
      }
    }
  }

  const Problem& p_;
  const int64_t count_, rows_each_;  // blocks along k; beside each so many rows of the tile before are finished
  const int64_t fetched_each_;       // rows of the next tile that are fetched beside each panel
  const bool straight_;              // whole tiles go from the registers to C
  const Left left_;
  float* sums_;
  const float* before_ = nullptr;  // the sums that this tile begins with
  std::byte* target_ = nullptr;    // where this tile will be stored
  Unstored unstored_;
  Unfinished stored_, ready_;  // stored_: will be in memory when unstored_ is; ready_: is there
};

template <int rows, int columns, bool stream_b, Beside beside>
void multiply_panels(const Problem& p, const std::byte* shared, const std::byte* panels, std::byte* scratch, int64_t tile_begin,
                     int64_t tile_end, int64_t panel, int64_t count) {
  Multiplier<rows, columns, stream_b, beside> multiplier(p, shared, scratch, count);
  const auto one = [&](int64_t t, int64_t i) {
    multiplier.multiply(t * 32, reinterpret_cast<const uint32_t*>(panels + i * static_cast<int64_t>(panel_bytes(p))), (panel + i) * 16 * columns,
                        i, t + 1 < tile_end || p.more_rows);
  };
  if constexpr (stream_b) {
    for (int64_t t = tile_begin; t < tile_end; ++t)
      for (int64_t i = 0; i < count; ++i) one(t, i);
  } else {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t t = tile_begin; t < tile_end; ++t) one(t, i);
  }
  multiplier.end();
}

// The deepest product whose tile of A fits in the first cache beside what streams past it.
constexpr int64_t tile_depth = 512;

template <int rows, int columns, Beside beside>
void multiply_tiles(const Problem& p, const std::byte* shared, const std::byte* panels, std::byte* scratch, int64_t tile_begin,
                    int64_t tile_end, int64_t panel, int64_t count) {
  const auto run = tile_end - tile_begin == 1 || p.k <= tile_depth ? multiply_panels<rows, columns, true, beside>
                                                                   : multiply_panels<rows, columns, false, beside>;
  run(p, shared, panels, scratch, tile_begin, tile_end, panel, count);
}

template <int rows>
auto multiply_whole_panels(const Problem& p) {
  if (!p.c_bf16 || p.bias || p.relu || p.n % 32 != 0) return multiply_tiles<rows, 2, Beside::other>;
  if (p.factors) return multiply_tiles<rows, 2, Beside::scales>;
  return p.slopes ? multiply_tiles<rows, 2, Beside::makes_gelu> : multiply_tiles<rows, 2, Beside::rounds>;
}

void multiply(const Problem& p, const std::byte* shared, const std::byte* panels, std::byte* scratch, int64_t tile_begin,
              int64_t tile_end, int64_t panel, int64_t count) {
  _tile_loadconfig(&tile_config);
  const auto run = panel_blocks(p) == 1
                       ? (p.m <= 16 ? multiply_tiles<1, 1, Beside::other> : multiply_tiles<2, 1, Beside::other>)
                       : (p.m <= 16 ? multiply_whole_panels<1>(p) : multiply_whole_panels<2>(p));
  run(p, shared, panels, scratch, tile_begin, tile_end, panel, count);
  _tile_release();
}

double exercise(int64_t rounds) {
  _tile_loadconfig(&tile_config);
  for (int64_t r = 0; r < rounds; ++r) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return 4 * 2.0 * 16 * 16 * depth * static_cast<double>(rounds);
}

}  // namespace
}  // namespace descent::cpu::gemm

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace descent::cpu::gemm {

const Kernels* amx_bf16() {
  static constexpr Kernels table{"gemm amx bf16", true,        panel_columns, row_tiles,     tile_row, shared_bytes,
                                 share_a,         panel_bytes, pack,          scratch_bytes, multiply, exercise};
  return processor().amx_bf16 && processor().avx512 ? &table : nullptr;
}

}  // namespace descent::cpu::gemm

#else
namespace descent::cpu::gemm {
const Kernels* amx_bf16() { return nullptr; }
}  // namespace descent::cpu::gemm
#endif
