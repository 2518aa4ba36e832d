// A row times a matrix, for AVX-512.
#include "descent/backend/cpu/gemv.h"
#include "descent/backend/cpu/processor.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,fma")
#endif

#include "descent/backend/cpu/avx512_units.h"

namespace descent::cpu::gemv {
namespace {

// Of 16 units of two bf16, the elements of even and of odd places as f32.
inline __m512 even_of(__m512i units) { return _mm512_castsi512_ps(_mm512_slli_epi32(units, 16)); }
inline __m512 odd_of(__m512i units) {
  return _mm512_castsi512_ps(_mm512_and_si512(units, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}

inline float number_at(const Problem& p, int64_t i) {
  if (!p.bf16) return reinterpret_cast<const float*>(p.x)[i];
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(reinterpret_cast<const uint16_t*>(p.x)[i] << 16)));
}

// --- rows of B are contiguous: some rows at a time are added to the sums, which stay in the first cache ---

constexpr int rows_at_once = 8;

// sums[i] += the products of `count` rows, for 32 bf16 columns at a time; even columns' sums come first, 16 by 16.
template <int count>
void add_rows_bf16(const uint16_t* const (&rows)[rows_at_once], const __m512 (&x)[rows_at_once], int64_t columns,
                   float* sums) {
  for (int64_t i = 0; i < columns; i += 32) {
    const bool whole = columns - i >= 32;
    const auto lanes = whole ? ~__mmask32{0} : static_cast<__mmask32>((1u << (columns - i)) - 1);
    __m512 even = _mm512_loadu_ps(sums + i), odd = _mm512_loadu_ps(sums + i + 16);
#pragma GCC unroll 8
    for (int r = 0; r < count; ++r) {
      const __m512i units = _mm512_maskz_loadu_epi16(lanes, rows[r] + i);
      even = _mm512_fmadd_ps(x[r], even_of(units), even);
      odd = _mm512_fmadd_ps(x[r], odd_of(units), odd);
    }
    _mm512_storeu_ps(sums + i, even);
    _mm512_storeu_ps(sums + i + 16, odd);
  }
}

template <int count>
void add_rows_f32(const float* const (&rows)[rows_at_once], const __m512 (&x)[rows_at_once], int64_t columns,
                  float* sums) {
  for (int64_t i = 0; i < columns; i += 16) {
    const __mmask16 lanes = first_lanes(columns - i);
    __m512 sum = _mm512_loadu_ps(sums + i);
#pragma GCC unroll 8
    for (int r = 0; r < count; ++r) {
      sum = _mm512_fmadd_ps(x[r], _mm512_maskz_loadu_ps(lanes, rows[r] + i), sum);
    }
    _mm512_storeu_ps(sums + i, sum);
  }
}

template <class T, class Add, class AddOne>
void add_all_rows(const Problem& p, int64_t begin, int64_t k, int64_t k_end, Add add, AddOne add_one) {
  const T* b = reinterpret_cast<const T*>(p.b.data) + begin;
  const T* rows[rows_at_once] = {};
  __m512 x[rows_at_once] = {};
  for (; k + rows_at_once <= k_end; k += rows_at_once) {
    for (int r = 0; r < rows_at_once; ++r) {
      rows[r] = b + (k + r) * p.b.row_stride;
      x[r] = _mm512_set1_ps(number_at(p, k + r));
    }
    add(rows, x);
  }
  for (; k < k_end; ++k) {
    rows[0] = b + k * p.b.row_stride;
    x[0] = _mm512_set1_ps(number_at(p, k));
    add_one(rows, x);
  }
}

// Of bf16, sums of even and odd columns are apart, 16 by 16.
void multiply_rows(const Problem& p, int64_t begin, int64_t end, int64_t k, int64_t k_end, float* sums) {
  const int64_t columns = end - begin;
  for (int64_t i = 0; i < columns + 32; i += 16) _mm512_storeu_ps(sums + i, _mm512_setzero_ps());
  if (p.bf16)
    add_all_rows<uint16_t>(
        p, begin, k, k_end, [&](auto& rows, auto& x) { add_rows_bf16<rows_at_once>(rows, x, columns, sums); },
        [&](auto& rows, auto& x) { add_rows_bf16<1>(rows, x, columns, sums); });
  else
    add_all_rows<float>(
        p, begin, k, k_end, [&](auto& rows, auto& x) { add_rows_f32<rows_at_once>(rows, x, columns, sums); },
        [&](auto& rows, auto& x) { add_rows_f32<1>(rows, x, columns, sums); });
}

// Such sums in their order.
void interleave(float* sums, int64_t columns) {
  const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  for (int64_t i = 0; i < columns; i += 32) {
    const __m512 even = _mm512_loadu_ps(sums + i), odd = _mm512_loadu_ps(sums + i + 16);
    _mm512_storeu_ps(sums + i, _mm512_permutex2var_ps(even, low, odd));
    _mm512_storeu_ps(sums + i + 16, _mm512_permutex2var_ps(even, high, odd));
  }
}

// --- columns of B are contiguous: a dot product each, four at a time ---

constexpr int columns_at_once = 4;

// (GCC 12 takes _mm512_reduce_add_ps and casts to halves for uses of what was never set.)
inline float sum_of(__m512 x) {
  const __m256 half = _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, x, 0), _mm512_maskz_extractf32x8_ps(0xff, x, 1));
  __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

// x as f32; of bf16 the even places of each 32, then the odd ones. Beyond k are zeros.
void spread_x(const Problem& p, float* x) {
  if (!p.bf16) {
    for (int64_t i = 0; i < p.k; i += 16)
      _mm512_storeu_ps(x + i, _mm512_maskz_loadu_ps(first_lanes(p.k - i), reinterpret_cast<const float*>(p.x) + i));
    return;
  }
  for (int64_t i = 0; i < p.k; i += 32) {
    const int64_t left = p.k - i;
    const __mmask32 lanes = left >= 32 ? ~__mmask32{0} : static_cast<__mmask32>((1u << left) - 1);
    const __m512i units = _mm512_maskz_loadu_epi16(lanes, reinterpret_cast<const uint16_t*>(p.x) + i);
    _mm512_storeu_ps(x + i, even_of(units));
    _mm512_storeu_ps(x + i + 16, odd_of(units));
  }
}

template <int count>
void dot_bf16(const Problem& p, int64_t column, const float* x, float* sums) {
  const uint16_t* b = reinterpret_cast<const uint16_t*>(p.b.data) + column * p.b.column_stride;
  __m512 even[count], odd[count];
  for (int c = 0; c < count; ++c) even[c] = odd[c] = _mm512_setzero_ps();
  for (int64_t i = 0; i < p.k; i += 32) {
    const int64_t left = p.k - i;
    const __mmask32 lanes = left >= 32 ? ~__mmask32{0} : static_cast<__mmask32>((1u << left) - 1);
    const __m512 x_even = _mm512_loadu_ps(x + i), x_odd = _mm512_loadu_ps(x + i + 16);
#pragma GCC unroll 4
    for (int c = 0; c < count; ++c) {
      const uint16_t* at = b + c * p.b.column_stride + i;
      const __m512i units = _mm512_maskz_loadu_epi16(lanes, at);
      even[c] = _mm512_fmadd_ps(x_even, even_of(units), even[c]);
      odd[c] = _mm512_fmadd_ps(x_odd, odd_of(units), odd[c]);
    }
  }
  for (int c = 0; c < count; ++c) sums[c] = sum_of(_mm512_add_ps(even[c], odd[c]));
}

template <int count>
void dot_f32(const Problem& p, int64_t column, const float* x, float* sums) {
  const float* b = reinterpret_cast<const float*>(p.b.data) + column * p.b.column_stride;
  __m512 sum[count];
  for (int c = 0; c < count; ++c) sum[c] = _mm512_setzero_ps();
  for (int64_t i = 0; i < p.k; i += 16) {
    const __mmask16 lanes = first_lanes(p.k - i);
    const __m512 own = _mm512_loadu_ps(x + i);
#pragma GCC unroll 4
    for (int c = 0; c < count; ++c) {
      const float* at = b + c * p.b.column_stride + i;
      sum[c] = _mm512_fmadd_ps(own, _mm512_maskz_loadu_ps(lanes, at), sum[c]);
    }
  }
  for (int c = 0; c < count; ++c) sums[c] = sum_of(sum[c]);
}

void multiply_columns(const Problem& p, int64_t begin, int64_t end, float* sums) {
  float* x = sums + (end - begin) + 32;
  spread_x(p, x);
  int64_t column = begin;
  for (; column + columns_at_once <= end; column += columns_at_once)
    p.bf16 ? dot_bf16<columns_at_once>(p, column, x, sums + column - begin)
           : dot_f32<columns_at_once>(p, column, x, sums + column - begin);
  for (; column < end; ++column)
    p.bf16 ? dot_bf16<1>(p, column, x, sums + column - begin) : dot_f32<1>(p, column, x, sums + column - begin);
}

// --- the end of both ---

void finish(const Problem& p, int64_t begin, int64_t end, const float* sums) {
  for (int64_t i = begin; i < end; i += 16) {
    const __mmask16 lanes = first_lanes(end - i);
    __m512 y = _mm512_loadu_ps(sums + i - begin);
    if (p.bias != nullptr) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(lanes, p.bias + i));
    if (p.relu) y = _mm512_max_ps(_mm512_setzero_ps(), y);  // the second operand wins if it is NaN
    if (p.y_bf16)
      _mm256_mask_storeu_epi16(reinterpret_cast<uint16_t*>(p.y) + i, lanes, round_to_bf16(y));
    else
      _mm512_mask_storeu_ps(reinterpret_cast<float*>(p.y) + i, lanes, y);
  }
}

void multiply(const Problem& p, int64_t begin, int64_t end, float* sums) {
  if (begin >= end) return;
  if (p.b.column_stride == 1) {
    multiply_rows(p, begin, end, 0, p.k, sums);
    if (p.bf16) interleave(sums, end - begin);
  } else {
    multiply_columns(p, begin, end, sums);
  }
  finish(p, begin, end, sums);
}

void add_part(const Problem& p, int64_t row_begin, int64_t row_end, float* sums) {
  multiply_rows(p, 0, p.n, row_begin, row_end, sums);
}

// `begin` is a multiple of 32. Of bf16 the sums of the last odd columns lie behind 16 of even ones.
void join_parts(const Problem& p, int64_t begin, int64_t end, float* parts, int64_t pitch, int64_t count) {
  if (begin >= end) return;
  for (int64_t part = 1; part < count; ++part)
    for (int64_t i = begin; i < (p.bf16 ? (end + 31) / 32 * 32 : end); i += 16)
      _mm512_storeu_ps(parts + i, _mm512_add_ps(_mm512_loadu_ps(parts + i), _mm512_loadu_ps(parts + part * pitch + i)));
  if (p.bf16) interleave(parts + begin, end - begin);
  finish(p, begin, end, parts + begin);
}

constexpr Kernels kernels{"own avx512, a row", multiply, add_part, join_parts};

}  // namespace
}  // namespace descent::cpu::gemv

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace descent::cpu::gemv {
const Kernels* avx512() { return processor().avx512 ? &kernels : nullptr; }
}  // namespace descent::cpu::gemv

#else

namespace descent::cpu::gemv {
const Kernels* avx512() { return nullptr; }
}  // namespace descent::cpu::gemv

#endif
