// What is multiplied, for each 32 queries: scores = q k^T, then result = p v. Keys that none of the queries sees are
// left out. Scores are used while they are in the first cache: storing into the second takes as long as all the rest.
// Tile and vector units work side by side: the next scores are multiplied while these become weights.
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
    scores = take<float>(2 * square);
    q = take<uint16_t>(2 * side * features);
    sums = take<float>(side * outputs);
    weights = take<uint32_t>(keys / side * pair);
    keys_across = panels(keys, features);
    values_along = panels(outputs, keys);
  }

  int64_t features;                  // padded
  Panels keys_across, values_along;  // k as in q k^T, v as in p v
  uint16_t* q;                       // of 32 queries, and the next 32
  float *scores, *sums;              // squares: of scores, and those looked at again; of results
  uint32_t* weights;                 // a left operand
};

// How many keys each of 32 queries sees. Places behind the last query see one.
struct Sight {
  alignas(64) int32_t keys[side];

  Sight(const Head& head, int64_t query) {
    for (int64_t i = 0; i < side; i += 16)
      _mm512_store_si512(keys + i, _mm512_maskz_max_epi32(0xffff, visible_to(head, query + i), _mm512_set1_epi32(1)));
  }

  // Which of 16 keys query i sees.
  __mmask16 lanes(int64_t i, int64_t key) const {
    const __m512i order = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i place = _mm512_add_epi32(order, _mm512_set1_epi32(static_cast<int32_t>(key)));
    return _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(keys[i]), place);
  }
};

// By query, the powers of 2 that scores are taken by, and the sums of their powers.
struct Weighing {
  alignas(64) float shifts[side];
  __m512 sums[side];  // not yet over lanes

  Weighing() {
    for (float& shift : shifts) shift = __builtin_inff();
  }

  // The score of the first key is taken from all, which every query sees.
  void begin(const float* scores, __m512 factor) {
    const __m512i at = _mm512_setr_epi32(0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240);
    for (int64_t half = 0; half < side; half += 16, scores += 2 * block) {
      const __m512 first = _mm512_mask_i32gather_ps(_mm512_setzero_ps(), 0xffff, at, scores, 4);
      _mm512_store_ps(shifts + half, _mm512_fnmadd_ps(first, factor, _mm512_setzero_ps()));
    }
  }

  // No score of the square is larger than what is taken from it.
  void look(const float* scores, __m512 factor, const Sight& sight, int64_t key) {
    const __m512 least = _mm512_set1_ps(-__builtin_inff());
    for (int64_t half = 0; half < side; half += 16, scores += 2 * block) {
      __m512 r[16];
      for (int64_t i = 0; i < 16; ++i)
        r[i] = larger(_mm512_mask_load_ps(least, sight.lanes(half + i, key), scores + i * 16),
                      _mm512_mask_load_ps(least, sight.lanes(half + i, key + 16), scores + block + i * 16));
      const __m512 shift = _mm512_fnmadd_ps(join_lanes<larger>(r), factor, _mm512_setzero_ps());
      _mm512_store_ps(shifts + half, _mm512_min_ps(_mm512_load_ps(shifts + half), shift));
    }
  }

  // The weights of a square of scores, rounded and not yet divided by their sums.
  template <Seen seen>
  void add(const float* scores, __m512 factor, const Sight& sight, int64_t key, uint32_t* weights, Ahead& ahead) {
    const __m512i kept = _mm512_set1_epi32(static_cast<int>(0xffff0000));
    const __mmask16 before = key == 0 ? 0 : 0xffff;
#pragma GCC unroll 2
    for (int64_t half = 0; half < side; half += 16, scores += 2 * block, weights += block) {
      ahead.step();
#pragma GCC unroll 4
      for (int64_t i = 0; i < 16; ++i) {
        const __m512 shift = _mm512_set1_ps(shifts[half + i]);
        const auto weight = [&](int64_t beside) {
          if (seen == Seen::no_corner && half == 0 && beside == 1) return _mm512_setzero_si512();
          const __mmask16 lanes = seen == Seen::all ? 0xffff : sight.lanes(half + i, key + 16 * beside);
          const __m512 score = _mm512_load_ps(scores + beside * block + i * 16);
          const __m512 power = exp2_of<true>(_mm512_fmadd_ps(score, factor, shift), lanes);
          return _mm512_and_si512(_mm512_castps_si512(power), kept);
        };
        const __m512i low = weight(0), high = weight(1);
        const __m512 both = _mm512_add_ps(_mm512_castsi512_ps(low), _mm512_castsi512_ps(high));
        sums[half + i] = _mm512_add_ps(_mm512_maskz_mov_ps(before, sums[half + i]), both);
        _mm512_store_si512(weights + i * 16, units_of(low, high));
      }
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

// 32 queries, and the keys that some of them see. Behind the last query there are none.
struct Queries {
  int64_t first, rows, keys;
  Left q;
  Sight sight;

  Queries(const Head& head, const Operands& in, const Room& room, int64_t query)
      : first(query),
        rows(min(side, head.queries - query)),
        keys(keys_of(head, query)),
        q(left_rows(behind(in.q, query), rows, head.features, room.q + query / side % 2 * side * room.features)),
        sight(head, query) {}
};

class Forward {
 public:
  Forward(const Head& head, const Operands& in, const Operands* next, uint16_t* out, int64_t pitch, float* logs,
          std::byte* scratch)
      : head_(head), in_(in), out_(out), pitch_(pitch), logs_(logs), room_(head, scratch), ahead_(head, next) {
    lay_columns(in.k, head.keys, head.features, room_.keys_across);
    lay_rows(in.v, head.keys, head.outputs, room_.values_along);
  }

  void run() {
    Queries queries(head_, in_, room_, 0);
    multiply_scores(queries, 0, room_.scores);
    while (queries.rows > 0) {
      const Queries next(head_, in_, room_, queries.first + side);
      fetch_rows<true>(out_ + queries.first * pitch_, pitch_, queries.rows, head_.outputs);
      weigh(queries, next);
      for (int64_t i = 0; i < head_.outputs; i += side)
        products_.multiply<Sum::fresh>(blocks_of(room_.weights), room_.values_along.at(i / side, 0),
                                       queries.keys / depth, room_.sums + i * side);
      queries = next;
    }
    products_.finish();
    store_before(head_.queries);
  }

 private:
  void multiply_scores(const Queries& queries, int64_t key, float* to) {
    products_.multiply<Sum::fresh>(queries.q, room_.keys_across.at(key / side, 0), room_.features / depth, to);
  }

  // Powers are taken of how far scores are above that of the first key. Should others be so much larger that sums leave
  // the range, then of how far they are above the largest of all.
  void weigh(const Queries& queries, const Queries& next) {
    Weighing weighing;
    for (int64_t key = 0; key < queries.keys; key += side) {
      if (key + side < queries.keys)
        multiply_scores(queries, key + side, room_.scores);
      else if (next.rows > 0)
        multiply_scores(next, 0, room_.scores);
      else
        products_.finish();
      if (key == 0) weighing.begin(room_.scores, factor_);
      add(weighing, room_.scores, queries, key);
      if (key == 0 && queries.first > 0) store_before(queries.first);
    }
    if (!sum_up(weighing, shares_, logs_ + queries.first, queries.rows)) weigh_again(queries);
  }

  void weigh_again(const Queries& queries) {
    Weighing weighing;
    float* scores = room_.scores + square;
    for (const bool look : {true, false})
      for (int64_t key = 0; key < queries.keys; key += side) {
        multiply_scores(queries, key, scores);
        products_.finish();
        if (look)
          weighing.look(scores, factor_, queries.sight, key);
        else
          add(weighing, scores, queries, key);
      }
    sum_up(weighing, shares_, logs_ + queries.first, queries.rows);
  }

  void add(Weighing& weighing, const float* scores, const Queries& queries, int64_t key) {
    uint32_t* weights = room_.weights + key / side * pair;
    switch (seen_of(head_, queries.first, key)) {
      case Seen::all: return weighing.add<Seen::all>(scores, factor_, queries.sight, key, weights, ahead_);
      case Seen::some: return weighing.add<Seen::some>(scores, factor_, queries.sight, key, weights, ahead_);
      case Seen::no_corner: return weighing.add<Seen::no_corner>(scores, factor_, queries.sight, key, weights, ahead_);
    }
  }

  // The results of the 32 queries before this one, once their sums are there.
  void store_before(int64_t query) {
    const int64_t first = (query - 1) / side * side;
    store_rows(room_.sums, 1, shares_, query - first, head_.outputs, out_ + first * pitch_, pitch_);
  }

  const Head& head_;
  const Operands& in_;
  uint16_t* out_;
  int64_t pitch_;
  float* logs_;
  const Room room_;
  Ahead ahead_;
  Products products_;
  __m512 factor_ = _mm512_set1_ps(scale_of(head_) * log2_e);
  alignas(64) float shares_[side];
};

}  // namespace

bool available() { return processor().amx_bf16 && processor().avx512 && processor().avx512_bf16; }

size_t forward_bytes(const Head& head) { return Room(head, nullptr).bytes; }

void begin() { _tile_loadconfig(&tile_config); }
void end() { _tile_release(); }

void forward(const Head& head, const Operands& in, const Operands* next, uint16_t* out, int64_t pitch, float* logs,
             std::byte* scratch) {
  Forward(head, in, next, out, pitch, logs, scratch).run();
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
