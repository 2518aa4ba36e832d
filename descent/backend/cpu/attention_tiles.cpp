// What is multiplied, for each 32 queries: scores = q k^T, then result = p v; in the gradient dp = g v^T, and with
// ds = p (dp - <dp, p>) / sqrt(features): dq = ds k, and when all p and ds of some hundred queries are there, dv += p^T
// g and dk += ds^T q. Keys that none of the queries sees are left out.
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

// The same in the gradient, and ds: from a row's scores, which are overwritten, and its dp.
float weigh_back(float* scores, const float* dp, int64_t seen, int64_t width, float scale, uint16_t* p, uint16_t* ds) {
  const float log2_scale = scale * log2_e;
  const __m512 factor = _mm512_set1_ps(log2_scale), shift = _mm512_set1_ps(-log2_scale * largest_of(scores, seen));
  __m512 sum = _mm512_setzero_ps(), dot = _mm512_setzero_ps();
  for (int64_t i = 0; i < seen; i += 16) {
    __m512 x = exp2_of(_mm512_fmadd_ps(_mm512_loadu_ps(scores + i), factor, shift));
    __m512 slope = _mm512_loadu_ps(dp + i);
    if (i + 16 > seen) {
      x = _mm512_maskz_mov_ps(first_lanes(seen - i), x);
      slope = _mm512_maskz_mov_ps(first_lanes(seen - i), slope);
    }
    sum = _mm512_add_ps(sum, x);
    dot = _mm512_fmadd_ps(x, slope, dot);
    _mm512_storeu_ps(scores + i, x);
    store_rounded(p + i, x);
  }
  const float total = seen == 0 ? 1.0f : _mm512_reduce_add_ps(sum), each = scale / total;
  const __m512 size = _mm512_set1_ps(each), mean = _mm512_set1_ps(_mm512_reduce_add_ps(dot) / total * each);
  for (int64_t i = 0; i < seen; i += 16) {
    __m512 slope = _mm512_fmsub_ps(_mm512_loadu_ps(dp + i), size, mean);
    if (i + 16 > seen) slope = _mm512_maskz_mov_ps(first_lanes(seen - i), slope);
    store_rounded(ds + i, _mm512_mul_ps(_mm512_loadu_ps(scores + i), slope));
  }
  store_zeros(p, whole_vectors(seen), width);
  store_zeros(ds, whole_vectors(seen), width);
  return total;
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
  Panels keys_across, values_along;        // k as in q k^T, v as in p v
  Panels values_across, keys_along;        // for the gradient: v as in g v^T, k as in ds k
  Panels queries_along, cotangents_along;  // q as in ds^T q, g as in p^T g
  uint16_t *q, *g, *p, *ds, *shares;       // shares: the cotangents that are multiplied with p
  float *scores, *dp, *sums, *dk, *dv;
  uint32_t* turned;  // 32 keys of p or ds, as a left operand
  size_t bytes = 0;

  Room(const Head& head, bool gradient, std::byte* base) : base_(base) {
    features = padded(head.features);
    outputs = padded(head.outputs);
    keys = padded(head.keys);
    // Pitches are no powers of two, or the rows' lines would all be in few places of the first cache.
    weights_pitch = keys + 32;
    scores_pitch = keys + 16;
    strip = gradient ? min(padded(head.queries), padded(strip_elements / keys + 1)) : side;
    keys_across = panels(keys, features);
    q = take<uint16_t>(side * features);
    scores = take<float>(side * scores_pitch);
    p = take<uint16_t>(strip * weights_pitch);
    sums = take<float>(side * (features > outputs ? features : outputs));
    if (!gradient) {
      values_along = panels(outputs, keys);
      return;
    }
    values_across = panels(keys, outputs);
    keys_along = panels(features, keys);
    queries_along = panels(features, strip);
    cotangents_along = panels(outputs, strip);
    g = take<uint16_t>(side * outputs);
    ds = take<uint16_t>(strip * weights_pitch);
    shares = take<uint16_t>(strip * outputs);
    dp = take<float>(side * scores_pitch);
    dk = take<float>(keys * features);
    dv = take<float>(keys * outputs);
    turned = take<uint32_t>(strip / depth * pair);
  }

 private:
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

// A row of cotangents over the sum of its weights, which are not divided by it.
void divide_row(const uint16_t* row, float by, int64_t count, uint16_t* to) {
  const __m512 factor = _mm512_set1_ps(1.0f / by);
  for (int64_t i = 0; i < count; i += 16) {
    const __m512i bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + i)));
    store_rounded(to + i, _mm512_mul_ps(_mm512_castsi512_ps(_mm512_slli_epi32(bits, 16)), factor));
  }
}

// How many keys, in whole blocks, some of 32 queries see.
int64_t keys_of(const Head& head, int64_t query) { return padded(head.visible(min(query + side, head.queries) - 1)); }

// The gradient's first half: weights and ds of some queries, and dq.
void queries_back(const Head& head, const Room& room, const Operands& in, const Operands* next, int64_t strip,
                  int64_t query, const Gradients& to) {
  const int64_t keys = keys_of(head, query), rows = min(side, head.queries - query);
  copy_rows(behind(in.q, query), rows, head.features, room.q, room.features);
  copy_rows(behind(in.g, query), rows, head.outputs, room.g, room.outputs);
  fetch_next(head, next, query);
  for (uint16_t* out : {to.q, to.k, to.v}) fetch_rows<true>(out + query * to.pitch, to.pitch, rows, head.features);
  multiply_keys(room.q, room.features, room.keys_across, keys, room.scores, room.scores_pitch);
  multiply_keys(room.g, room.outputs, room.values_across, keys, room.dp, room.scores_pitch);
  uint16_t *p = room.p + (query - strip) * room.weights_pitch, *ds = room.ds + (query - strip) * room.weights_pitch;
  for (int64_t r = 0; r < side; ++r) {
    const float total =
        weigh_back(room.scores + r * room.scores_pitch, room.dp + r * room.scores_pitch, head.visible(query + r), keys,
                   scale_of(head), p + r * room.weights_pitch, ds + r * room.weights_pitch);
    divide_row(room.g + r * room.outputs, total, room.outputs, room.shares + (query - strip + r) * room.outputs);
  }
  multiply_weights(ds, room.weights_pitch, room.keys_along, keys, room.sums, room.features);
  store_rows(room.sums, room.features, nullptr, rows, head.features, to.q + query * to.pitch, to.pitch);
}

// weights^T times the queries' rows, for 32 keys, added to `to`; the weights of the first `skipped` queries are none.
void add_keys(const Room& room, const uint16_t* weights, int64_t key, int64_t skipped, int64_t queries,
              const Panels& right, bool more, float* to, int64_t width) {
  const Source source{weights, 1, room.weights_pitch, room.keys, queries};
  for (int64_t query = skipped; query < queries; query += depth) {
    uint32_t* at = room.turned + query / depth * pair;
    copy_block<false>(source, key, query, at);
    copy_block<false>(source, key + 16, query, at + block);
  }
  const int64_t first = skipped / depth, count = (queries - skipped) / depth;
  for (int64_t i = 0; i < width; i += side)
    (more ? product<true> : product<false>)(blocks_of(room.turned + first * pair), right.at(i / side, first), count,
                                            to + key * width + i, width);
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
  pack(across(in.k, head.keys, head.features), room.keys_across);
  pack(across(in.v, head.keys, head.outputs), room.values_across);
  pack(along(in.k, head.keys, head.features), room.keys_along);
  for (int64_t strip = 0; strip < head.queries; strip += room.strip) {
    const int64_t queries = min(room.strip, head.queries - strip), whole = padded(queries);
    for (int64_t i = 0; i < queries; i += side) queries_back(head, room, in, next, strip, strip + i, to);
    pack(along(behind(in.q, strip), queries, head.features), room.queries_along);
    pack(along({room.shares, room.outputs}, queries, room.outputs), room.cotangents_along);
    for (int64_t key = 0; key < room.keys; key += side) {
      int64_t skipped = 0;
      while (skipped < whole && keys_of(head, strip + skipped) <= key) skipped += side;
      add_keys(room, room.ds, key, skipped, whole, room.queries_along, strip > 0, room.dk, room.features);
      add_keys(room, room.p, key, skipped, whole, room.cotangents_along, strip > 0, room.dv, room.outputs);
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
