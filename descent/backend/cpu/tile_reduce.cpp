// Reductions along and down tiles.
//
// The order in which numbers are added is fixed by the tile's shape alone, the same for every vector length: along a
// row, lane i of 16 (or of 64, from 64 columns on) adds elements i, i + 16 ...; then the lanes are added two by two.
// Down the columns, an accumulator's lane adds its elements in order of rows.
#include "descent/backend/cpu/tile_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/backend/cpu/tile_reduce.cpp"
#include <hwy/foreach_target.h>
// The target's own headers.
#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include "descent/backend/cpu/tile_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace descent::cpu::HWY_NAMESPACE {
namespace {

// --- What is reduced: merge() of two vectors of lanes, and the bits that change nothing. ---

struct RealSum {
  static constexpr uint32_t identity = 0;
  static HWY_INLINE Real merge(Real a, Real b) { return hn::Add(a, b); }
};
struct IntSum {
  static constexpr uint32_t identity = 0;
  static HWY_INLINE Real merge(Real a, Real b) { return as_real(added(as_int(a), as_int(b))); }
};
struct WordSum {
  static constexpr uint32_t identity = 0;
  static HWY_INLINE Real merge(Real a, Real b) { return as_real(added(as_word(a), as_word(b))); }
};
struct RealMax {
  static constexpr uint32_t identity = 0xff800000;  // minus infinity
  static HWY_INLINE Real merge(Real a, Real b) { return larger(a, b); }
};
struct IntMax {
  static constexpr uint32_t identity = 0x80000000;
  static HWY_INLINE Real merge(Real a, Real b) { return as_real(hn::Max(as_int(a), as_int(b))); }
};
struct WordMax {
  static constexpr uint32_t identity = 0;
  static HWY_INLINE Real merge(Real a, Real b) { return as_real(hn::Max(as_word(a), as_word(b))); }
};

template <class Op>
HWY_INLINE Real identity_of() {
  return as_real(word(Op::identity));
}

// The first `count` lanes of 16 from `from` on, then those that change nothing. Reads no lane behind them.
template <class Op>
HWY_INLINE Real load_some(const float* from, size_t count) {
  const size_t n = lanes_per_vector();
  if (count >= n) return load_lanes(from);
  if (count == 0) return identity_of<Op>();
  const RealMask valid = hn::FirstN(real_tag, count);
  return hn::IfThenElse(valid, hn::MaskedLoad(valid, real_tag, from), identity_of<Op>());
}

// --- Sixteen lanes, whatever the vector length ---

constexpr size_t parts = 16 / hn::MaxLanes(RealTag());

struct Sixteen {
  Real part[parts];
};

template <class Op>
HWY_INLINE Sixteen merge(const Sixteen& a, const Sixteen& b) {
  Sixteen out;
  for (size_t i = 0; i < parts; ++i) out.part[i] = Op::merge(a.part[i], b.part[i]);
  return out;
}
HWY_INLINE Sixteen load_sixteen(const float* from) {
  Sixteen out;
  for (size_t i = 0; i < parts; ++i) out.part[i] = load_lanes(from + i * lanes_per_vector());
  return out;
}
template <class Op>
HWY_INLINE Sixteen load_sixteen(const float* from, size_t count) {
  Sixteen out;
  for (size_t i = 0; i < parts; ++i) {
    const size_t begin = i * lanes_per_vector();
    out.part[i] = load_some<Op>(from + begin, count > begin ? count - begin : 0);
  }
  return out;
}

// A row as sixteen lanes.
template <class Op>
HWY_INLINE Sixteen row_lanes(const float* from, size_t count) {
  if (count <= 16) return load_sixteen<Op>(from, count);
  size_t i = 16;
  Sixteen a = load_sixteen(from);
  if (count >= 64) {
    Sixteen b = load_sixteen(from + 16), c = load_sixteen(from + 32), d = load_sixteen(from + 48);
    for (i = 64; i + 64 <= count; i += 64) {
      a = merge<Op>(a, load_sixteen(from + i));
      b = merge<Op>(b, load_sixteen(from + i + 16));
      c = merge<Op>(c, load_sixteen(from + i + 32));
      d = merge<Op>(d, load_sixteen(from + i + 48));
    }
    a = merge<Op>(merge<Op>(a, b), merge<Op>(c, d));
  }
  for (; i + 16 <= count; i += 16) a = merge<Op>(a, load_sixteen(from + i));
  return i < count ? merge<Op>(a, load_sixteen<Op>(from + i, count - i)) : a;
}

// The sixteen lanes of four rows merged to one value a row. Of each four neighbouring lanes (0 + 2) + (1 + 3), then of
// those four sums likewise.
#if HWY_TARGET == HWY_SCALAR
template <class Op>
HWY_INLINE Real fold_four(const Real* x) {
  return Op::merge(Op::merge(x[0], x[2]), Op::merge(x[1], x[3]));
}
template <class Op>
HWY_INLINE void fold_rows(const Sixteen (&rows)[4], float* to) {
  for (size_t row = 0; row < 4; ++row) {
    Real sums[4];
    for (size_t i = 0; i < 4; ++i) sums[i] = fold_four<Op>(rows[row].part + 4 * i);
    store_lanes(fold_four<Op>(sums), to + row);
  }
}
#else
template <class Op>
HWY_INLINE Real fold_columns(Real a, Real b) {
  return Op::merge(hn::InterleaveLower(real_tag, a, b), hn::InterleaveUpper(real_tag, a, b));
}
template <class Op>
HWY_INLINE Real fold_blocks(Real a, Real b, Real c, Real d) {
  return fold_columns<Op>(fold_columns<Op>(a, c), fold_columns<Op>(b, d));
}
HWY_INLINE void store_block(Real x, float* to) {
  const hn::Full128<float> block;
#if HWY_MAX_BYTES == 64
  const hn::Full256<float> half;
  hn::StoreU(hn::LowerHalf(block, hn::LowerHalf(half, x)), block, to);
#elif HWY_MAX_BYTES == 32
  hn::StoreU(hn::LowerHalf(block, x), block, to);
#else
  hn::StoreU(x, block, to);
#endif
}
template <class Op>
HWY_INLINE void fold_rows(const Sixteen (&rows)[4], float* to) {
  Real sums[parts];
  for (size_t i = 0; i < parts; ++i)
    sums[i] = fold_blocks<Op>(rows[0].part[i], rows[1].part[i], rows[2].part[i], rows[3].part[i]);
#if HWY_MAX_BYTES == 64
  const Real two = Op::merge(sums[0], hn::ConcatUpperUpper(real_tag, sums[0], sums[0]));
  store_block(Op::merge(two, hn::SwapAdjacentBlocks(two)), to);
#elif HWY_MAX_BYTES == 32
  const Real two = Op::merge(sums[0], sums[1]);
  store_block(Op::merge(two, hn::SwapAdjacentBlocks(two)), to);
#else
  store_block(Op::merge(Op::merge(sums[0], sums[2]), Op::merge(sums[1], sums[3])), to);
#endif
}
#endif

template <class Op, bool into>
void row_reduce(const TileOp& op, const TileFrame& frame) {
  const float* from = frame.reg[op.in[0]];
  float* out = frame.reg[op.out];
  const auto columns = static_cast<size_t>(frame.columns);
  for (int64_t row = 0; row < frame.rows; row += 4) {
    Sixteen rows[4];
    const int64_t last = frame.rows - 1;
    for (int64_t i = 0; i < 4; ++i)
      rows[i] = i > 0 && row + i > last ? rows[0] : row_lanes<Op>(from + (row + i) * frame.columns, columns);
    HWY_ALIGN float four[16];
    fold_rows<Op>(rows, four);
    for (int64_t i = 0; i < std::min<int64_t>(4, frame.rows - row); ++i)
      if constexpr (into)
        out[row + i] = hn::GetLane(Op::merge(number(out[row + i]), number(four[i])));
      else
        out[row + i] = four[i];
  }
}

// --- The place of the largest ---

// Whether x takes the place of `best`, which stands before it: a NaN is larger than any number.
struct RealOrder {
  using Value = float;
  static HWY_INLINE RealMask better(Real x, Real best) {
    return hn::Or(hn::Gt(x, best), hn::AndNot(hn::IsNaN(best), hn::IsNaN(x)));
  }
  static bool better(float x, float best) { return x > best || (x != x && best == best); }
};
struct IntOrder {
  using Value = int32_t;
  static HWY_INLINE RealMask better(Real x, Real best) { return real_mask(hn::Gt(as_int(x), as_int(best))); }
  static bool better(int32_t x, int32_t best) { return x > best; }
};
struct WordOrder {
  using Value = uint32_t;
  static HWY_INLINE RealMask better(Real x, Real best) { return real_mask(hn::Gt(as_word(x), as_word(best))); }
  static bool better(uint32_t x, uint32_t best) { return x > best; }
};

struct Best {
  float value;
  int32_t index;
};

template <class Order>
HWY_INLINE bool before(const Best& a, const Best& b) {  // a is the answer rather than b
  const auto x = std::bit_cast<typename Order::Value>(a.value), y = std::bit_cast<typename Order::Value>(b.value);
  if (Order::better(x, y)) return true;
  return !Order::better(y, x) && a.index < b.index;
}

template <class Order>
HWY_INLINE Best best_of_row(const float* from, int64_t count) {
  const auto n = static_cast<int64_t>(lanes_per_vector());
  Best best{from[0], 0};
  int64_t i = 0;
  if (count >= n) {
    Real value = load_lanes(from);
    Int index = hn::Iota(int_tag, 0), at = index;
    for (i = n; i + n <= count; i += n) {
      at = hn::Add(at, whole(static_cast<int32_t>(n)));
      const Real x = load_lanes(from + i);
      const RealMask take = Order::better(x, value);
      value = hn::IfThenElse(take, x, value);
      index = as_int(hn::IfThenElse(take, as_real(at), as_real(index)));
    }
    HWY_ALIGN float values[16];
    HWY_ALIGN int32_t indices[16];
    hn::Store(value, real_tag, values);
    hn::Store(index, int_tag, indices);
    best = {values[0], indices[0]};
    for (int64_t lane = 1; lane < n; ++lane)
      if (const Best other{values[lane], indices[lane]}; before<Order>(other, best)) best = other;
  }
  for (; i < count; ++i)
    if (const Best other{from[i], static_cast<int32_t>(i)}; before<Order>(other, best)) best = other;
  return best;
}

template <class Order, bool into>
void row_argmax(const TileOp& op, const TileFrame& frame) {
  const float* from = frame.reg[op.in[0]];
  float *values = frame.reg[op.in[1]], *out = frame.reg[op.out];
  for (int64_t row = 0; row < frame.rows; ++row) {
    Best best{0, 0};
    if (frame.columns > 0) best = best_of_row<Order>(from + row * frame.columns, frame.columns);
    best.index += static_cast<int32_t>(frame.column0);
    if (into && !before<Order>(best, {values[row], std::bit_cast<int32_t>(out[row])})) continue;
    values[row] = best.value;
    out[row] = std::bit_cast<float>(best.index);
  }
}

// --- Down the columns ---

// Adds the rows of `width` elements to the accumulator, 4 vectors of it at a time.
template <class Op, int vectors>
HWY_INLINE void add_down(const float* from, int64_t rows, int64_t width, float* to) {
  const auto n = static_cast<int64_t>(lanes_per_vector());
  Real sum[vectors];
  for (int i = 0; i < vectors; ++i) sum[i] = load_lanes(to + i * n);
  for (int64_t row = 0; row < rows; ++row, from += width)
    for (int i = 0; i < vectors; ++i) sum[i] = Op::merge(sum[i], load_lanes(from + i * n));
  for (int i = 0; i < vectors; ++i) store_lanes(sum[i], to + i * n);
}

// A row of the accumulator is `inner` rows of the tile: several where columns are few.
template <class Op>
void column_reduce(const TileOp& op, const TileFrame& frame) {
  const float* from = frame.reg[op.in[0]];
  float* to = frame.reg[op.out];
  const auto n = static_cast<int64_t>(lanes_per_vector());
  const int64_t width = op.inner * frame.columns;
  if (width == 0) return;
  const int64_t count = frame.rows * frame.columns, rows = count / width, rest = count % width;
  int64_t i = 0;
  for (; i + 4 * n <= width; i += 4 * n) add_down<Op, 4>(from + i, rows, width, to + i);
  for (; i < width; i += n) add_down<Op, 1>(from + i, rows, width, to + i);
  from += rows * width;
  for (i = 0; i < rest; i += n)
    store_lanes(Op::merge(load_lanes(to + i), load_some<Op>(from + i, static_cast<size_t>(rest - i))), to + i);
}

template <class Order>
void column_argmax(const TileOp& op, const TileFrame& frame) {
  const float* from = frame.reg[op.in[0]];
  float *values = frame.reg[op.in[1]], *out = frame.reg[op.out];
  const auto n = static_cast<int64_t>(lanes_per_vector());
  for (int64_t row = 0; row < frame.rows; ++row, from += frame.columns) {
    const Real at = as_real(whole(static_cast<int32_t>(frame.row0 + row)));
    for (int64_t i = 0; i < frame.columns; i += n) {
      const Real x = load_lanes(from + i), value = load_lanes(values + i);
      const RealMask take = Order::better(x, value);
      store_lanes(hn::IfThenElse(take, x, value), values + i);
      store_lanes(hn::IfThenElse(take, at, load_lanes(out + i)), out + i);
    }
  }
}

template <class Op>
void fill(const TileOp& op, const TileFrame& frame) {
  float* to = frame.reg[op.out];
  for (int64_t i = 0; i < op.size; i += static_cast<int64_t>(lanes_per_vector()))
    store_lanes(identity_of<Op>(), to + i);
}

template <class Op>
void combine(const TileOp& op, const TileFrame& frame) {
  const float* from = frame.reg[op.in[0]];
  float* to = frame.reg[op.out];
  for (int64_t i = 0; i < op.size; i += static_cast<int64_t>(lanes_per_vector()))
    store_lanes(Op::merge(load_lanes(to + i), load_lanes(from + i)), to + i);
}

// The accumulator's `inner` rows of the tile, merged to one.
template <class Op>
void fold(const TileOp& op, const TileFrame& frame) {
  const float* from = frame.reg[op.in[0]];
  float* to = frame.reg[op.out];
  const auto n = static_cast<int64_t>(lanes_per_vector());
  for (int64_t i = 0; i < frame.columns; i += n) {
    Real sum = load_lanes(from + i);
    for (int64_t row = 1; row < op.inner; ++row) sum = Op::merge(sum, load_lanes(from + row * frame.columns + i));
    store_lanes(sum, to + i);
  }
}

// --- Partial results of `size` chunks, `pitch` lanes apart in memory ---

template <class Op>
void gather_chunks(const TileOp& op, const TileFrame& frame) {
  const Extent& extent = frame.extent[static_cast<size_t>(op.lanes)];
  const float* from = op.memory + extent.flat;
  float* to = frame.reg[op.out];
  const auto n = static_cast<int64_t>(lanes_per_vector());
  for (int64_t i = 0; i < extent.run; i += n) {
    Real sum = load_lanes(from + i);
    for (int64_t chunk = 1; chunk < op.size; ++chunk) sum = Op::merge(sum, load_lanes(from + chunk * op.pitch + i));
    store_lanes(sum, to + i);
  }
}

// The indices lie `size` chunks behind the values.
template <class Order>
void gather_argmax(const TileOp& op, const TileFrame& frame) {
  const Extent& extent = frame.extent[static_cast<size_t>(op.lanes)];
  const float *values = op.memory + extent.flat, *indices = values + op.size * op.pitch;
  float* to = frame.reg[op.out];
  const auto n = static_cast<int64_t>(lanes_per_vector());
  for (int64_t i = 0; i < extent.run; i += n) {
    Real best = load_lanes(values + i), index = load_lanes(indices + i);
    for (int64_t chunk = 1; chunk < op.size; ++chunk) {
      const Real x = load_lanes(values + chunk * op.pitch + i);
      const RealMask take = Order::better(x, best);
      best = hn::IfThenElse(take, x, best);
      index = hn::IfThenElse(take, load_lanes(indices + chunk * op.pitch + i), index);
    }
    store_lanes(index, to + i);
  }
}

// --- The table ---

template <class Op>
void fill_op(TileTable& table, ReduceOp op, LaneType type) {
  const auto i = static_cast<size_t>(op), j = static_cast<size_t>(type);
  table.row_reduce[i][j] = &row_reduce<Op, false>;
  table.row_merge[i][j] = &row_reduce<Op, true>;
  table.column_reduce[i][j] = &column_reduce<Op>;
  table.combine[i][j] = &combine<Op>;
  table.fold[i][j] = &fold<Op>;
  table.gather_chunks[i][j] = &gather_chunks<Op>;
  table.fill[i][j] = &fill<Op>;
}

template <class Order>
void fill_order(TileTable& table, LaneType type) {
  const auto j = static_cast<size_t>(type);
  table.row_argmax[j] = &row_argmax<Order, false>;
  table.row_argmax_merge[j] = &row_argmax<Order, true>;
  table.column_argmax[j] = &column_argmax<Order>;
  table.gather_argmax[j] = &gather_argmax<Order>;
}

void fill_reduce_of_target(TileTable& table) {
  fill_op<RealSum>(table, ReduceOp::sum, LaneType::real);
  fill_op<IntSum>(table, ReduceOp::sum, LaneType::i32);
  fill_op<WordSum>(table, ReduceOp::sum, LaneType::u32);
  fill_op<RealMax>(table, ReduceOp::max, LaneType::real);
  fill_op<IntMax>(table, ReduceOp::max, LaneType::i32);
  fill_op<WordMax>(table, ReduceOp::max, LaneType::u32);
  fill_order<RealOrder>(table, LaneType::real);
  fill_order<IntOrder>(table, LaneType::i32);
  fill_order<WordOrder>(table, LaneType::u32);
}

}  // namespace
}  // namespace descent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::cpu {

HWY_EXPORT(fill_reduce_of_target);
void fill_reduce(TileTable& table) { HWY_DYNAMIC_DISPATCH(fill_reduce_of_target)(table); }

}  // namespace descent::cpu
#endif
