// The inner loops of convolutions in f32: a block is 16 channels.
#include "descent/backend/cpu/conv_tiles.h"
#include "descent/backend/cpu/processor.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq")
#endif

#include "descent/backend/cpu/avx512_units.h"

namespace descent::cpu::conv_tiles {
namespace {

constexpr int64_t channels = 16;  // of a block
constexpr int64_t tile = 256;     // floats

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

void nothing() {}

// Images are read from end to end, four at a time, so that few lines are written at a time.
void lay_pixels(const Pixels& from, std::byte* to) {
  const int64_t blocks = ceil_div(from.channels, channels);
  const __mmask16 last = first_lanes(from.channels - (blocks - 1) * channels);
  for (int64_t n = 0; n < images; n += 4)
    for (int64_t p = 0; p < from.pixels; ++p)
      for (int64_t i = n; i < n + 4; ++i) {
        std::byte* row = to + p * blocks * block_bytes + i * 64;
        const auto* x = reinterpret_cast<const float*>(from.x) + i * from.image_stride + p * from.pixel_stride;
        for (int64_t b = 0; b < blocks; ++b, x += channels, row += block_bytes) {
          const __mmask16 kept = i >= from.count ? 0 : b + 1 < blocks ? 0xffff : last;
          _mm_prefetch(x + 4 * from.image_stride, _MM_HINT_T1);
          _mm512_store_ps(row, _mm512_maskz_loadu_ps(kept, x));
        }
      }
}

void lay_windows(const Pixels& from, const int32_t* first, const Part* parts, std::byte* to) {
  const int64_t blocks = ceil_div(from.channels, channels);
  for (int64_t n = 0; n < images; n += 4)
    for (int64_t p = 0; p < from.pixels * blocks; ++p)
      for (int64_t i = n; i < n + 4; ++i) {
        const auto* x = reinterpret_cast<const float*>(from.x) + i * from.image_stride;
        __m512 row = _mm512_setzero_ps();
        if (i < from.count)
          for (const Part *part = parts + first[p], *end = parts + first[p + 1]; part != end; ++part)
            row = _mm512_mask_loadu_ps(row, static_cast<__mmask16>(part->mask), x + part->offset);
        _mm512_store_ps(to + p * block_bytes + i * 64, row);
      }
}

void pack_weights(const std::byte* weights, int64_t row_stride, int64_t column_stride, int64_t rows, int64_t columns,
                  std::byte* to) {
  const auto* from = reinterpret_cast<const float*>(weights);
  __m512i r[16];
  const bool by_rows = column_stride == 1;
  const int64_t lines = by_rows ? rows : columns, step = by_rows ? row_stride : column_stride;
  const __mmask16 kept = first_lanes(by_rows ? columns : rows);
  for (int64_t i = 0; i < 16; ++i)
    r[i] = i < lines ? _mm512_maskz_loadu_epi32(kept, from + i * step) : _mm512_setzero_si512();
  if (!by_rows) transpose_units(r);
  for (int64_t i = 0; i < 16; ++i) _mm512_store_si512(to + 64 * i, r[i]);
}

// Some images of a result, from `image` on.
template <int vectors, int together>
void multiply_images(const Multiply& job, int64_t result, int64_t image) {
  __m512 sums[together][vectors];
#pragma GCC unroll 12
  for (int i = 0; i < together; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) sums[i][j] = _mm512_setzero_ps();
  const Source* const end = job.sources + job.first[result + 1];
  for (const Source* source = job.sources + job.first[result]; source != end; ++source) {
    const auto* a =
        reinterpret_cast<const float*>(job.pixels + source->pixel * job.blocks * block_bytes) + image * channels;
    const auto* b = reinterpret_cast<const float*>(job.weights) + source->tap * job.blocks * vectors * tile;
    for (int64_t block = 0; block < job.blocks; ++block, a += block_bytes / 4, b += vectors * tile)
#pragma GCC unroll 4
      for (int64_t k = 0; k < channels; ++k) {
        __m512 row[vectors];
#pragma GCC unroll 2
        for (int j = 0; j < vectors; ++j) row[j] = _mm512_load_ps(b + j * tile + k * 16);
#pragma GCC unroll 12
        for (int i = 0; i < together; ++i) {
          const __m512 x = _mm512_set1_ps(a[i * channels + k]);
#pragma GCC unroll 2
          for (int j = 0; j < vectors; ++j) sums[i][j] = _mm512_fmadd_ps(x, row[j], sums[i][j]);
        }
      }
  }
  auto* to = reinterpret_cast<float*>(job.out) + result * job.result_stride + image * job.image_stride;
#pragma GCC unroll 12
  for (int i = 0; i < together; ++i)
    if (image + i < job.images)
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j)
        _mm512_mask_storeu_ps(to + i * job.image_stride + 16 * j, first_lanes(job.channels - 16 * j), sums[i][j]);
}

// Twelve images at a time, and at the end eight: as many sums as registers hold.
template <int vectors>
void multiply_all(const Multiply& job) {
  for (int64_t result = job.begin; result < job.end; ++result) {
    int64_t image = 0;
    for (; image + 8 < job.images; image += 12) multiply_images<vectors, 12>(job, result, image);
    if (image < job.images) multiply_images<vectors, 8>(job, result, image);
  }
}

void multiply(const Multiply& job) { job.channels > 16 ? multiply_all<2>(job) : multiply_all<1>(job); }

// Some rows of sums, from channel `c` of x on, over `count` pairs of one group of images.
template <int vectors, int rows>
void accumulate_rows(const Accumulate& job, int64_t c, int64_t group, const Pair* pair, int64_t count, bool add) {
  float* const to = job.sums + c * job.stride;
  __m512 sums[rows][vectors];
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j)
      sums[i][j] = add ? _mm512_loadu_ps(to + i * job.stride + 16 * j) : _mm512_setzero_ps();
  for (const Pair* const end = pair + count; pair != end; ++pair) {
    const auto* x = reinterpret_cast<const float*>(job.x + group * job.x_group + pair->x * job.x_pixel) + c;
    const auto* g = reinterpret_cast<const float*>(job.g + group * job.g_group + pair->g * job.g_pixel);
#pragma GCC unroll 2
    for (int64_t n = 0; n < images; ++n, x += channels, g += channels) {
      __m512 row[vectors];
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j) row[j] = _mm512_load_ps(g + j * block_bytes / 4);
#pragma GCC unroll 12
      for (int i = 0; i < rows; ++i) {
        const __m512 value = _mm512_set1_ps(x[i]);
#pragma GCC unroll 2
        for (int j = 0; j < vectors; ++j) sums[i][j] = _mm512_fmadd_ps(value, row[j], sums[i][j]);
      }
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) _mm512_storeu_ps(to + i * job.stride + 16 * j, sums[i][j]);
}

// Few pairs at a time: their pixels are still in the first cache for the second half of a block's channels.
template <int vectors>
void accumulate_all(const Accumulate& job) {
  constexpr int64_t pairs = 4;
  for (int64_t group = 0; group < job.groups; ++group)
    for (int64_t i = 0; i == 0 || i < job.count; i += pairs) {
      const Pair* first = job.pairs + i;
      const int64_t count = std::min(pairs, job.count - i);
      const bool add = job.add || group > 0 || i > 0;
      if (job.rows > 8 && job.rows <= 12) {
        accumulate_rows<vectors, 12>(job, 0, group, first, count, add);
      } else {
        accumulate_rows<vectors, 8>(job, 0, group, first, count, add);
        if (job.rows > 8) accumulate_rows<vectors, 8>(job, 8, group, first, count, add);
      }
    }
}

void accumulate(const Accumulate& job) { job.narrow_g ? accumulate_all<1>(job) : accumulate_all<2>(job); }

}  // namespace
}  // namespace descent::cpu::conv_tiles

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace descent::cpu::conv_tiles {

const Kernels* avx512_f32() {
  static constexpr Kernels table{"vectors", channels, nothing,      nothing,  lay_pixels, lay_windows,
                                 nullptr,   nullptr,  pack_weights, multiply, accumulate};
  return processor().avx512 ? &table : nullptr;
}

}  // namespace descent::cpu::conv_tiles

#else
namespace descent::cpu::conv_tiles {
const Kernels* avx512_f32() { return nullptr; }
}  // namespace descent::cpu::conv_tiles
#endif
