// What is multiplied, for each 32 queries: scores = q k^T, then result = p v. Keys that none of the queries sees are
// left out. Scores are used while they are in the first cache: storing into the second takes as long as all the rest.
#include "descent/backend/cpu/attention_tiles.h"

#include "descent/backend/cpu/processor.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <initializer_list>

#if defined(__clang__)
#pragma clang attribute push(                                                                          \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16,prfchw"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16,prfchw")
#endif

#include "descent/backend/cpu/attention_blocks.h"

namespace descent::cpu::attention_tiles {
namespace {

// Where everything lies in a thread's scratch.
struct Room : Taker {
  Room(const Head& head, std::byte* base) : Taker(base), features(padded(head.features)) {
    const int64_t outputs = padded(head.outputs), keys = padded(head.keys);
    scores = take<float>(square);
    q = take<uint16_t>(side * features);
    sums = take<float>(side * outputs);
    weights = take<uint32_t>(keys / side * pair);
    keys_across = panels(keys, features);
    values_along = panels(outputs, keys);
  }

  int64_t features;                  // padded
  Panels keys_across, values_along;  // k as in q k^T, v as in p v
  uint16_t* q;                       // of 32 queries
  float *scores, *sums;              // squares
  uint32_t* weights;                 // a left operand
};

// How many keys each of 32 queries sees; the first `everywhere` are seen by all. Places behind the last query see one.
struct Sight {
  alignas(64) int32_t keys[side];
  int64_t everywhere;

  Sight(const Head& head, int64_t query) {
    for (int64_t i = 0; i < side; i += 16)
      _mm512_store_si512(keys + i, _mm512_maskz_max_epi32(0xffff, visible_to(head, query + i), _mm512_set1_epi32(1)));
    everywhere = query + side <= head.queries ? keys[0] : 1;
  }
};

// Scores of a square that their queries do not see become those of no weight.
void hide(const Sight& sight, int64_t key, float* scores) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int64_t i = 0; i < side; ++i)
    for (int64_t beside = 0; beside < side; beside += 16) {
      const __m512i place = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int32_t>(key + beside)));
      const __mmask16 hidden = _mm512_cmple_epi32_mask(_mm512_set1_epi32(sight.keys[i]), place);
      _mm512_mask_store_ps(scores + i / 16 * 2 * block + beside * 16 + i % 16 * 16, hidden,
                           _mm512_set1_ps(-__builtin_inff()));
    }
}

// By query, the powers of 2 that scores are taken by, and the sums of their powers.
struct Weighing {
  alignas(64) float shifts[side];
  __m512 sums[side];  // not yet over lanes

  Weighing() {
    for (int64_t i = 0; i < side; ++i) shifts[i] = __builtin_inff(), sums[i] = _mm512_setzero_ps();
  }

  // No score of the square is larger than what is taken from it.
  void look(const float* scores, __m512 factor) {
    for (int64_t half = 0; half < side; half += 16, scores += 2 * block) {
      __m512 r[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i)
        r[i] = larger(_mm512_load_ps(scores + i * 16), _mm512_load_ps(scores + block + i * 16));
      const __m512 shift = _mm512_fnmadd_ps(join_lanes<larger>(r), factor, _mm512_setzero_ps());
      _mm512_store_ps(shifts + half, _mm512_min_ps(_mm512_load_ps(shifts + half), shift));
    }
  }

  // The weights of a square of scores, rounded and not yet divided by their sums.
  void add(const float* scores, __m512 factor, uint32_t* weights, Ahead& ahead) {
    const __m512i kept = _mm512_set1_epi32(static_cast<int>(0xffff0000));
    for (int64_t half = 0; half < side; half += 16, scores += 2 * block, weights += block)
#pragma GCC unroll 4
      for (int64_t i = 0; i < 16; ++i) {
        if (i % 4 == 0) ahead.step();
        const __m512 shift = _mm512_set1_ps(shifts[half + i]);
        const __m512 a = exp2_of(_mm512_fmadd_ps(_mm512_load_ps(scores + i * 16), factor, shift)),
                     b = exp2_of(_mm512_fmadd_ps(_mm512_load_ps(scores + block + i * 16), factor, shift));
        const __m512i low = _mm512_and_si512(rounded(a), kept), high = _mm512_and_si512(rounded(b), kept);
        const __m512 both = _mm512_add_ps(_mm512_castsi512_ps(low), _mm512_castsi512_ps(high));
        sums[half + i] = _mm512_add_ps(sums[half + i], both);
        _mm512_store_si512(weights + i * 16, _mm512_or_si512(_mm512_srli_epi32(low, 16), high));
      }
  }
};

// log2 of normal numbers, to 1.3e-5.
__m512 log2_of(__m512 x) {
  const __m512 t = _mm512_sub_ps(_mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src), _mm512_set1_ps(1.0f));
  __m512 y = _mm512_set1_ps(4.487361e-2f);
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(-1.9219564e-1f));
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(4.1363012e-1f));
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(-7.0799265e-1f));
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(1.4416846f));
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(1.2538745e-5f));
  return _mm512_add_ps(y, _mm512_getexp_ps(x));
}

// One over the sums, and their logarithms; false if a sum is too large, or no number.
bool sum_up(const Weighing& weighing, float* shares, float* logs, int64_t rows) {
  constexpr float most = 0x1p60f, log_2 = 0.693147181f;
  bool fits = true;
  for (int64_t half = 0; half < side; half += 16) {
    __m512 r[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) r[i] = weighing.sums[half + i];
    const __m512 sums = join_lanes<together>(r);
    fits &= _mm512_cmp_ps_mask(sums, _mm512_set1_ps(most), _CMP_LT_OQ) == 0xffff;
    _mm512_store_ps(shares + half, _mm512_div_ps(_mm512_set1_ps(1.0f), sums));
    const __m512 log = _mm512_sub_ps(log2_of(sums), _mm512_load_ps(weighing.shifts + half));
    _mm512_mask_storeu_ps(logs + half, first_lanes(rows - half), _mm512_mul_ps(log, _mm512_set1_ps(log_2)));
  }
  return fits;
}

// 32 queries, and the keys that some of them see.
struct Queries {
  Left q;
  Sight sight;
  int64_t rows, keys;
};

// Scores of 32 keys, a square.
const float* make_scores(const Room& room, Products& products, const Queries& queries, int64_t key) {
  products.multiply<false>(queries.q, room.keys_across.at(key / side, 0), room.features / depth, room.scores);
  products.finish();
  if (key + side > queries.sight.everywhere) hide(queries.sight, key, room.scores);
  return room.scores;
}

// The weights of 32 queries. Powers are taken of how far scores are above the largest among the first keys, which all
// queries see some of. Should others be so much larger that sums leave the range, then of how far they are above the
// largest of all.
void weigh(const Room& room, Products& products, Ahead& ahead, const Queries& queries, __m512 factor, float* shares,
           float* logs) {
  for (const bool whole : {false, true}) {
    Weighing weighing;
    for (int64_t key = 0; whole && key < queries.keys; key += side)
      weighing.look(make_scores(room, products, queries, key), factor);
    for (int64_t key = 0; key < queries.keys; key += side) {
      const float* scores = make_scores(room, products, queries, key);
      if (!whole && key == 0) weighing.look(scores, factor);
      weighing.add(scores, factor, room.weights + key / side * pair, ahead);
    }
    if (sum_up(weighing, shares, logs, queries.rows)) return;
  }
}

}  // namespace

bool available() { return processor().amx_bf16 && processor().avx512 && processor().avx512_bf16; }

size_t forward_bytes(const Head& head) { return Room(head, nullptr).bytes; }

void begin() { _tile_loadconfig(&tile_config); }
void end() { _tile_release(); }

void forward(const Head& head, const Operands& in, const Operands* next, uint16_t* out, int64_t pitch, float* logs,
             std::byte* scratch) {
  const Room room(head, scratch);
  lay_columns(in.k, head.keys, head.features, room.keys_across);
  lay_rows(in.v, head.keys, head.outputs, room.values_along);
  const __m512 factor = _mm512_set1_ps(scale_of(head) * log2_e);
  Products products;
  Ahead ahead(head, next, 8);
  for (int64_t query = 0; query < head.queries; query += side) {
    const int64_t keys = keys_of(head, query), rows = min(side, head.queries - query);
    const Queries queries{left_rows(behind(in.q, query), rows, head.features, room.q), Sight(head, query), rows, keys};
    fetch_rows<true>(out + query * pitch, pitch, rows, head.outputs);
    alignas(64) float shares[side];
    weigh(room, products, ahead, queries, factor, shares, logs + query);
    for (int64_t i = 0; i < head.outputs; i += side)
      products.multiply<false>(blocks_of(room.weights), room.values_along.at(i / side, 0), keys / depth,
                               room.sums + i * side);
    products.finish();
    store_rows(room.sums, 1, shares, rows, head.outputs, out + query * pitch, pitch);
  }
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
size_t forward_bytes(const Head&) { return 0; }
void begin() {}
void end() {}
void forward(const Head&, const Operands&, const Operands*, uint16_t*, int64_t, float*, std::byte*) {}
}  // namespace descent::cpu::attention_tiles
#endif
