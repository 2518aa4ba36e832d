// Everything stands across, a row for each key and a lane for each query. What is multiplied, for 32 keys and 32
// queries at a time: scores = k q^T, dp = v g^T, and with p = 2^(scores - logs) and ds = p (dp - <g, o>): for each
// 32 keys dv = p g and dk = ds q; and when all ds are there, dq^T = k^T ds. What these 32 keys need stays in the first
// cache: storing into the second takes as long as all the rest.
#include "descent/backend/cpu/attention_tiles.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

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

constexpr int64_t strip_elements = 128 << 10;  // ds that are kept until they are multiplied with keys, at most
constexpr int64_t group = 8 * side;            // queries whose weights for 32 keys are multiplied at a time

// Where everything lies in a thread's scratch.
struct Room : Taker {
  Room(const Head& head, std::byte* base)
      : Taker(base), features(padded(head.features)), outputs(padded(head.outputs)), keys(padded(head.keys)) {
    strip = min(padded(head.queries), padded(strip_elements / keys + 1));
    const int64_t queries = padded(head.queries), kept = strip < queries ? keys : side;
    logs = take<float>(queries);
    means = take<float>(queries);
    scores = take<float>(square);
    dp = take<float>(square);
    shares = take<uint32_t>(group / side * pair);
    slopes = take<uint32_t>(group / side * pair);
    k = take<uint16_t>(side * features);
    v = take<uint16_t>(side * outputs);
    dk = take<float>(kept * features);
    dv = take<float>(kept * outputs);
    sums = take<float>(side * features);
    keys_turned = take<uint32_t>(features / side * (keys / depth) * pair);
    queries_across = panels(strip, features);
    cotangents_across = panels(strip, outputs);
    queries_along = panels(features, strip);
    cotangents_along = panels(outputs, strip);
    weighed = panels(strip, keys);
  }

  int64_t features, outputs, keys;  // padded
  int64_t strip;
  float *logs, *means;                       // by query: to base 2; <g, o>
  float *scores, *dp, *dk, *dv, *sums;       // squares
  uint32_t *shares, *slopes;                 // left operands, of 32 keys: p and ds
  uint16_t *k, *v;                           // of 32 keys
  uint32_t* keys_turned;                     // a left operand
  Panels queries_across, cotangents_across;  // of the strip: q as in k q^T, g as in v g^T
  Panels queries_along, cotangents_along;    // q as in ds q, g as in p g
  Panels weighed;                            // ds as in k^T ds
};

// --- weights: a row for each key, 32 lanes of queries ---

// How many keys each of 32 queries sees; the first `everywhere` are seen by all.
struct Sight {
  __m512i keys[2];
  int64_t everywhere;

  Sight(const Head& head, int64_t query) {
    for (int i = 0; i < 2; ++i) keys[i] = visible_to(head, query + 16 * i);
    everywhere = query + side <= head.queries ? head.visible(query) : 0;
  }
  __mmask16 lanes(int half, int64_t key) const {
    return _mm512_cmpgt_epi32_mask(keys[half], _mm512_set1_epi32(static_cast<int32_t>(key)));
  }
};

// What belongs to 32 queries.
struct Lanes {
  __m512 logs[2], means[2];

  Lanes(const Room& room, int64_t query) {
    for (int half = 0; half < 2; ++half) {
      logs[half] = _mm512_load_ps(room.logs + query + 16 * half);
      means[half] = _mm512_load_ps(room.means + query + 16 * half);
    }
  }
};

// p and ds of 32 keys and queries: as rows of left operands, and ds in units as well. With `all`, every query sees
// every key.
template <bool all>
void weigh(const float* scores, const float* dp, const Sight& sight, const Lanes& lanes, int64_t key, __m512 factor,
           uint32_t* shares, uint32_t* slopes, uint32_t* units, Ahead& ahead) {
  for (int64_t i = 0; i < block; i += 16) {
    if (i % 128 == 0) ahead.step();
    __m512i ds[2][2];
#pragma GCC unroll 2
    for (int upper = 0; upper < 2; ++upper) {
      __m512i p[2];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const int64_t at = (2 * upper + half) * block + i;
        __m512 x = exp2_of<false>(_mm512_fmsub_ps(_mm512_load_ps(scores + at), factor, lanes.logs[half]), 0xffff);
        const __m512 slope = _mm512_sub_ps(_mm512_load_ps(dp + at), lanes.means[half]);
        __m512 y = _mm512_mul_ps(x, slope);
        if constexpr (!all) {
          const __mmask16 seen = sight.lanes(half, key + upper * 16 + i / 16);
          x = _mm512_maskz_mov_ps(seen, x);
          y = _mm512_maskz_mov_ps(seen, y);
        }
        p[half] = rounded(x);
        ds[upper][half] = rounded(y);
      }
      _mm512_store_si512(shares + upper * block + i, units_of(p[0], p[1]));
      _mm512_store_si512(slopes + upper * block + i, units_of(ds[upper][0], ds[upper][1]));
    }
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half)
      _mm512_store_si512(units + half * block + i, units_of(ds[0][half], ds[1][half]));
  }
}

// By query, the logarithms and <g, o>. Places behind the last query get no weights.
void look_at_queries(const Head& head, const Operands& in, const float* logs, const Room& room) {
  for (int64_t query = 0; query < padded(head.queries); query += 16) {
    const __mmask16 lanes = first_lanes(head.queries - query);
    const __m512 log = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, logs + query), _mm512_set1_ps(log2_e));
    _mm512_store_ps(room.logs + query, _mm512_mask_mov_ps(_mm512_set1_ps(0x1p100f), lanes, log));
    __m512 r[16];
#pragma GCC unroll 16
    for (int64_t j = 0; j < 16; ++j) {
      r[j] = _mm512_setzero_ps();
      for (int64_t i = 0; i < head.outputs; i += side) {
        const __m512i g = row_part<false>(in.g, query + j, head.queries, i, head.outputs),
                      o = row_part<false>(in.o, query + j, head.queries, i, head.outputs);
        r[j] = _mm512_dpbf16_ps(r[j], reinterpret_cast<__m512bh>(g), reinterpret_cast<__m512bh>(o));
      }
    }
    _mm512_store_ps(room.means + query, join_lanes<together>(r));
  }
}

// --- what is turned ---

// Rows' features as rows; 16 + i beside i, as lay_rows() does.
void turn_rows(const Rows& from, int64_t rows, int64_t features, uint32_t* to, int64_t pairs_along) {
  for (int64_t first = 0; first < features; first += side, to += pairs_along * pair)
    for (int64_t row = 0; row < rows; row += depth) {
      __m512i r[2][16];
#pragma GCC unroll 16
      for (int64_t i = 0; i < 16; ++i) {
        const __m512i low = row_part<false>(from, row + i, rows, first, features),
                      high = row_part<false>(from, row + i + 16, rows, first, features);
        r[0][i] = _mm512_unpacklo_epi16(low, high);
        r[1][i] = _mm512_unpackhi_epi16(low, high);
      }
      for (int half = 0; half < 2; ++half) {
        transpose_units(r[half]);
#pragma GCC unroll 16
        for (int64_t i = 0; i < 16; ++i)
          _mm512_store_si512(to + row / depth * pair + half * block + i * 16, r[half][i]);
      }
    }
}

// A square that has a row for each feature, as turn_rows() laid them, and a column for each query, times the factor.
void store_across(const float* sums, __m512 factor, int64_t rows, int64_t features, uint16_t* to, int64_t pitch) {
  for (int64_t query = 0; query < rows; query += 16, sums += block) {
    __m512i r[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {  // features 2 i and 2 i + 1
      const float* row = sums + i % 4 / 2 * 2 * block + (i / 4 * 4 + i % 2 * 2) * 16;
      r[i] = units_of(rounded(_mm512_mul_ps(_mm512_load_ps(row), factor)),
                      rounded(_mm512_mul_ps(_mm512_load_ps(row + 16), factor)));
    }
    transpose_units(r);
    for (int64_t i = 0; i < 16 && query + i < rows; ++i)
      _mm512_mask_storeu_epi16(to + (query + i) * pitch, first_32(features), r[i]);
  }
}

// --- one head ---

// A strip of queries.
struct Strip {
  int64_t begin, queries;  // of the head
};

// 32 keys, and their values.
struct Keys {
  int64_t first;
  Left k, v;
};

// p and ds of 32 keys for some of a strip's queries.
void weigh_group(const Head& head, const Room& room, Products& products, Ahead& ahead, const Strip& strip,
                 const Keys& keys, int64_t begin, int64_t end) {
  const __m512 factor = _mm512_set1_ps(scale_of(head) * log2_e);
  for (int64_t i = begin; i < end; i += side) {
    products.multiply<Sum::fresh>(keys.k, room.queries_across.at(i / side, 0), room.features / depth, room.scores);
    products.multiply<Sum::fresh>(keys.v, room.cotangents_across.at(i / side, 0), room.outputs / depth, room.dp);
    products.finish();
    const int64_t query = strip.begin + i, at = (i - begin) / side * pair;
    const Sight sight(head, query);
    const Lanes lanes(room, query);
    const bool all = keys.first + side <= sight.everywhere;
    (all ? weigh<true> : weigh<false>)(room.scores, room.dp, sight, lanes, keys.first, factor, room.shares + at,
                                       room.slopes + at, room.weighed.at(i / side, keys.first / depth), ahead);
  }
}

// weights of 32 keys times a group of queries' rows.
void add_queries(Products& products, const uint32_t* weights, const Panels& right, int64_t begin, int64_t end,
                 bool more, float* to, int64_t width) {
  for (int64_t i = 0; i < width; i += side) {
    const uint32_t* panel = right.at(i / side, begin / depth);
    const int64_t count = (end - begin) / depth;
    more ? products.multiply<Sum::more>(blocks_of(weights), panel, count, to + i * side)
         : products.multiply<Sum::fresh>(blocks_of(weights), panel, count, to + i * side);
  }
}

// What a strip of queries gives to 32 keys.
void keys_back(const Head& head, const Room& room, Products& products, Ahead& ahead, const Operands& in,
               const Strip& strip, int64_t key, float* dk, float* dv) {
  int64_t first = 0;
  const int64_t end = padded(strip.queries), rows = min(side, head.keys - key);
  while (first < end && keys_of(head, strip.begin + first) <= key) first += side;
  const Keys keys{key, left_rows(behind(in.k, key), rows, head.features, room.k),
                  left_rows(behind(in.v, key), rows, head.outputs, room.v)};
  if (first == end && strip.begin == 0) {
    std::memset(dk, 0, static_cast<size_t>(side * room.features) * sizeof(float));
    std::memset(dv, 0, static_cast<size_t>(side * room.outputs) * sizeof(float));
  }
  for (int64_t begin = first; begin < end; begin += group) {
    const int64_t stop = min(begin + group, end);
    weigh_group(head, room, products, ahead, strip, keys, begin, stop);
    const bool more = strip.begin > 0 || begin > first;
    add_queries(products, room.slopes, room.queries_along, begin, stop, more, dk, room.features);
    add_queries(products, room.shares, room.cotangents_along, begin, stop, more, dv, room.outputs);
  }
}

// dq of 32 queries of a strip.
void queries_back(const Head& head, const Room& room, Products& products, const Strip& strip, int64_t query,
                  uint16_t* to, int64_t pitch) {
  const int64_t keys = keys_of(head, strip.begin + query), rows = min(side, strip.queries - query);
  for (int64_t i = 0; i < room.features; i += side)
    products.multiply<Sum::fresh>(blocks_of(room.keys_turned + i / side * (room.keys / depth) * pair),
                                  room.weighed.at(query / side, 0), keys / depth, room.sums + i * side);
  products.finish();
  for (int64_t i = 0; i < head.features; i += side)
    store_across(room.sums + i * side, _mm512_set1_ps(scale_of(head)), rows, head.features - i, to + i, pitch);
}

}  // namespace

size_t gradient_bytes(const Head& head) { return Room(head, nullptr).bytes; }

void gradient(const Head& head, const Operands& in, const float* logs, const Operands* next, const Gradients& to,
              std::byte* scratch) {
  const Room room(head, scratch);
  Ahead ahead(head, next);
  look_at_queries(head, in, logs, room);
  turn_rows(in.k, head.keys, head.features, room.keys_turned, room.keys / depth);
  Products products;
  for (int64_t begin = 0; begin < head.queries; begin += room.strip) {
    const Strip strip{begin, min(room.strip, head.queries - begin)};
    lay_columns(behind(in.q, begin), strip.queries, head.features, room.queries_across);
    lay_columns(behind(in.g, begin), strip.queries, head.outputs, room.cotangents_across);
    lay_rows(behind(in.q, begin), strip.queries, head.features, room.queries_along);
    lay_rows(behind(in.g, begin), strip.queries, head.outputs, room.cotangents_along);
    const bool whole = room.strip >= head.queries, last = begin + room.strip >= head.queries;
    for (int64_t key = 0; key < head.keys; key += side) {
      float *dk = room.dk + (whole ? 0 : key * room.features), *dv = room.dv + (whole ? 0 : key * room.outputs);
      keys_back(head, room, products, ahead, in, strip, key, dk, dv);
      products.finish();
      if (!last) continue;
      const int64_t rows = min(side, head.keys - key);
      store_rows(dk, scale_of(head), nullptr, rows, head.features, to.k + key * to.pitch, to.pitch);
      store_rows(dv, 1, nullptr, rows, head.outputs, to.v + key * to.pitch, to.pitch);
    }
    for (int64_t i = 0; i < strip.queries; i += side)
      queries_back(head, room, products, strip, i, to.q + (begin + i) * to.pitch, to.pitch);
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
size_t gradient_bytes(const Head&) { return 0; }
void gradient(const Head&, const Operands&, const float*, const Operands*, const Gradients&, std::byte*) {}
}  // namespace descent::cpu::attention_tiles
#endif
