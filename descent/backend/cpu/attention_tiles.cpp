// What is multiplied, for each 32 queries: scores = q k^T, then result = p v. In the gradient everything stands across,
// a row for each key and a lane for each query, so that sums over keys are sums of rows: scores = k q^T, dp = v g^T, and
// with ds = p (dp - <dp, p>) / sqrt(features): dq^T = k^T ds, and when all p and ds of some hundred queries are there,
// dv += p g and dk += ds q. Keys that none of the queries sees are left out.
#include "descent/backend/cpu/attention_tiles.h"

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

namespace descent::cpu::attention_tiles {
namespace {

constexpr int64_t side = 32;                   // of what is multiplied at a time: queries, keys, features
constexpr int64_t pair = 2 * block;            // units of two blocks side by side
constexpr int64_t strip_elements = 128 << 10;  // weights that are kept until they are multiplied, at most

int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t padded(int64_t size) { return (size + side - 1) / side * side; }

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

Left rows_of(const uint16_t* data, int64_t pitch) {
  return {reinterpret_cast<const std::byte*>(data), pitch * 2, pitch * 32, 64};
}
Left blocks_of(const uint32_t* data) { return {reinterpret_cast<const std::byte*>(data), 64, block * 4, pair * 4}; }

void pack(const Source& from, const Panels& to) {
  for (int64_t line = 0; line < from.lines; line += side)
    for (int64_t k = 0; k < from.k; k += depth) {
      uint32_t* at = to.at(line / side, k / depth);
      copy_block<true>(from, line, k, at);
      copy_block<true>(from, line + 16, k, at + block);
    }
}

// Rows as they are, and as many features; zeros around them.
void copy_rows(const Rows& from, int64_t rows, int64_t features, uint16_t* to, int64_t pitch) {
  for (int64_t r = 0; r < side; ++r)
    for (int64_t i = 0; i < pitch; i += 32) {
      const int64_t left = r < rows ? features - i : 0;
      const __mmask32 lanes = left >= 32 ? 0xffffffffu : left <= 0 ? 0u : (uint32_t{1} << left) - 1;
      _mm512_store_si512(to + r * pitch + i, _mm512_maskz_loadu_epi16(lanes, from.data + r * from.pitch + i));
    }
}

template <bool more, int sum>
void begin_sum(const float* c, int64_t pitch) {
  if constexpr (more)
    load_tile<sum>(c + sum / 2 * 16 * pitch + sum % 2 * 16, pitch * 4);
  else
    clear_tile<sum>();
}

// Brings rows into the cache, to be written or read.
template <bool to_write>
void fetch_rows(const uint16_t* data, int64_t pitch, int64_t rows, int64_t features) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < features; i += 32)
      __builtin_prefetch(data + r * pitch + i, to_write ? 1 : 0, to_write ? 3 : 2);
}

// What belongs to these queries' places in the next head; its keys are as many, or more.
void fetch_next(const Head& head, const Operands* next, int64_t query) {
  if (next == nullptr) return;
  const int64_t rows = min(side, head.queries - query);
  for (const Rows* each : {&next->q, &next->k, &next->v, &next->g})
    if (each->data != nullptr) fetch_rows<false>(each->data + query * each->pitch, each->pitch, rows, head.features);
}

// c (32 x 32, a row `pitch` elements) = left times a panel, `count` blocks along k; with `more`, added to what is
// there.
template <bool more>
void product(Left left, const uint32_t* panel, int64_t count, float* c, int64_t pitch) {
  begin_sum<more, 0>(c, pitch);
  begin_sum<more, 1>(c, pitch);
  begin_sum<more, 2>(c, pitch);
  begin_sum<more, 3>(c, pitch);
  for (int64_t i = 0; i < count; ++i, panel += pair, left.data += left.step) {
    _tile_loadd(6, panel, 64);
    _tile_loadd(4, left.data, left.pitch);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, panel + block, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, left.data + left.lower, left.pitch);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  store_tile<0>(c, pitch * 4);
  store_tile<1>(c + 16, pitch * 4);
  store_tile<2>(c + 16 * pitch, pitch * 4);
  store_tile<3>(c + 16 * pitch + 16, pitch * 4);
}

// --- weights ---

constexpr float log2_e = 1.44269504f;

// 2^x for x <= 0, to 3e-6 of itself: what is left of a whole number goes into a polynomial.
__m512 exp2_of(__m512 x) {
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, whole);
  __m512 y = _mm512_set1_ps(1.3333558e-3f);
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(9.6181291e-3f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(5.5504109e-2f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(2.4022651e-1f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(6.9314718e-1f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(y, whole);
}

float largest_of(const float* row, int64_t count) {
  const __m512 least = _mm512_set1_ps(-__builtin_inff());
  __m512 largest = least;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) largest = _mm512_max_ps(largest, _mm512_loadu_ps(row + i));
  if (i < count) largest = _mm512_mask_max_ps(largest, first_lanes(count - i), largest, _mm512_loadu_ps(row + i));
  return _mm512_reduce_max_ps(largest);
}

void store_rounded(uint16_t* to, __m512 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}

void store_zeros(uint16_t* to, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_setzero_si256());
}

int64_t whole_vectors(int64_t count) { return (count + 15) / 16 * 16; }

// The weights of a row of scores, of which `seen` count, rounded and not yet divided by their sum, which is returned.
float weigh(const float* scores, int64_t seen, int64_t width, float scale, uint16_t* to) {
  const __m512 factor = _mm512_set1_ps(scale), shift = _mm512_set1_ps(-scale * largest_of(scores, seen));
  __m512 sum = _mm512_setzero_ps();
  int64_t i = 0;
  for (; i + 16 <= seen; i += 16) {
    const __m512 x = exp2_of(_mm512_fmadd_ps(_mm512_loadu_ps(scores + i), factor, shift));
    sum = _mm512_add_ps(sum, x);
    store_rounded(to + i, x);
  }
  if (i < seen) {
    const __m512 all = exp2_of(_mm512_fmadd_ps(_mm512_loadu_ps(scores + i), factor, shift));
    const __m512 x = _mm512_maskz_mov_ps(first_lanes(seen - i), all);
    sum = _mm512_add_ps(sum, x);
    store_rounded(to + i, x);
  }
  store_zeros(to, whole_vectors(seen), width);
  return _mm512_reduce_add_ps(sum);
}

// Rows of sums, times a factor each (null: one), rounded.
void store_rows(const float* sums, int64_t pitch, const float* factors, int64_t rows, int64_t width, uint16_t* to,
                int64_t to_pitch) {
  for (int64_t r = 0; r < rows; ++r) {
    const __m512 factor = _mm512_set1_ps(factors ? factors[r] : 1.0f);
    for (int64_t i = 0; i < width; i += 16) {
      const __m512 x = _mm512_mul_ps(_mm512_loadu_ps(sums + r * pitch + i), factor);
      _mm256_mask_storeu_epi16(to + r * to_pitch + i, first_lanes(width - i),
                               reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
    }
  }
}

// --- one head ---

// Where everything lies in a thread's scratch.
struct Room {
  int64_t features, outputs, keys;  // padded
  int64_t strip, weights_pitch, scores_pitch;
  Panels keys_across, values_along;        // forward: k as in q k^T, v as in p v
  Panels queries_across, slopes_across;    // gradient, of 32 queries: q as in k q^T, g as in v g^T
  Panels queries_along, cotangents_along;  // q as in ds q, g as in p g
  Panels weighed;                          // ds of 32 queries as in k^T ds
  uint16_t *q, *p, *k, *v;
  float *scores, *dp, *sums, *dk, *dv;
  uint32_t *shares, *slopes, *keys_turned;  // left operands: p and ds of the strip, and k^T
  size_t bytes = 0;

  Room(const Head& head, bool gradient, std::byte* base) : base_(base) {
    features = padded(head.features);
    outputs = padded(head.outputs);
    keys = padded(head.keys);
    gradient ? make_gradient(head) : make_forward();
  }

  // The block pair of 32 keys and 32 queries of the strip.
  int64_t pair_at(int64_t key, int64_t query) const { return (key / side * (strip / side) + query / side) * pair; }

 private:
  void make_forward() {
    // Pitches are no powers of two, or the rows' lines would all be in few places of the first cache.
    weights_pitch = keys + 32;
    scores_pitch = keys + 16;
    keys_across = panels(keys, features);
    values_along = panels(outputs, keys);
    q = take<uint16_t>(side * features);
    scores = take<float>(side * scores_pitch);
    p = take<uint16_t>(side * weights_pitch);
    sums = take<float>(side * outputs);
  }
  void make_gradient(const Head& head) {
    strip = min(padded(head.queries), padded(strip_elements / keys + 1));
    k = take<uint16_t>(keys * features);
    v = take<uint16_t>(keys * outputs);
    keys_turned = take<uint32_t>(features / side * (keys / depth) * pair);
    queries_across = panels(side, features);
    slopes_across = panels(side, outputs);
    queries_along = panels(features, strip);
    cotangents_along = panels(outputs, strip);
    weighed = panels(side, keys);
    scores = take<float>(keys * side);
    dp = take<float>(keys * side);
    sums = take<float>(side * side);
    shares = take<uint32_t>(keys / side * (strip / side) * pair);
    slopes = take<uint32_t>(keys / side * (strip / side) * pair);
    dk = take<float>(keys * features);
    dv = take<float>(keys * outputs);
  }

  template <class T>
  T* take(int64_t count) {
    T* at = reinterpret_cast<T*>(base_ + bytes);
    bytes += (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return at;
  }
  Panels panels(int64_t columns, int64_t along) {
    return {take<uint32_t>(columns / side * (along / depth) * pair), along / depth};
  }

  std::byte* base_;
};

float scale_of(const Head& head) { return 1.0f / __builtin_sqrtf(static_cast<float>(head.features)); }

Source across(const Rows& rows, int64_t count, int64_t features) { return {rows.data, rows.pitch, 1, count, features}; }
Source along(const Rows& rows, int64_t count, int64_t features) { return {rows.data, 1, rows.pitch, features, count}; }
Rows behind(const Rows& rows, int64_t first) { return {rows.data + first * rows.pitch, rows.pitch}; }

// Scores or the like of 32 queries and the first `keys` keys.
void multiply_keys(const uint16_t* left, int64_t features, const Panels& right, int64_t keys, float* to,
                   int64_t pitch) {
  for (int64_t key = 0; key < keys; key += side)
    product<false>(rows_of(left, features), right.at(key / side, 0), features / depth, to + key, pitch);
}

// 32 rows of weights times what the keys have.
void multiply_weights(const uint16_t* weights, int64_t pitch, const Panels& right, int64_t keys, float* to,
                      int64_t width) {
  for (int64_t i = 0; i < width; i += side)
    product<false>(rows_of(weights, pitch), right.at(i / side, 0), keys / depth, to + i, width);
}

// How many keys, in whole blocks, some of 32 queries see.
int64_t keys_of(const Head& head, int64_t query) { return padded(head.visible(min(query + side, head.queries) - 1)); }

// --- weights in the gradient: a row for each key, 32 lanes of queries ---

// How many keys each of the 32 queries sees; the first `everywhere` are seen by all.
struct Sight {
  __m512i keys[2];
  int64_t everywhere;

  Sight(const Head& head, int64_t query) {
    alignas(64) int32_t counts[side];
    for (int64_t i = 0; i < side; ++i) counts[i] = static_cast<int32_t>(head.visible(query + i));
    for (int i = 0; i < 2; ++i) keys[i] = _mm512_load_si512(counts + 16 * i);
    everywhere = query + side <= head.queries ? head.visible(query) : 0;
  }
  __mmask16 lanes(int half, int64_t key) const {
    if (key < everywhere) return 0xffff;
    return _mm512_cmpgt_epi32_mask(keys[half], _mm512_set1_epi32(static_cast<int32_t>(key)));
  }
};

// The powers of scores, in their place, and by query: one over their sum, and the mean of dp, both times the scale.
struct Weights {
  __m512 share[2], size[2], mean[2];
};

Weights weigh_across(const Sight& sight, int64_t keys, float scale, float* scores, const float* dp) {
  __m512 largest[2], sum[2], dot[2];
  for (int half = 0; half < 2; ++half) {
    largest[half] = _mm512_set1_ps(-__builtin_inff());
    sum[half] = dot[half] = _mm512_setzero_ps();
  }
  for (int64_t key = 0; key < keys; ++key)
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half)
      largest[half] = _mm512_mask_max_ps(largest[half], sight.lanes(half, key), largest[half],
                                         _mm512_load_ps(scores + key * side + 16 * half));
  const __m512 factor = _mm512_set1_ps(scale * log2_e);
  for (int half = 0; half < 2; ++half) largest[half] = _mm512_mul_ps(largest[half], factor);
  for (int64_t key = 0; key < keys; ++key)
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      float* at = scores + key * side + 16 * half;
      const __mmask16 seen = sight.lanes(half, key);
      const __m512 x = _mm512_maskz_mov_ps(seen, exp2_of(_mm512_fmsub_ps(_mm512_load_ps(at), factor, largest[half])));
      sum[half] = _mm512_add_ps(sum[half], x);
      dot[half] = _mm512_fmadd_ps(x, _mm512_maskz_load_ps(seen, dp + key * side + 16 * half), dot[half]);
      _mm512_store_ps(at, x);
    }
  Weights out;
  for (int half = 0; half < 2; ++half) {
    const __mmask16 some = _mm512_cmp_ps_mask(sum[half], _mm512_setzero_ps(), _CMP_GT_OQ);
    out.share[half] = _mm512_maskz_div_ps(some, _mm512_set1_ps(1.0f), sum[half]);
    out.size[half] = _mm512_mul_ps(out.share[half], _mm512_set1_ps(scale));
    out.mean[half] = _mm512_mul_ps(_mm512_mul_ps(dot[half], out.share[half]), out.size[half]);
  }
  return out;
}

__m512i rounded_pair(__m512 low, __m512 high) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)); }

// p and ds of two neighbouring keys: each as a row of its left operand, and ds in units as well.
void store_weights(const Sight& sight, const Weights& weights, int64_t key, const float* powers, const float* dp,
                   uint32_t* shares, uint32_t* slopes, uint32_t* units) {
  __m512 ds[2][2];
  for (int next = 0; next < 2; ++next) {
    const int64_t row = (key + next) * side;
    __m512 p[2];
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const __m512 x = _mm512_load_ps(powers + row + 16 * half);
      const __m512 slope = _mm512_fmsub_ps(_mm512_load_ps(dp + row + 16 * half), weights.size[half], weights.mean[half]);
      p[half] = _mm512_mul_ps(x, weights.share[half]);
      ds[next][half] = _mm512_maskz_mul_ps(sight.lanes(half, key + next), x, slope);
    }
    _mm512_store_si512(shares + 16 * next, rounded_pair(p[0], p[1]));
    _mm512_store_si512(slopes + 16 * next, rounded_pair(ds[next][0], ds[next][1]));
  }
  alignas(64) static constexpr uint16_t in_turns[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i order = _mm512_load_si512(in_turns);
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half)
    _mm512_store_si512(units + half * block, _mm512_permutexvar_epi16(order, rounded_pair(ds[0][half], ds[1][half])));
}

// 32 rows of sums for 32 queries, as columns of what each query has from feature `first` on.
void store_across(const float* sums, int64_t rows, int64_t width, uint16_t* to, int64_t to_pitch) {
  for (int64_t i = 0; i < side && i < width; i += 16)
    for (int64_t query = 0; query < rows; query += 16) {
      __m512i r[16];
#pragma GCC unroll 16
      for (int64_t j = 0; j < 16; ++j) r[j] = _mm512_load_si512(sums + (i + j) * side + query);
      transpose_units(r);
      const __mmask16 lanes = first_lanes(width - i);
#pragma GCC unroll 16
      for (int64_t j = 0; j < 16; ++j)
        if (query + j < rows)
          _mm256_mask_storeu_epi16(to + (query + j) * to_pitch + i, lanes,
                                   reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_castsi512_ps(r[j]))));
    }
}

// --- the gradient of one head ---

// k and v as left operands.
void turn_keys(const Head& head, const Room& room, const Operands& in) {
  for (int64_t key = 0; key < room.keys; key += side) {
    const int64_t rows = min(side, head.keys - key);
    copy_rows(behind(in.k, key), rows, head.features, room.k + key * room.features, room.features);
    copy_rows(behind(in.v, key), rows, head.outputs, room.v + key * room.outputs, room.outputs);
  }
  const Source source = along(in.k, head.keys, head.features);
  for (int64_t i = 0; i < room.features; i += side)
    for (int64_t key = 0; key < room.keys; key += depth) {
      uint32_t* at = room.keys_turned + (i / side * (room.keys / depth) + key / depth) * pair;
      copy_block<false>(source, i, key, at);
      copy_block<false>(source, i + 16, key, at + block);
    }
}

// Some rows' products with a panel of 32 queries.
void multiply_rows(const uint16_t* rows, int64_t width, const Panels& right, int64_t count, float* to) {
  for (int64_t row = 0; row < count; row += side)
    product<false>(rows_of(rows + row * width, width), right.at(0, 0), width / depth, to + row * side, side);
}

// Weights and ds of 32 queries, and dq.
void queries_back(const Head& head, const Room& room, const Operands& in, const Operands* next, int64_t strip,
                  int64_t query, const Gradients& to) {
  const int64_t keys = keys_of(head, query), rows = min(side, head.queries - query);
  pack(across(behind(in.q, query), rows, head.features), room.queries_across);
  pack(across(behind(in.g, query), rows, head.outputs), room.slopes_across);
  fetch_next(head, next, query);
  for (uint16_t* out : {to.q, to.k, to.v}) fetch_rows<true>(out + query * to.pitch, to.pitch, rows, head.features);
  multiply_rows(room.k, room.features, room.queries_across, keys, room.scores);
  multiply_rows(room.v, room.outputs, room.slopes_across, keys, room.dp);
  const Sight sight(head, query);
  const Weights weights = weigh_across(sight, keys, scale_of(head), room.scores, room.dp);
  for (int64_t key = 0; key < keys; key += 2) {
    const int64_t at = room.pair_at(key, query - strip) + key % side * 16;
    store_weights(sight, weights, key, room.scores, room.dp, room.shares + at, room.slopes + at,
                  room.weighed.at(0, key / depth) + key % depth / 2 * 16);
  }
  for (int64_t i = 0; i < head.features; i += side) {
    product<false>(blocks_of(room.keys_turned + i / side * (room.keys / depth) * pair), room.weighed.at(0, 0),
                   keys / depth, room.sums, side);
    store_across(room.sums, rows, head.features - i, to.q + query * to.pitch + i, to.pitch);
  }
}

// weights times the queries' rows, for 32 keys, added to `to`; the weights of the first `skipped` queries are none.
void add_keys(const Room& room, const uint32_t* weights, int64_t key, int64_t skipped, int64_t queries,
              const Panels& right, bool more, float* to, int64_t width) {
  const int64_t count = (queries - skipped) / depth;
  for (int64_t i = 0; i < width; i += side)
    (more ? product<true> : product<false>)(blocks_of(weights + room.pair_at(key, skipped)),
                                            right.at(i / side, skipped / depth), count, to + key * width + i, width);
}

}  // namespace

bool available() { return processor().amx_bf16 && processor().avx512 && processor().avx512_bf16; }

size_t scratch_bytes(const Head& head, bool gradient) { return Room(head, gradient, nullptr).bytes; }

void begin() { _tile_loadconfig(&tile_config); }
void end() { _tile_release(); }

void forward(const Head& head, const Operands& in, const Operands* next, uint16_t* out, int64_t pitch,
             std::byte* scratch) {
  const Room room(head, false, scratch);
  pack(across(in.k, head.keys, head.features), room.keys_across);
  pack(along(in.v, head.keys, head.outputs), room.values_along);
  for (int64_t query = 0; query < head.queries; query += side) {
    const int64_t keys = keys_of(head, query), rows = min(side, head.queries - query);
    copy_rows(behind(in.q, query), rows, head.features, room.q, room.features);
    fetch_next(head, next, query);
    fetch_rows<true>(out + query * pitch, pitch, rows, head.outputs);
    multiply_keys(room.q, room.features, room.keys_across, keys, room.scores, room.scores_pitch);
    float shares[side];
    for (int64_t r = 0; r < side; ++r) {
      const float sum = weigh(room.scores + r * room.scores_pitch, head.visible(query + r), keys,
                              scale_of(head) * log2_e, room.p + r * room.weights_pitch);
      shares[r] = 1.0f / sum;
    }
    multiply_weights(room.p, room.weights_pitch, room.values_along, keys, room.sums, room.outputs);
    store_rows(room.sums, room.outputs, shares, rows, head.outputs, out + query * pitch, pitch);
  }
}

void gradient(const Head& head, const Operands& in, const Operands* next, const Gradients& to, std::byte* scratch) {
  const Room room(head, true, scratch);
  turn_keys(head, room, in);
  for (int64_t strip = 0; strip < head.queries; strip += room.strip) {
    const int64_t queries = min(room.strip, head.queries - strip), whole = padded(queries);
    for (int64_t i = 0; i < queries; i += side) queries_back(head, room, in, next, strip, strip + i, to);
    pack(along(behind(in.q, strip), queries, head.features), room.queries_along);
    pack(along(behind(in.g, strip), queries, head.outputs), room.cotangents_along);
    for (int64_t key = 0; key < room.keys; key += side) {
      int64_t skipped = 0;
      while (skipped < whole && keys_of(head, strip + skipped) <= key) skipped += side;
      add_keys(room, room.slopes, key, skipped, whole, room.queries_along, strip > 0, room.dk, room.features);
      add_keys(room, room.shares, key, skipped, whole, room.cotangents_along, strip > 0, room.dv, room.outputs);
    }
  }
  store_rows(room.dk, room.features, nullptr, head.keys, head.features, to.k, to.pitch);
  store_rows(room.dv, room.outputs, nullptr, head.keys, head.outputs, to.v, to.pitch);
}

}  // namespace descent::cpu::attention_tiles

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
namespace descent::cpu::attention_tiles {
bool available() { return false; }
size_t scratch_bytes(const Head&, bool) { return 0; }
void begin() {}
void end() {}
void forward(const Head&, const Operands&, const Operands*, uint16_t*, int64_t, std::byte*) {}
void gradient(const Head&, const Operands&, const Operands*, const Gradients&, std::byte*) {}
}  // namespace descent::cpu::attention_tiles
#endif
