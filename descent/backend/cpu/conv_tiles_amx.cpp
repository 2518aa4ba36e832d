#include "descent/backend/cpu/conv_tiles.h"

#include "descent/backend/cpu/processor.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")
#endif

#include "descent/backend/cpu/amx_blocks.h"

namespace descent::cpu::conv_tiles {
namespace {

constexpr int64_t tile = 1024;    // bytes
constexpr int64_t channels = 32;  // of a block

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
__mmask32 first_words(int64_t count) { return count >= 32 ? 0xffffffffu : (uint32_t{1} << count) - 1; }

// Which words of two rows interleave their first and second halves.
struct Interleaving {
  uint16_t at[2][32] = {};
  constexpr Interleaving() {
    for (int half = 0; half < 2; ++half)
      for (int j = 0; j < 32; ++j) at[half][j] = static_cast<uint16_t>(half * 16 + j / 2 + j % 2 * 32);
  }
};
alignas(64) constexpr Interleaving interleaving;

void interleave_block(const std::byte* from, __m512i (&low)[16], __m512i (&high)[16]) {
  const __m512i first = _mm512_load_si512(interleaving.at[0]), second = _mm512_load_si512(interleaving.at[1]);
#pragma GCC unroll 16
  for (int u = 0; u < 16; ++u) {
    const __m512i even = _mm512_load_si512(from + 128 * u), odd = _mm512_load_si512(from + 128 * u + 64);
    low[u] = _mm512_permutex2var_epi16(even, first, odd);
    high[u] = _mm512_permutex2var_epi16(even, second, odd);
  }
}

void store_block(const __m512i (&low)[16], const __m512i (&high)[16], std::byte* to) {
#pragma GCC unroll 16
  for (int u = 0; u < 16; ++u) _mm512_store_si512(to + 64 * u, low[u]);
#pragma GCC unroll 16
  for (int u = 0; u < 16; ++u) _mm512_store_si512(to + tile + 64 * u, high[u]);
}

// --- tile registers, as amx_blocks.h deals them out ---

// The sums of some row and column tiles.
template <int rows, int columns>
struct Sums {
  static constexpr bool has(int sum) { return sum / 2 < rows && sum % 2 < columns; }

  // Tile (i, j) lies at i * row_step + j * column_step, its lines `stride` bytes apart.
  template <int sum>
  static void store(float* to, int64_t row_step, int64_t column_step, int64_t stride) {
    if constexpr (has(sum)) store_tile<sum>(to + sum / 2 * row_step + sum % 2 * column_step, stride);
  }
  static void store_all(float* to, int64_t row_step, int64_t column_step, int64_t stride) {
    store<0>(to, row_step, column_step, stride);
    store<1>(to, row_step, column_step, stride);
    store<2>(to, row_step, column_step, stride);
    store<3>(to, row_step, column_step, stride);
  }
  template <int sum>
  static void load(const float* from, int64_t row_step, int64_t stride) {
    if constexpr (has(sum)) load_tile<sum>(from + sum / 2 * row_step + sum % 2 * 16, stride);
  }
  static void load_all(const float* from, int64_t row_step, int64_t stride) {
    load<0>(from, row_step, stride);
    load<1>(from, row_step, stride);
    load<2>(from, row_step, stride);
    load<3>(from, row_step, stride);
  }
  static void clear_all() {
    clear_tile<0>();
    clear_tile<1>();
    clear_tile<2>();
    clear_tile<3>();
  }

  // Adds the product of two blocks.
  static void add_product(const std::byte* a, const std::byte* b) {
    _tile_loadd(6, b, 64);
    _tile_loadd(4, a, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (columns > 1) {
      _tile_loadd(7, b + tile, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (rows > 1) {
      _tile_loadd(5, a + tile, 64);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (rows > 1 && columns > 1) _tile_dpbf16ps(3, 5, 7);
  }
  // The same, and each sum begins anew; before that it is stored, unless `left` is null.
  static void begin_with_product(const std::byte* a, const std::byte* b, float* left) {
    _tile_loadd(6, b, 64);
    _tile_loadd(4, a, 64);
    begin<0>(left);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (columns > 1) {
      _tile_loadd(7, b + tile, 64);
      begin<1>(left);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (rows > 1) {
      _tile_loadd(5, a + tile, 64);
      begin<2>(left);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (rows > 1 && columns > 1) {
      begin<3>(left);
      _tile_dpbf16ps(3, 5, 7);
    }
  }

 private:
  template <int sum>
  static void begin(float* left) {
    if (left != nullptr) store<sum>(left, 512, 256, 64);
    clear_tile<sum>();
  }
};

// One result after another. The sums of one leave the registers while the next one's first products enter them, and are
// rounded and stored, row by row, while the tiles multiply: the vector units are idle then.
template <int rows, int columns>
class Multiplier {
 public:
  explicit Multiplier(const Multiply& job) : job_(job) {
    for (int j = 0; j < columns; ++j) lanes_[j] = first_lanes(job.channels - 16 * j);
  }

  void run() {
    for (int64_t i = job_.begin; i < job_.end; ++i) {
      result(job_.sources + job_.first[i], job_.first[i + 1] - job_.first[i]);
      in_registers_ = i;
    }
    leave();
    finish_some(job_.images);
  }

 private:
  using Registers = Sums<rows, columns>;

  void result(const Source* sources, int64_t count) {
    if (count == 0) {
      leave();
      finish_some(job_.images);
      return Registers::clear_all();
    }
    const int64_t blocks = job_.blocks, steps = count * blocks, each = ceil_div(job_.images, steps > 1 ? steps - 1 : 1);
    for (int64_t s = 0; s < count; ++s) {
      const std::byte* a = job_.pixels + sources[s].pixel * blocks * block_bytes;
      const std::byte* b = job_.weights + sources[s].tap * blocks * columns * tile;
      for (int64_t i = 0; i < blocks; ++i, a += block_bytes, b += columns * tile) {
        if (s == 0 && i == 0) {
          Registers::begin_with_product(a, b, in_registers_ >= 0 ? sums_ : nullptr);
          begin_finishing();
        } else {
          Registers::add_product(a, b);
          finish_some(each);
        }
      }
    }
    finish_some(job_.images);
  }

  void leave() {
    if (in_registers_ >= 0) Registers::store_all(sums_, 512, 256, 64);
    begin_finishing();
  }

  // What has left the registers is next to be finished.
  void begin_finishing() {
    next_ = in_registers_ >= 0 ? 0 : job_.images;
    const int64_t bytes = job_.bf16 ? 2 : 4;
    to_ = job_.out + in_registers_ * job_.result_stride * bytes;
    in_registers_ = -1;
  }

  void finish_some(int64_t count) {
    const int64_t end = min(next_ + count, job_.images);
    job_.bf16 ? finish_rows<true>(end) : finish_rows<false>(end);
  }

  template <bool to_bf16>
  void finish_rows(int64_t end) {
    const int64_t step = job_.image_stride * (to_bf16 ? 2 : 4);
    for (std::byte* to = to_ + next_ * step; next_ < end; ++next_, to += step) {
      const float* sums = sums_ + (next_ / 16 * 512 + next_ % 16 * 16);
      if constexpr (to_bf16 && columns == 2) {
        const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_load_ps(sums + 256), _mm512_load_ps(sums));
        const __mmask32 kept = static_cast<__mmask32>(lanes_[1]) << 16 | lanes_[0];
        _mm512_mask_storeu_epi16(to, kept, reinterpret_cast<__m512i>(both));
        continue;
      }
      for (int j = 0; j < columns; ++j) {
        const __m512 x = _mm512_load_ps(sums + 256 * j);
        if constexpr (to_bf16)
          _mm256_mask_storeu_epi16(to + 32 * j, lanes_[j], reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
        else
          _mm512_mask_storeu_ps(to + 64 * j, lanes_[j], x);
      }
    }
  }

  const Multiply& job_;
  __mmask16 lanes_[columns];
  int64_t in_registers_ = -1;  // which result
  int64_t next_ = images;      // image to finish
  std::byte* to_ = nullptr;    // of the result that is being finished
  alignas(64) float sums_[1024];
};

template <int rows, int columns>
void accumulate_tiles(const Accumulate& job) {
  using Registers = Sums<rows, columns>;
  if (job.add)
    Registers::load_all(job.sums, 16 * job.stride, job.stride * 4);
  else
    Registers::clear_all();
  for (int64_t group = 0; group < job.groups; ++group) {
    const std::byte *x = job.x + group * job.x_group, *g = job.g + group * job.g_group;
    for (const Pair *pair = job.pairs, *end = pair + job.count; pair != end; ++pair)
      Registers::add_product(x + pair->x * job.x_pixel, g + pair->g * job.g_pixel);
  }
  Registers::store_all(job.sums, 16 * job.stride, 16, job.stride * 4);
}

void start() { _tile_loadconfig(&tile_config); }
void finish() { _tile_release(); }

// --- what tiles are loaded from: each lays it, and it is there when that ends ---

// Images are read from end to end, four at a time, so that few lines are written at a time.
void lay_pixels(const Pixels& from, std::byte* to) {
  const int64_t blocks = ceil_div(from.channels, channels);
  const __mmask32 last = first_words(from.channels - (blocks - 1) * channels);
  for (int64_t n = 0; n < images; n += 4)
    for (int64_t p = 0; p < from.pixels; ++p)
      for (int64_t i = n; i < n + 4; ++i) {
        std::byte* row = to + p * blocks * block_bytes + i * 64;
        const auto* x = reinterpret_cast<const uint16_t*>(from.x) + i * from.image_stride + p * from.pixel_stride;
        for (int64_t b = 0; b < blocks; ++b, x += channels, row += block_bytes) {
          const __mmask32 kept = i >= from.count ? 0 : b + 1 < blocks ? 0xffffffffu : last;
          _mm_prefetch(x + 4 * from.image_stride, _MM_HINT_T1);
          _mm512_store_si512(row, _mm512_maskz_loadu_epi16(kept, x));
        }
      }
  order_tile_loads();
}

void lay_windows(const Pixels& from, const int32_t* first, const Part* parts, std::byte* to) {
  const int64_t blocks = ceil_div(from.channels, channels);
  for (int64_t n = 0; n < images; n += 4)
    for (int64_t p = 0; p < from.pixels * blocks; ++p)
      for (int64_t i = n; i < n + 4; ++i) {
        const auto* x = reinterpret_cast<const uint16_t*>(from.x) + i * from.image_stride;
        __m512i row = _mm512_setzero_si512();
        if (i < from.count)
          for (const Part *part = parts + first[p], *end = parts + first[p + 1]; part != end; ++part)
            row = _mm512_mask_loadu_epi16(row, part->mask, x + part->offset);
        _mm512_store_si512(to + p * block_bytes + i * 64, row);
      }
  order_tile_loads();
}

void transpose(const std::byte* from, int64_t blocks, std::byte* to) {
  for (int64_t i = 0; i < blocks; ++i, from += block_bytes, to += block_bytes) {
    __m512i low[16], high[16];
    interleave_block(from, low, high);
    transpose_units(low);
    transpose_units(high);
    store_block(low, high, to);
  }
  order_tile_loads();
}

void interleave(const std::byte* from, int64_t blocks, std::byte* to) {
  for (int64_t i = 0; i < blocks; ++i, from += block_bytes, to += block_bytes) {
    __m512i low[16], high[16];
    interleave_block(from, low, high);
    store_block(low, high, to);
  }
  order_tile_loads();
}

void pack_weights(const std::byte* weights, int64_t row_stride, int64_t column_stride, int64_t rows, int64_t columns,
                  std::byte* to) {
  const auto* from = reinterpret_cast<const uint16_t*>(weights);
  __m512i r[16];
  if (column_stride == 1) {
    const __mmask16 lanes = first_lanes(columns);
    for (int64_t u = 0; u < 16; ++u)
      r[u] = 2 * u < rows ? interleave_rows(from + 2 * u * row_stride, 2 * u + 1 < rows ? row_stride : 0, lanes)
                          : _mm512_setzero_si512();
  } else {
    const __mmask32 kept = first_words(rows);
    for (int64_t i = 0; i < 16; ++i)
      r[i] = i < columns ? _mm512_maskz_loadu_epi16(kept, from + i * column_stride) : _mm512_setzero_si512();
    transpose_units(r);
  }
  for (int64_t u = 0; u < 16; ++u) _mm512_store_si512(to + 64 * u, r[u]);
  order_tile_loads();
}

void multiply(const Multiply& job) {
  const bool narrow = job.channels <= 16;
  if (job.images <= 16)
    narrow ? Multiplier<1, 1>(job).run() : Multiplier<1, 2>(job).run();
  else
    narrow ? Multiplier<2, 1>(job).run() : Multiplier<2, 2>(job).run();
}

void accumulate(const Accumulate& job) {
  if (job.rows <= 16)
    job.narrow_g ? accumulate_tiles<1, 1>(job) : accumulate_tiles<1, 2>(job);
  else
    job.narrow_g ? accumulate_tiles<2, 1>(job) : accumulate_tiles<2, 2>(job);
}

}  // namespace
}  // namespace descent::cpu::conv_tiles

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace descent::cpu::conv_tiles {

const Kernels* amx_bf16() {
  static constexpr Kernels table{"tiles",   channels,   start,        finish,   lay_pixels, lay_windows,
                                 transpose, interleave, pack_weights, multiply, accumulate};
  return processor().amx_bf16 && processor().avx512 ? &table : nullptr;
}

}  // namespace descent::cpu::conv_tiles

#else
namespace descent::cpu::conv_tiles {
const Kernels* amx_bf16() { return nullptr; }
}  // namespace descent::cpu::conv_tiles
#endif
