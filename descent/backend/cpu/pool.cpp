// Pooling: each row of the result (the channels of one place) is made from a few rows of the operands. Vectors of
// channels go through all of a result's sources in registers; rows of few channels go element by element.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/backend/cpu/pool.cpp"
#include "descent/backend/cpu/tile_targets.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <bit>
#include <type_traits>

#include "descent/backend/cpu/pool.h"

HWY_BEFORE_NAMESPACE();
namespace descent::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using pool::Rows;

constexpr hn::CappedTag<float, 16> real_tag;
constexpr hn::RebindToUnsigned<hn::CappedTag<float, 16>> word_tag;
constexpr hn::Rebind<uint16_t, hn::CappedTag<float, 16>> half_tag;
constexpr hn::Rebind<uint8_t, hn::CappedTag<float, 16>> byte_tag;
using Real = hn::Vec<hn::CappedTag<float, 16>>;
using Word = hn::Vec<hn::RebindToUnsigned<hn::CappedTag<float, 16>>>;

// Twice as many lanes, for bf16 as it is stored.
constexpr hn::CappedTag<int16_t, 32> short_tag;
constexpr hn::Rebind<uint8_t, hn::CappedTag<int16_t, 32>> short_byte_tag;
using Short = hn::Vec<hn::CappedTag<int16_t, 32>>;

// How elements are stored; kept() stores one that was loaded so, unchanged.
struct F32 {
  using Stored = float;
  static float load(float x) { return x; }
  static float store(float x) { return x; }
  static Real load(const float* x) { return hn::LoadU(real_tag, x); }
  static void store(Real x, float* to) { hn::StoreU(x, real_tag, to); }
  static void kept(Real x, float* to) { hn::StoreU(x, real_tag, to); }
};
struct BF16 {
  using Stored = uint16_t;
  static float load(uint16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }
  static uint16_t store(float x) {
    const auto bits = std::bit_cast<uint32_t>(x);
    const uint32_t even = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16, nan = (bits >> 16) | 0x40;
    return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? nan : even);
  }
  static Real load(const uint16_t* x) {
    return hn::BitCast(real_tag, hn::ShiftLeft<16>(hn::PromoteTo(word_tag, hn::LoadU(half_tag, x))));
  }
  static void store(Real x, uint16_t* to) {
    const Word bits = hn::BitCast(word_tag, x), last = hn::And(hn::ShiftRight<16>(bits), hn::Set(word_tag, 1));
    const Word even = hn::Add(bits, hn::Add(last, hn::Set(word_tag, 0x7fff))),
               nan = hn::Or(bits, hn::Set(word_tag, 0x400000));
    const Word kept =
        hn::IfThenElse(hn::Gt(hn::And(bits, hn::Set(word_tag, 0x7fffffff)), hn::Set(word_tag, 0x7f800000)), nan, even);
    hn::StoreU(hn::TruncateTo(half_tag, hn::ShiftRight<16>(kept)), half_tag, to);
  }
  static void kept(Real x, uint16_t* to) {
    hn::StoreU(hn::TruncateTo(half_tag, hn::ShiftRight<16>(hn::BitCast(word_tag, x))), half_tag, to);
  }
};
struct F16 {
  using Stored = uint16_t;
  static float load(uint16_t x) { return float_from_f16(x); }
  static uint16_t store(float x) { return f16_from_float(x); }
};

template <class T>
const typename T::Stored* row_of(const std::byte* base, int64_t row, int64_t channels) {
  return reinterpret_cast<const typename T::Stored*>(base) + row * channels;
}
template <class T>
typename T::Stored* row_of(std::byte* base, int64_t row, int64_t channels) {
  return reinterpret_cast<typename T::Stored*>(base) + row * channels;
}

// The largest of the sources, the first of equals, or the first NaN.
template <class T>
void max_vector(const Rows& rows, int64_t row, int64_t from, std::span<const pool::Source> sources, int64_t c) {
  if constexpr (!std::is_same_v<T, F16>) {
    const int64_t channels = rows.channels;
    Real best = T::load(row_of<T>(rows.x, from + sources[0].row, channels) + c);
    Word taps = hn::Set(word_tag, static_cast<uint32_t>(sources[0].tap));
    for (const pool::Source& source : sources.subspan(1)) {
      const Real value = T::load(row_of<T>(rows.x, from + source.row, channels) + c);
      const auto better = hn::Or(hn::Gt(value, best), hn::AndNot(hn::IsNaN(best), hn::IsNaN(value)));
      best = hn::IfThenElse(better, value, best);
      taps =
          hn::IfThenElse(hn::RebindMask(word_tag, better), hn::Set(word_tag, static_cast<uint32_t>(source.tap)), taps);
    }
    T::kept(best, row_of<T>(rows.out, row, channels) + c);
    hn::StoreU(hn::TruncateTo(byte_tag, taps), byte_tag, rows.taps_out + row * channels + c);
  }
}

Short load_bf16(const Rows& rows, int64_t row, int64_t c) {
  return hn::LoadU(short_tag, reinterpret_cast<const int16_t*>(rows.x) + row * rows.channels + c);
}

// Numbers in the order of these: minus zero is zero, and a NaN is the largest.
Short rank_of_bf16(Short x) {
  const Short magnitude = hn::And(x, hn::Set(short_tag, 0x7fff)), sign = hn::ShiftRight<15>(x);
  const Short number = hn::Sub(hn::Xor(magnitude, sign), sign);
  return hn::IfThenElse(hn::Gt(magnitude, hn::Set(short_tag, 0x7f80)), hn::Set(short_tag, 0x7fff), number);
}

// The same as max_vector of what is stored in bf16.
void max_bf16(const Rows& rows, int64_t row, int64_t from, std::span<const pool::Source> sources, int64_t c) {
  Short best = load_bf16(rows, from + sources[0].row, c), rank = rank_of_bf16(best);
  Short taps = hn::Set(short_tag, static_cast<int16_t>(sources[0].tap));
  for (const pool::Source& source : sources.subspan(1)) {
    const Short value = load_bf16(rows, from + source.row, c), other = rank_of_bf16(value);
    const auto better = hn::Gt(other, rank);
    best = hn::IfThenElse(better, value, best);
    rank = hn::Max(rank, other);
    taps = hn::IfThenElse(better, hn::Set(short_tag, static_cast<int16_t>(source.tap)), taps);
  }
  hn::StoreU(best, short_tag, reinterpret_cast<int16_t*>(rows.out) + row * rows.channels + c);
  const auto bytes = hn::TruncateTo(short_byte_tag, hn::BitCast(hn::RebindToUnsigned<decltype(short_tag)>(), taps));
  hn::StoreU(bytes, short_byte_tag, rows.taps_out + row * rows.channels + c);
}

template <class T>
void max_element(const Rows& rows, int64_t row, int64_t from, std::span<const pool::Source> sources, int64_t c) {
  const int64_t channels = rows.channels;
  float best = T::load(row_of<T>(rows.x, from + sources[0].row, channels)[c]);
  int32_t tap = sources[0].tap;
  for (const pool::Source& source : sources.subspan(1)) {
    const float value = T::load(row_of<T>(rows.x, from + source.row, channels)[c]);
    if (value > best || (value != value && best == best)) best = value, tap = source.tap;
  }
  row_of<T>(rows.out, row, channels)[c] = T::store(best);
  rows.taps_out[row * channels + c] = static_cast<uint8_t>(tap);
}

// Whether a source's element is the chosen one of its window; without taps, always.
Real chosen(const Rows& rows, int64_t source_row, int32_t tap, int64_t c, Real x) {
  const Word taps = hn::PromoteTo(word_tag, hn::LoadU(byte_tag, rows.taps + source_row * rows.channels + c));
  return hn::IfThenElseZero(hn::RebindMask(real_tag, hn::Eq(taps, hn::Set(word_tag, static_cast<uint32_t>(tap)))), x);
}

// The sum of sources times their factors; or, with taps, of those that were chosen.
template <class T, bool by_taps>
void sum_vector(const Rows& rows, int64_t row, int64_t from, std::span<const pool::Source> sources, int64_t c) {
  if constexpr (!std::is_same_v<T, F16>) {
    const int64_t channels = rows.channels;
    typename T::Stored* to = row_of<T>(rows.out, row, channels) + c;
    if (by_taps && sources.size() == 1) {
      const int64_t source_row = from + sources[0].row;
      return T::kept(chosen(rows, source_row, sources[0].tap, c, T::load(row_of<T>(rows.x, source_row, channels) + c)),
                     to);
    }
    Real sum = hn::Zero(real_tag);
    for (const pool::Source& source : sources) {
      const Real x = T::load(row_of<T>(rows.x, from + source.row, channels) + c);
      if constexpr (by_taps)
        sum = hn::Add(sum, chosen(rows, from + source.row, source.tap, c, x));
      else
        sum = hn::Add(sum, hn::Mul(x, hn::Set(real_tag, source.factor)));
    }
    T::store(sum, to);
  }
}

// The same as sum_vector of what was chosen, in bf16: most elements have one source, or none.
void give_bf16(const Rows& rows, int64_t row, int64_t from, std::span<const pool::Source> sources, int64_t c) {
  if (sources.size() > 1) {
    for (size_t at = 0; at < hn::Lanes(short_tag); at += hn::Lanes(real_tag))
      sum_vector<BF16, true>(rows, row, from, sources, c + static_cast<int64_t>(at));
    return;
  }
  Short sum = hn::Zero(short_tag);
  for (const pool::Source& source : sources) {
    const uint8_t* taps = rows.taps + (from + source.row) * rows.channels + c;
    const Short chosen = hn::PromoteTo(short_tag, hn::LoadU(short_byte_tag, taps));
    const auto here = hn::Eq(chosen, hn::Set(short_tag, static_cast<int16_t>(source.tap)));
    sum = hn::IfThenElseZero(here, load_bf16(rows, from + source.row, c));
  }
  hn::StoreU(sum, short_tag, reinterpret_cast<int16_t*>(rows.out) + row * rows.channels + c);
}

template <class T, bool by_taps>
void sum_element(const Rows& rows, int64_t row, int64_t from, std::span<const pool::Source> sources, int64_t c) {
  const int64_t channels = rows.channels;
  float sum = 0;
  for (const pool::Source& source : sources) {
    const float x = T::load(row_of<T>(rows.x, from + source.row, channels)[c]);
    if constexpr (by_taps)
      sum += rows.taps[(from + source.row) * channels + c] == source.tap ? x : 0.0F;
    else
      sum += x * source.factor;
  }
  row_of<T>(rows.out, row, channels)[c] = T::store(sum);
}

using Piece = void (*)(const Rows&, int64_t, int64_t, std::span<const pool::Source>, int64_t);

// `wide` takes as many channels as short_tag has lanes; none: null.
template <class T, Piece wide, Piece vector, Piece element>
void each_row(const Rows& rows) {
  const auto wide_lanes = static_cast<int64_t>(hn::Lanes(short_tag)), lanes = static_cast<int64_t>(hn::Lanes(real_tag));
  const int64_t by_wide = wide == nullptr ? 0 : rows.channels / wide_lanes * wide_lanes;
  const int64_t by_vectors = std::is_same_v<T, F16> ? 0 : rows.channels / lanes * lanes;
  int64_t place = rows.begin % rows.places, from = rows.begin / rows.places * rows.source_rows;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const std::span<const pool::Source> sources = rows.sources_of(place);
    int64_t c = 0;
    if constexpr (wide != nullptr)
      for (; c < by_wide; c += wide_lanes) wide(rows, row, from, sources, c);
    for (; c < by_vectors; c += lanes) vector(rows, row, from, sources, c);
    if (c < rows.channels && by_vectors > 0) {  // some channels again
      vector(rows, row, from, sources, rows.channels - lanes);
      c = rows.channels;
    }
    for (; c < rows.channels; ++c) element(rows, row, from, sources, c);
    if (++place == rows.places) place = 0, from += rows.source_rows;
  }
}

// The chosen elements of the windows.
template <class T>
void take_rows(const Rows& rows) {
  const int64_t channels = rows.channels;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const std::span<const pool::Source> sources = rows.sources_of(row % rows.places);
    const int64_t from = row / rows.places * rows.source_rows;
    typename T::Stored* HWY_RESTRICT to = row_of<T>(rows.out, row, channels);
    const uint8_t* HWY_RESTRICT taps = rows.taps + row * channels;
    for (int64_t c = 0; c < channels; ++c) to[c] = 0;
    for (const pool::Source& source : sources) {
      const typename T::Stored* HWY_RESTRICT x = row_of<T>(rows.x, from + source.row, channels);
      for (int64_t c = 0; c < channels; ++c) to[c] = taps[c] == source.tap ? x[c] : to[c];
    }
  }
}

template <class T>
pool::Kernels kernels_of() {
  constexpr bool bf16 = std::is_same_v<T, BF16>;
  return {&each_row < T,
          bf16 ? max_bf16 : nullptr,
          max_vector<T>,
          max_element < T >>
          ,
          &each_row<T, nullptr, sum_vector<T, false>, sum_element<T, false>>,
          &each_row < T,
          bf16 ? give_bf16 : nullptr,
          sum_vector<T, true>,
          sum_element < T,
          true >>
          , &take_rows<T>};
}

pool::Kernels kernels_for(DType dtype) {
  if (dtype == DType::f32) return kernels_of<F32>();
  return dtype == DType::bf16 ? kernels_of<BF16>() : kernels_of<F16>();
}

}  // namespace
}  // namespace descent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::cpu {

HWY_EXPORT(kernels_for);

pool::Kernels pool::kernels(DType dtype) { return HWY_DYNAMIC_DISPATCH(kernels_for)(dtype); }

}  // namespace descent::cpu
#endif
