// Everything stands across, a row for each key and a lane for each query. What is multiplied, for 32 keys and 32
// queries at a time: scores = k q^T, dp = v g^T, and with p = 2^(scores - logs) and ds = p (dp - <g, o>): for each
// 32 keys dv = p g and dk = ds q; and when all ds are there, dq^T = k^T ds. What these 32 keys need stays in the first
// cache: storing into the second takes as long as all the rest. Tile and vector units work side by side: the next
// scores and dp are multiplied while these become weights.
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
    sums = take<float>(2 * side * features);
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

// How many keys each of 32 queries sees.
struct Sight {
  __m512i keys[2];

  Sight(const Head& head, int64_t query) {
    for (int i = 0; i < 2; ++i) keys[i] = visible_to(head, query + 16 * i);
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

// A square's scores and dp, and where p and ds go: as rows of left operands, and ds in units as well.
struct Weights {
  const float *scores, *dp;
  uint32_t *shares, *slopes, *units;
};

template <Seen seen>
void weigh(const Weights& at, const Sight& sight, const Lanes& lanes, int64_t key, __m512 factor) {
  for (int64_t i = 0; i < block; i += 16) {
    __m512i ds[2][2];
#pragma GCC unroll 2
    for (int upper = 0; upper < 2; ++upper) {
      __m512i p[2];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        if (seen == Seen::no_corner && upper == 1 && half == 0) {
          p[half] = ds[upper][half] = _mm512_setzero_si512();
          continue;
        }
        const int64_t from = (2 * upper + half) * block + i;
        const __mmask16 kept = seen == Seen::all ? 0xffff : sight.lanes(half, key + upper * 16 + i / 16);
        const __m512 power = _mm512_fmsub_ps(_mm512_load_ps(at.scores + from), factor, lanes.logs[half]);
        const __m512 share = exp2_of<false>(power, kept);
        const __m512 slope = _mm512_sub_ps(_mm512_load_ps(at.dp + from), lanes.means[half]);
        p[half] = rounded(share);
        ds[upper][half] = rounded(_mm512_maskz_mul_ps(kept, share, slope));
      }
      _mm512_store_si512(at.shares + upper * block + i, units_of(p[0], p[1]));
      _mm512_store_si512(at.slopes + upper * block + i, units_of(ds[upper][0], ds[upper][1]));
    }
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half)
      _mm512_store_si512(at.units + half * block + i, units_of(ds[0][half], ds[1][half]));
  }
}

// <g, o> of 16 queries.
template <bool whole>
__m512 means_of(const Operands& in, int64_t query, int64_t queries, int64_t outputs) {
  __m512 r[16];
#pragma GCC unroll 16
  for (int64_t j = 0; j < 16; ++j) {
    r[j] = _mm512_setzero_ps();
    for (int64_t i = 0; i < outputs; i += side) {
      const __m512i g = row_part<whole>(in.g, query + j, queries, i, outputs),
                    o = row_part<whole>(in.o, query + j, queries, i, outputs);
      r[j] = _mm512_dpbf16_ps(r[j], reinterpret_cast<__m512bh>(g), reinterpret_cast<__m512bh>(o));
    }
  }
  return join_lanes<together>(r);
}

// By query, the logarithms and <g, o>, of 32. Places behind the last query get no weights.
void look_at_queries(const Head& head, const Operands& in, const float* logs, const Room& room, int64_t first) {
  for (int64_t query = first; query < first + side; query += 16) {
    const __mmask16 lanes = first_lanes(head.queries - query);
    const __m512 log = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, logs + query), _mm512_set1_ps(log2_e));
    _mm512_store_ps(room.logs + query, _mm512_mask_mov_ps(_mm512_set1_ps(0x1p100f), lanes, log));
    const bool whole = query + 16 <= head.queries && head.outputs % side == 0;
    _mm512_store_ps(room.means + query,
                    (whole ? means_of<true> : means_of<false>)(in, query, head.queries, head.outputs));
  }
}

// --- what is turned ---

template <bool whole>
void turn_rows(const Rows& from, int64_t rows, int64_t row, int64_t first, int64_t features, uint32_t* to) {
  __m512i r[2][16];
#pragma GCC unroll 16
  for (int64_t i = 0; i < 16; ++i) {
    const __m512i low = row_part<whole>(from, row + i, rows, first, features),
                  high = row_part<whole>(from, row + i + 16, rows, first, features);
    r[0][i] = _mm512_unpacklo_epi16(low, high);
    r[1][i] = _mm512_unpackhi_epi16(low, high);
  }
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    transpose_units(r[half]);
#pragma GCC unroll 16
    for (int64_t i = 0; i < 16; ++i) _mm512_store_si512(to + half * block + i * 16, r[half][i]);
  }
}

// Features of 32 rows as rows; 16 + i beside i, as lay_rows() does.
void turn_rows(const Rows& from, int64_t rows, int64_t row, int64_t features, uint32_t* to, int64_t pairs_along) {
  to += row / depth * pair;
  for (int64_t first = 0; first < features; first += side, to += pairs_along * pair) {
    const bool whole = row + depth <= rows && first + side <= features;
    (whole ? turn_rows<true> : turn_rows<false>)(from, rows, row, first, features, to);
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

// 32 keys of the head and 32 queries of the strip.
struct Square {
  int64_t key, query;
};

class Backward {
 public:
  Backward(const Head& head, const Operands& in, const float* logs, const Operands* next, const Gradients& to,
           std::byte* scratch)
      : head_(head), in_(in), logs_(logs), to_(to), room_(head, scratch), ahead_(head, next) {
    ahead_.fetch_to(to.q, to.pitch);
    ahead_.fetch_to(to.k, to.pitch);
    ahead_.fetch_to(to.v, to.pitch);
  }

  void run() {
    for (begin_ = 0; begin_ < head_.queries; begin_ += room_.strip) {
      rows_ = min(room_.strip, head_.queries - begin_);
      for (int64_t query = 0; query < min(rows_, 2 * side); query += side) lay_queries(query);
      multiply_scores({0, 0});
      multiply_dp({0, 0});
      for (int64_t key = 0; key < head_.keys; key += side) keys_back(key);
      queries_back();
    }
  }

 private:
  // Of 32 queries of the strip, what is multiplied: two squares ahead, as stores to the second cache take their time.
  void lay_queries(int64_t query) {
    const int64_t first = begin_ + query, rows = min(side, rows_ - query);
    const Rows q = behind(in_.q, first), g = behind(in_.g, first);
    const auto across = [&](const Panels& of) { return Panels{of.at(query / side, 0), of.depth_pairs}; };
    const auto along = [&](const Panels& of) { return Panels{of.at(0, query / depth), of.depth_pairs}; };
    look_at_queries(head_, in_, logs_, room_, first);
    lay_columns(q, rows, head_.features, across(room_.queries_across));
    lay_columns(g, rows, head_.outputs, across(room_.cotangents_across));
    lay_rows(q, rows, head_.features, along(room_.queries_along));
    lay_rows(g, rows, head_.outputs, along(room_.cotangents_along));
  }

  // The first square from this one on that has something to be seen; the key is none if there is no such square.
  Square seen_from(Square at) const {
    for (; at.key < head_.keys; at = {at.key + side, 0})
      for (; at.query < rows_; at.query += side)
        if (keys_of(head_, begin_ + at.query) > at.key) return at;
    return at;
  }

  void multiply_scores(const Square& of) {
    if (of.key != keys_) {
      const int64_t rows = min(side, head_.keys - of.key);
      k_ = left_rows(behind(in_.k, of.key), rows, head_.features, room_.k);
      v_ = left_rows(behind(in_.v, of.key), rows, head_.outputs, room_.v);
      keys_ = of.key;
    }
    products_.multiply<Sum::fresh>(k_, room_.queries_across.at(of.query / side, 0), room_.features / depth,
                                   room_.scores);
  }
  // Behind multiply_scores() of the same square.
  void multiply_dp(const Square& of) {
    products_.multiply<Sum::fresh>(v_, room_.cotangents_across.at(of.query / side, 0), room_.outputs / depth, room_.dp);
  }

  // What the strip gives to 32 keys. It is stored later: its last sums take until the next weights are made.
  void keys_back(int64_t key) {
    const Square first = seen_from({key, 0});
    if (begin_ == 0) turn_rows(in_.k, head_.keys, key, head_.features, room_.keys_turned, room_.keys / depth);
    if (first.key > key) {  // no query sees them, nor those behind them
      products_.finish();
      store_keys();
      if (begin_ == 0) {
        std::memset(dk_of(key), 0, static_cast<size_t>(side * room_.features) * sizeof(float));
        std::memset(dv_of(key), 0, static_cast<size_t>(side * room_.outputs) * sizeof(float));
      }
    } else {
      for (int64_t begin = first.query; begin < rows_; begin += group) {
        const int64_t end = min(begin + group, padded(rows_));
        for (int64_t query = begin; query < end; query += side)
          weigh_square({key, query}, (query - begin) / side * pair);
        const bool more = begin_ > 0 || begin > first.query;
        add_queries(room_.slopes, room_.queries_along, begin, end, more, dk_of(key), room_.features);
        add_queries(room_.shares, room_.cotangents_along, begin, end, more, dv_of(key), room_.outputs);
      }
    }
    waiting_ = key;
  }

  void weigh_square(const Square& now, int64_t at) {
    const int64_t query = begin_ + now.query;
    const Weights weights{room_.scores, room_.dp, room_.shares + at, room_.slopes + at,
                          room_.weighed.at(now.query / side, now.key / depth)};
    const Sight sight(head_, query);
    const Lanes lanes(room_, query);
    const Seen seen = seen_of(head_, query, now.key);
    const auto some = seen == Seen::all    ? weigh<Seen::all>
                      : seen == Seen::some ? weigh<Seen::some>
                                           : weigh<Seen::no_corner>;
    const Square next = seen_from({now.key, now.query + side});
    if (next.key < head_.keys)
      multiply_scores(next);
    else
      products_.finish();
    ahead_.step();
    some(weights, sight, lanes, now.key, factor_);
    ahead_.step();
    store_keys();
    if (next.key < head_.keys) multiply_dp(next);
    if (now.key == 0 && now.query + 2 * side < rows_) lay_queries(now.query + 2 * side);
  }

  // weights of 32 keys times queries' rows.
  void add_queries(const uint32_t* weights, const Panels& right, int64_t begin, int64_t end, bool more, float* to,
                   int64_t width) {
    for (int64_t i = 0; i < width; i += side) {
      const uint32_t* panel = right.at(i / side, begin / depth);
      const int64_t count = (end - begin) / depth;
      more ? products_.multiply<Sum::more>(blocks_of(weights), panel, count, to + i * side)
           : products_.multiply<Sum::fresh>(blocks_of(weights), panel, count, to + i * side);
    }
  }

  bool last() const { return begin_ + room_.strip >= head_.queries; }

  // Sums of keys: kept until the last strip has added to them.
  float* dk_of(int64_t key) const { return room_.dk + (room_.strip >= head_.queries ? 0 : key * room_.features); }
  float* dv_of(int64_t key) const { return room_.dv + (room_.strip >= head_.queries ? 0 : key * room_.outputs); }

  void store_keys() {
    const int64_t key = waiting_;
    waiting_ = -1;
    if (key < 0 || !last()) return;
    const int64_t rows = min(side, head_.keys - key);
    store_rows(dk_of(key), scale_of(head_), nullptr, rows, head_.features, to_.k + key * to_.pitch, to_.pitch);
    store_rows(dv_of(key), 1, nullptr, rows, head_.outputs, to_.v + key * to_.pitch, to_.pitch);
  }

  // dq of the strip: sums are stored while the next ones are multiplied.
  void queries_back() {
    for (int64_t query = 0; query < rows_; query += side) {
      multiply_dq(query);
      query == 0 ? store_keys() : store_dq(query - side);
    }
    products_.finish();
    store_dq((rows_ - 1) / side * side);
  }

  float* dq_of(int64_t query) const { return room_.sums + query / side % 2 * side * room_.features; }

  void multiply_dq(int64_t query) {
    const int64_t keys = keys_of(head_, begin_ + query);
    for (int64_t i = 0; i < room_.features; i += side)
      products_.multiply<Sum::fresh>(blocks_of(room_.keys_turned + i / side * (room_.keys / depth) * pair),
                                     room_.weighed.at(query / side, 0), keys / depth, dq_of(query) + i * side);
  }

  void store_dq(int64_t query) {
    uint16_t* to = to_.q + (begin_ + query) * to_.pitch;
    for (int64_t i = 0; i < head_.features; i += side)
      store_across(dq_of(query) + i * side, _mm512_set1_ps(scale_of(head_)), min(side, rows_ - query),
                   head_.features - i, to + i, to_.pitch);
  }

  const Head& head_;
  const Operands& in_;
  const float* logs_;
  const Gradients& to_;
  const Room room_;
  Ahead ahead_;
  Products products_;
  __m512 factor_ = _mm512_set1_ps(scale_of(head_) * log2_e);
  Left k_{}, v_{};  // of keys_ and the 31 behind it
  int64_t keys_ = -1;
  int64_t begin_ = 0, rows_ = 0;  // of the strip
  int64_t waiting_ = -1;          // keys whose sums are not yet stored
};

}  // namespace

size_t gradient_bytes(const Head& head) { return Room(head, nullptr).bytes; }

void gradient(const Head& head, const Operands& in, const float* logs, const Operands* next, const Gradients& to,
              std::byte* scratch) {
  Backward(head, in, logs, next, to, scratch).run();
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
