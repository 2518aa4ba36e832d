// Between memory and registers: loads and stores through views, constants, indices, random bits, and spreading.
#include "descent/backend/cpu/tile_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/backend/cpu/tile_memory.cpp"
#include <hwy/foreach_target.h>
// The target's own headers.
#include <hwy/highway.h>

#include <algorithm>

#include "descent/backend/cpu/tile_lanes-inl.h"
#include "descent/backend/cpu/tile_walk.h"
#include "descent/core/philox.h"

HWY_BEFORE_NAMESPACE();
namespace descent::cpu::HWY_NAMESPACE {
namespace {

// --- How elements lie in memory. widen(): a vector of them as lanes; narrow(): lanes as elements. ---

struct Bits32 {
  using Element = float;  // or an integer: bits are only moved
  static HWY_INLINE Real widen(const Element* from) { return hn::LoadU(real_tag, from); }
  static HWY_INLINE void narrow(Real x, Element* to) { hn::StoreU(x, real_tag, to); }
};

struct Bf16 {
  using Element = uint16_t;
  static HWY_INLINE Real widen(const Element* from) {
    const hn::Rebind<uint16_t, RealTag> narrow_tag;
    return as_real(hn::ShiftLeft<16>(hn::PromoteTo(word_tag, hn::LoadU(narrow_tag, from))));
  }
  static HWY_INLINE void narrow(Real x, Element* to) {
    const hn::Rebind<uint16_t, RealTag> narrow_tag;
    const Int bits = hn::BitCast(int_tag, hn::ShiftRight<16>(bf16_bits(x)));
    hn::StoreU(hn::DemoteTo(narrow_tag, bits), narrow_tag, to);
  }
};

struct F16 {
  using Element = uint16_t;
#if DESCENT_PLAIN_TARGET
  static HWY_INLINE Real widen(const Element* from) {
    HWY_ALIGN float lanes[16];
    for (size_t i = 0; i < lanes_per_vector(); ++i) lanes[i] = float_from_f16(from[i]);
    return hn::Load(real_tag, lanes);
  }
  static HWY_INLINE void narrow(Real x, Element* to) {
    HWY_ALIGN float lanes[16];
    hn::Store(x, real_tag, lanes);
    for (size_t i = 0; i < lanes_per_vector(); ++i) to[i] = f16_from_float(lanes[i]);
  }
#else
  static HWY_INLINE Real widen(const Element* from) {
    const hn::Rebind<uint16_t, RealTag> bits_tag;
    const hn::Rebind<hwy::float16_t, RealTag> narrow_tag;
    return hn::PromoteTo(real_tag, hn::BitCast(narrow_tag, hn::LoadU(bits_tag, from)));
  }
  static HWY_INLINE void narrow(Real x, Element* to) {
    const hn::Rebind<uint16_t, RealTag> bits_tag;
    const hn::Rebind<hwy::float16_t, RealTag> narrow_tag;
    hn::StoreU(hn::BitCast(bits_tag, hn::DemoteTo(narrow_tag, x)), bits_tag, to);
  }
#endif
};

struct Byte {
  using Element = uint8_t;
  static HWY_INLINE Real widen(const Element* from) {
    const hn::Rebind<uint8_t, RealTag> narrow_tag;
    return as_real(hn::PromoteTo(int_tag, hn::LoadU(narrow_tag, from)));
  }
  static HWY_INLINE void narrow(Real x, Element* to) {
    const hn::Rebind<uint8_t, RealTag> narrow_tag;
    hn::StoreU(hn::DemoteTo(narrow_tag, as_int(x)), narrow_tag, to);
  }
};

template <class Storage>
HWY_INLINE float widen_one(typename Storage::Element value) {
  typename Storage::Element in[16] = {value};
  return hn::GetLane(Storage::widen(in));
}
template <>
HWY_INLINE float widen_one<Bits32>(float value) {
  return value;
}
template <>
HWY_INLINE float widen_one<Bf16>(uint16_t value) {
  return std::bit_cast<float>(uint32_t{value} << 16);
}
template <>
HWY_INLINE float widen_one<Byte>(uint8_t value) {
  return std::bit_cast<float>(uint32_t{value});
}

template <class Storage>
HWY_INLINE typename Storage::Element narrow_one(float value) {
  typename Storage::Element out[16];
  Storage::narrow(number(value), out);
  return out[0];
}
template <>
HWY_INLINE float narrow_one<Bits32>(float value) {
  return value;
}
template <>
HWY_INLINE uint8_t narrow_one<Byte>(float value) {
  return static_cast<uint8_t>(std::bit_cast<uint32_t>(value));
}

// --- Runs: elements at equal distances. Loads may write lanes behind the run, stores write no byte outside it. ---

template <class Storage>
HWY_INLINE void load_run(const typename Storage::Element* from, size_t count, float* to) {
  const size_t n = lanes_per_vector();
  size_t i = 0;
  for (; i + 2 * n <= count; i += 2 * n) {
    const Real a = Storage::widen(from + i), b = Storage::widen(from + i + n);
    store_lanes(a, to + i);
    store_lanes(b, to + i + n);
  }
  for (; i + n <= count; i += n) store_lanes(Storage::widen(from + i), to + i);
  if (i == count) return;
  if (count >= n) return store_lanes(Storage::widen(from + count - n), to + count - n);
  typename Storage::Element rest[16] = {};
  std::memcpy(rest, from, count * sizeof(rest[0]));
  store_lanes(Storage::widen(rest), to);
}

template <class Storage>
HWY_INLINE void store_run(const float* from, size_t count, typename Storage::Element* to) {
  const size_t n = lanes_per_vector();
  size_t i = 0;
  for (; i + n <= count; i += n) Storage::narrow(load_lanes(from + i), to + i);
  if (i == count) return;
  if (count >= n) return Storage::narrow(load_lanes(from + count - n), to + count - n);
  typename Storage::Element rest[16];
  Storage::narrow(load_lanes(from), rest);
  std::memcpy(to, rest, count * sizeof(rest[0]));
}

HWY_INLINE void fill_run(Real value, size_t count, float* to) {
  for (size_t i = 0; i < count; i += lanes_per_vector()) store_lanes(value, to + i);
}

template <class Storage>
HWY_INLINE void load_strided(const typename Storage::Element* from, int64_t stride, size_t count, float* to) {
  if (stride == 1) return load_run<Storage>(from, count, to);
  if (stride == 0) return fill_run(number(widen_one<Storage>(*from)), count, to);
  for (size_t i = 0; i < count; ++i, from += stride) to[i] = widen_one<Storage>(*from);
}

template <class Storage>
HWY_INLINE void store_strided(const float* from, int64_t stride, size_t count, typename Storage::Element* to) {
  if (stride == 1) return store_run<Storage>(from, count, to);
  for (size_t i = 0; i < count; ++i, to += stride) *to = narrow_one<Storage>(from[i]);
}

// --- Loads and stores of an extent ---

template <class Element>
HWY_INLINE Element* elements_of(const TileView& view, const TileFrame& frame) {
  return reinterpret_cast<Element*>(frame.addresses[view.buffer]) + view.offset;
}
HWY_INLINE const Extent& extent_of(const TileOp& op, const TileFrame& frame) {
  return frame.extent[static_cast<size_t>(op.lanes)];
}

// The same with runs that follow each other made one.
HWY_INLINE Extent merged_extent(const TileOp& op, const TileFrame& frame) {
  const Extent& extent = extent_of(op, frame);
  return extent.pitch == extent.run ? Extent{extent.flat, 1, extent.count(), 0} : extent;
}

// Of a view whose flat index is the address.
template <class Storage>
void load(const TileOp& op, const TileFrame& frame) {
  const Extent extent = merged_extent(op, frame);
  const auto* from = elements_of<const typename Storage::Element>(*op.view, frame) + extent.flat;
  float* to = frame.reg[op.out];
  for (int64_t row = 0; row < extent.rows; ++row, from += extent.pitch, to += extent.run)
    load_run<Storage>(from, static_cast<size_t>(extent.run), to);
}
template <class Storage>
void store(const TileOp& op, const TileFrame& frame) {
  const Extent extent = merged_extent(op, frame);
  auto* to = elements_of<typename Storage::Element>(*op.view, frame) + extent.flat;
  const float* from = frame.reg[op.in[0]];
  for (int64_t row = 0; row < extent.rows; ++row, from += extent.run, to += extent.pitch)
    store_run<Storage>(from, static_cast<size_t>(extent.run), to);
}

template <class Storage>
void load_any(const TileOp& op, const TileFrame& frame) {
  const Extent extent = merged_extent(op, frame);
  const auto* from = elements_of<const typename Storage::Element>(*op.view, frame);
  float* to = frame.reg[op.out];
  for (int64_t row = 0; row < extent.rows; ++row)
    for (RunWalk walk(*op.view, extent.flat + row * extent.pitch, extent.run); walk.left() > 0; walk.next()) {
      load_strided<Storage>(from + walk.address(), walk.stride(), static_cast<size_t>(walk.count()), to);
      to += walk.count();
    }
}
template <class Storage>
void store_any(const TileOp& op, const TileFrame& frame) {
  const Extent extent = merged_extent(op, frame);
  auto* to = elements_of<typename Storage::Element>(*op.view, frame);
  const float* from = frame.reg[op.in[0]];
  for (int64_t row = 0; row < extent.rows; ++row)
    for (RunWalk walk(*op.view, extent.flat + row * extent.pitch, extent.run); walk.left() > 0; walk.next()) {
      store_strided<Storage>(from, walk.stride(), static_cast<size_t>(walk.count()), to + walk.address());
      from += walk.count();
    }
}

// A block of a view whose second last axis lies densely in memory: read along that axis, written across.
template <class Storage>
void load_transposed(const TileOp& op, const TileFrame& frame) {
  const Extent& extent = extent_of(op, frame);
  const TileView& view = *op.view;
  if (!lies_across(view, extent)) return load_any<Storage>(op, frame);
  const int64_t stride = view.strides[static_cast<size_t>(view.axes - 1)];
  const auto* from =
      elements_of<const typename Storage::Element>(view, frame) + RunWalk(view, extent.flat, 1).address();
  float* to = frame.reg[op.out];
  HWY_ALIGN float lanes[block_rows + 16];
  for (int64_t column = 0; column < extent.run; ++column, from += stride) {
    load_run<Storage>(from, static_cast<size_t>(extent.rows), lanes);
    for (int64_t row = 0; row < extent.rows; ++row) to[row * extent.run + column] = lanes[row];
  }
}
template <class Storage>
void store_transposed(const TileOp& op, const TileFrame& frame) {
  const Extent& extent = extent_of(op, frame);
  const TileView& view = *op.view;
  if (!lies_across(view, extent)) return store_any<Storage>(op, frame);
  const int64_t stride = view.strides[static_cast<size_t>(view.axes - 1)];
  auto* to = elements_of<typename Storage::Element>(view, frame) + RunWalk(view, extent.flat, 1).address();
  const float* from = frame.reg[op.in[0]];
  HWY_ALIGN float lanes[block_rows + 16];
  for (int64_t column = 0; column < extent.run; ++column, to += stride) {
    for (int64_t row = 0; row < extent.rows; ++row) lanes[row] = from[row * extent.run + column];
    store_run<Storage>(lanes, static_cast<size_t>(extent.rows), to);
  }
}

template <class Storage>
void load_uniform(const TileOp& op, const TileFrame& frame) {
  const float value = widen_one<Storage>(*elements_of<const typename Storage::Element>(*op.view, frame));
  fill_run(number(value), lane_group, frame.reg[op.out]);
}

// --- Values from nowhere ---

void constant(const TileOp& op, const TileFrame& frame) {
  fill_run(as_real(word(op.bits)), static_cast<size_t>(frame.lanes[static_cast<size_t>(op.lanes)]), frame.reg[op.out]);
}

HWY_INLINE void count_up(int64_t first, int64_t count, float* to) {
  const auto n = static_cast<int64_t>(lanes_per_vector());
  Int value = hn::Iota(int_tag, static_cast<int32_t>(first));
  for (int64_t i = 0; i < count; i += n, value = hn::Add(value, whole(static_cast<int32_t>(n))))
    store_lanes(as_real(value), to + i);
}

void iota(const TileOp& op, const TileFrame& frame) {
  const Extent extent = merged_extent(op, frame);
  float* to = frame.reg[op.out];
  for (int64_t row = 0; row < extent.rows; ++row) {
    const int64_t flat = extent.flat + row * extent.pitch;
    int64_t value = flat / op.inner % op.size, past = flat % op.inner;
    for (int64_t left = extent.run, count = 0; left > 0; left -= count, to += count) {
      const int64_t same = op.inner == 1 ? op.size - value : op.inner - past;
      count = std::min(left, same);
      if (op.inner == 1)
        count_up(value, count, to);
      else
        fill_run(as_real(whole(static_cast<int32_t>(value))), static_cast<size_t>(count), to);
      value = op.inner == 1 || value + 1 == op.size ? 0 : value + 1;
      past = 0;
    }
  }
}

#if DESCENT_PLAIN_TARGET

constexpr int64_t random_batch = 4;
HWY_INLINE void random_words(const RandomSource& source, uint32_t block, float* to) {
  const std::array<uint32_t, 4> words = source.block(block);
  std::memcpy(to, words.data(), sizeof(words));
}

#else

using LongTag = hn::ScalableTag<uint64_t>;
using Long = hn::Vec<LongTag>;
constexpr LongTag long_tag;
constexpr int64_t random_batch = 8 * static_cast<int64_t>(hn::MaxLanes(LongTag()));

// Four words of a Philox counter in the low halves of 64-bit lanes; what is in the high halves does not matter.
struct Counters {
  Long x0, x1, x2, x3;
};

HWY_INLINE Long product(Long a, uint32_t b) { return hn::MulEven(hn::BitCast(word_tag, a), word(b)); }

HWY_INLINE Counters next_round(Counters c, Long key0, Long key1) {
  const Long even = product(c.x0, 0xD2511F53), odd = product(c.x2, 0xCD9E8D57);
  return {hn::Xor(hn::Xor(hn::ShiftRight<32>(odd), c.x1), key0), odd,
          hn::Xor(hn::Xor(hn::ShiftRight<32>(even), c.x3), key1), even};
}

HWY_INLINE void store_words(Counters c, float* to) {
  const Long low = hn::Set(long_tag, 0xffffffff);
  const Long front = hn::Or(hn::And(c.x0, low), hn::ShiftLeft<32>(c.x1));
  const Long back = hn::Or(hn::And(c.x2, low), hn::ShiftLeft<32>(c.x3));
  // Interleaving works within blocks of two lanes: the first half of the counters is in even lanes, see below.
  store_lanes(hn::BitCast(real_tag, hn::InterleaveLower(long_tag, front, back)), to);
  store_lanes(hn::BitCast(real_tag, hn::InterleaveUpper(long_tag, front, back)), to + lanes_per_vector());
}

// The words of random_batch / 4 blocks, from `block` on.
HWY_INLINE void random_words(const RandomSource& source, uint32_t block, float* to) {
  constexpr size_t n = hn::MaxLanes(LongTag());
  HWY_ALIGN uint64_t order[n];
  for (size_t i = 0; i < n; ++i) order[i] = i / 2 + (i % 2) * (n / 2);
  const Long first = hn::Add(hn::Load(long_tag, order), hn::Set(long_tag, block));
  const auto lanes = [](uint32_t value) HWY_ATTR { return hn::Set(long_tag, value); };
  Counters a{first, lanes(source.stream), lanes(source.counter[0]), lanes(source.counter[1])};
  Counters b{hn::Add(first, hn::Set(long_tag, n)), a.x1, a.x2, a.x3};
  uint32_t key0 = source.key[0], key1 = source.key[1];
  for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9, key1 += 0xBB67AE85) {
    a = next_round(a, lanes(key0), lanes(key1));
    b = next_round(b, lanes(key0), lanes(key1));
  }
  store_words(a, to);
  store_words(b, to + 4 * n);
}

#endif

HWY_INLINE RandomSource source_of(const TileOp& op, const TileFrame& frame) {
  const TileView &key = *op.view, &counter = *op.view2;
  const auto* keys = elements_of<const uint32_t>(key, frame);
  const auto* counters = elements_of<const uint32_t>(counter, frame);
  return {{keys[0], keys[second_element(key)]}, {counters[0], counters[second_element(counter)]}, op.bits};
}

void random_bits(const TileOp& op, const TileFrame& frame) {
  static_assert(random_batch <= lane_slack);
  const RandomSource source = source_of(op, frame);
  const Extent extent = merged_extent(op, frame);
  float* to = frame.reg[op.out];
  for (int64_t row = 0; row < extent.rows; ++row) {
    int64_t flat = extent.flat + row * extent.pitch, left = extent.run;
    if (const int64_t skip = flat % 4; skip != 0 && left > 0) {  // begins within a block
      HWY_ALIGN float words[lane_slack];
      random_words(source, static_cast<uint32_t>(flat / 4), words);
      const int64_t count = std::min(left, 4 - skip);
      std::copy_n(words + skip, count, to);
      flat += count, left -= count, to += count;
    }
    for (int64_t done = 0; done < left; done += random_batch)
      random_words(source, static_cast<uint32_t>((flat + done) / 4), to + done);
    to += left;
  }
}

// --- Between levels ---

void spread_row(const TileOp& op, const TileFrame& frame) {
  const float* from = frame.reg[op.in[0]];
  float* to = frame.reg[op.out];
  for (int64_t row = 0; row < frame.rows; ++row, to += frame.columns)
    fill_run(number(from[row * op.step[0]]), static_cast<size_t>(frame.columns), to);
}

void spread_column(const TileOp& op, const TileFrame& frame) {
  const float* from = frame.reg[op.in[0]];
  float* to = frame.reg[op.out];
  const auto n = static_cast<int64_t>(lanes_per_vector());
  for (int64_t row = 0; row < frame.rows; ++row, to += frame.columns)
    for (int64_t i = 0; i < frame.columns; i += n) store_lanes(load_lanes(from + i), to + i);
}

void spread_first(const TileOp& op, const TileFrame& frame) {
  fill_run(number(frame.reg[op.in[0]][0]), lane_group, frame.reg[op.out]);
}

void save(const TileOp& op, const TileFrame& frame) {
  const Extent& extent = extent_of(op, frame);
  store_run<Bits32>(frame.reg[op.in[0]], static_cast<size_t>(extent.run),
                    op.memory + extent.flat + frame.chunk * op.pitch);
}
void restore(const TileOp& op, const TileFrame& frame) {
  const Extent& extent = extent_of(op, frame);
  load_run<Bits32>(op.memory + extent.flat, static_cast<size_t>(extent.run), frame.reg[op.out]);
}

// --- The table ---

template <class Storage>
void fill_storage(TileTable& table, DType dtype) {
  const auto i = static_cast<size_t>(dtype);
  table.load[i] = &load<Storage>;
  table.load_any[i] = &load_any<Storage>;
  table.load_transposed[i] = &load_transposed<Storage>;
  table.load_uniform[i] = &load_uniform<Storage>;
  table.store[i] = &store<Storage>;
  table.store_any[i] = &store_any<Storage>;
  table.store_transposed[i] = &store_transposed<Storage>;
}

void fill_memory_of_target(TileTable& table) {
  for (const DType dtype : {DType::f32, DType::i32, DType::u32}) fill_storage<Bits32>(table, dtype);
  fill_storage<Bf16>(table, DType::bf16);
  fill_storage<F16>(table, DType::f16);
  for (const DType dtype : {DType::u8, DType::boolean}) fill_storage<Byte>(table, dtype);
  table.constant = &constant;
  table.iota = &iota;
  table.random_bits = &random_bits;
  table.spread_row = &spread_row;
  table.spread_column = &spread_column;
  table.spread_first = &spread_first;
  table.save = &save;
  table.restore = &restore;
}

}  // namespace
}  // namespace descent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::cpu {

HWY_EXPORT(fill_memory_of_target);
void fill_memory(TileTable& table) { HWY_DYNAMIC_DISPATCH(fill_memory_of_target)(table); }

}  // namespace descent::cpu
#endif
