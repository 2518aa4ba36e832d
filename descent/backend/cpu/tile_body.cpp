#include "descent/backend/cpu/tile_body.h"

#include <bit>
#include <cmath>
#include <numeric>

#include "descent/compile/view.h"

namespace descent::cpu {

namespace {

using Kind = TileNode::Kind;

constexpr std::array<std::string_view, arith_count> arith_names{
    "neg",   "exp", "log", "sqrt", "sin", "cos", "tanh", "erf", "x_erf_slope", "rounded_gelu", "rounded_gelu_slope",
    "floor", "add", "sub", "mul",  "div", "max", "min",  "pow", "less",        "equal",        "where"};
// About the vectors of plain arithmetic that one of it costs.
constexpr std::array<int, arith_count> arith_costs{1, 6, 8, 4, 10, 10, 12, 10, 12, 8, 8,
                                                   1, 1, 1, 1, 3,  1,  1,  40, 1,  1, 1};

struct ScalarRow {
  ScalarOp op;
  Arith arith;
};
constexpr ScalarRow scalar_rows[] = {{ScalarOp::neg, Arith::neg},
                                     {ScalarOp::exp, Arith::exp},
                                     {ScalarOp::log, Arith::log},
                                     {ScalarOp::sqrt, Arith::sqrt},
                                     {ScalarOp::sin, Arith::sin},
                                     {ScalarOp::cos, Arith::cos},
                                     {ScalarOp::tanh, Arith::tanh},
                                     {ScalarOp::erf, Arith::erf},
                                     {ScalarOp::x_erf_slope, Arith::x_erf_slope},
                                     {ScalarOp::rounded_gelu, Arith::rounded_gelu},
                                     {ScalarOp::rounded_gelu_slope, Arith::rounded_gelu_slope},
                                     {ScalarOp::floor, Arith::floor},
                                     {ScalarOp::add, Arith::add},
                                     {ScalarOp::mul, Arith::mul},
                                     {ScalarOp::div, Arith::div},
                                     {ScalarOp::max, Arith::max},
                                     {ScalarOp::min, Arith::min},
                                     {ScalarOp::pow, Arith::pow},
                                     {ScalarOp::less, Arith::less},
                                     {ScalarOp::equal, Arith::equal},
                                     {ScalarOp::where, Arith::where}};

Arith arith_of(ScalarOp op) {
  for (const ScalarRow& row : scalar_rows)
    if (row.op == op) return row.arith;
  fail("a loop kernel has a scalar instruction that the tile machine does not know");
}

// Results that have their arguments' dtype without rounding.
bool is_exact(Arith op, DType dtype) {
  if (op == Arith::neg) return dtype != DType::u8 && dtype != DType::boolean;
  return op == Arith::floor || op == Arith::max || op == Arith::min || op == Arith::where;
}
bool is_comparison(Arith op) { return op == Arith::less || op == Arith::equal; }

// Whether every value of `from` is one of `to`, in the same lanes.
bool holds(DType to, DType from) {
  if (to == from || (to == DType::f32 && is_floating(from))) return true;
  const bool small = from == DType::u8 || from == DType::boolean;
  return small && (to == DType::i32 || to == DType::u32 || (to == DType::u8 && from == DType::boolean));
}

uint32_t lane_bits(double value, DType dtype) {
  const double exact = rounded(value, dtype);
  switch (lane_type(dtype)) {
    case LaneType::real: return std::bit_cast<uint32_t>(static_cast<float>(exact));
    case LaneType::i32: return std::bit_cast<uint32_t>(static_cast<int32_t>(exact));
    case LaneType::u32: return static_cast<uint32_t>(exact);
  }
  return 0;
}

// The smallest number of elements after which the view repeats: its size from the outermost axis that moves inwards.
int64_t period_of(const TileView& view) {
  int axis = 0;
  while (axis < view.axes && view.strides[static_cast<size_t>(axis)] == 0) ++axis;
  int64_t period = 1;
  for (; axis < view.axes; ++axis) period *= view.sizes[static_cast<size_t>(axis)];
  return period;
}

class BodyBuilder {
 public:
  BodyBuilder(const LoopKernel& kernel, Walk walk, const TileTable& table)
      : kernel_(kernel), walk_(walk), table_(table) {}

  TileBody build() {
    for (const View& view : kernel_.views) body_.views.push_back(tile_view(view));
    for (size_t i = 0; i < kernel_.body.size(); ++i) {
      try {
        node_of_.push_back(translate(kernel_.body[i]));
      } catch (const Error& error) {
        fail(text("instruction ", i, ": ", error.what()));
      }
    }
    return std::move(body_);
  }

 private:
  const TileNode& node(int id) const { return body_.nodes[static_cast<size_t>(id)]; }
  const TileView& view(int index) const { return body_.views[static_cast<size_t>(index)]; }
  int argument(const Instr& instr, size_t i) const {
    if (instr.args[i] < 0 || instr.args[i] >= static_cast<int32_t>(node_of_.size()) ||
        node_of_[static_cast<size_t>(instr.args[i])] < 0)
      fail(text("argument ", i, " is no earlier register"));
    return node_of_[static_cast<size_t>(instr.args[i])];
  }

  // A period, if the domain has more than one of it.
  int64_t repeating(int64_t period) const { return period < kernel_.rows * kernel_.columns ? period : 0; }

  int add(TileNode made) {
    body_.nodes.push_back(std::move(made));
    return static_cast<int>(body_.nodes.size()) - 1;
  }

  int translate(const Instr& instr) {
    if (instr.dtype == DType::f64 ||
        (instr.view >= 0 && kernel_.views[static_cast<size_t>(instr.view)].dtype == DType::f64))
      fail("f64 is not computed by the tile machine; use f32");
    switch (instr.op) {
      case LoopOp::load: return load(instr);
      case LoopOp::store: return store(instr);
      case LoopOp::constant:
        return add({.kind = Kind::constant,
                    .level = instr.level,
                    .dtype = instr.dtype,
                    .bits = lane_bits(instr.number, instr.dtype),
                    .uniform = true,
                    .period = 1});
      case LoopOp::iota: return iota(instr);
      case LoopOp::random_bits: return random(instr);
      case LoopOp::scalar: return scalar(instr);
      case LoopOp::spread: return spread(instr);
      case LoopOp::sum:
      case LoopOp::max:
      case LoopOp::argmax: return reduce(instr);
    }
    fail("unknown");
  }

  int load(const Instr& instr) {
    TileNode made{.kind = Kind::load,
                  .level = instr.level,
                  .dtype = kernel_.views[static_cast<size_t>(instr.view)].dtype,
                  .view = instr.view,
                  .cost = 2};
    made.uniform = view(instr.view).uniform();
    made.period = instr.level == Level::element ? repeating(period_of(view(instr.view))) : 0;
    return cast(add(made), instr.dtype);
  }

  int store(const Instr& instr) {
    const int value =
        own_lanes(cast(argument(instr, 0), kernel_.views[static_cast<size_t>(instr.view)].dtype), instr.level);
    return add({.kind = Kind::store,
                .level = instr.level,
                .dtype = node(value).dtype,
                .in = {value, -1, -1, -1},
                .view = instr.view,
                .cost = 2}),
           -1;
  }

  int iota(const Instr& instr) {
    if (instr.inner < 1 || instr.size < 1) fail("an iota over nothing");
    TileNode made{
        .kind = Kind::iota, .level = instr.level, .dtype = DType::i32, .inner = instr.inner, .size = instr.size};
    made.period = instr.level == Level::element ? repeating(instr.inner * instr.size) : 0;
    return cast(add(made), instr.dtype);
  }

  int random(const Instr& instr) {
    for (const int32_t index : {instr.view, instr.view2})
      if (kernel_.views.at(static_cast<size_t>(index)).dtype != DType::u32)
        fail("random bits take a key and a counter of u32");
    return cast(add({.kind = Kind::random,
                     .level = instr.level,
                     .dtype = DType::u32,
                     .view = instr.view,
                     .view2 = instr.view2,
                     .bits = instr.stream,
                     .cost = 12}),
                instr.dtype);
  }

  // --- Computing ---

  // A compute node: what follows from its arguments follows here.
  int compute(TileNode made) {
    made.kind = Kind::compute;
    if (made.run == nullptr)
      fail(text("there is no ", made.arith ? arith_names[static_cast<size_t>(*made.arith)] : "cast", " for ",
                made.dtype));
    made.uniform = made.steady = true;
    made.period = made.level == Level::element ? 1 : 0;
    for (const int id : made.in) {
      if (id < 0) continue;
      made.uniform &= node(id).uniform;
      made.steady &= node(id).repeats();
      made.period = node(id).period == 0 ? 0 : std::lcm(made.period, node(id).period);
      if (made.period > TileNode::longest_period) made.period = 0;
    }
    made.steady &= !made.uniform;
    return add(made);
  }

  int cast(int from, DType to) {
    if (holds(to, node(from).dtype)) {
      if (node(from).dtype == to) return from;
      if (lane_type(to) == lane_type(node(from).dtype))
        return from;  // the same bits, and no narrower type is asked for
    }
    const LaneType type = lane_type(node(from).dtype);
    return compute({.level = node(from).level,
                    .dtype = to,
                    .run = table_.cast[static_cast<size_t>(type)][static_cast<size_t>(to)],
                    .in = {from, -1, -1, -1},
                    .type = type});
  }

  // `id` in lanes of its own: routines other than arithmetic do not repeat a group.
  int own_lanes(int id, Level level) {
    if (!node(id).repeats()) return id;
    TileNode made{.kind = Kind::compute,
                  .level = level,
                  .dtype = node(id).dtype,
                  .run = table_.cast[static_cast<size_t>(LaneType::real)][static_cast<size_t>(DType::f32)],
                  .in = {id, -1, -1, -1},
                  .type = lane_type(node(id).dtype)};
    made.period = level == Level::element && node(id).uniform ? 1 : 0;
    return add(made);
  }

  int scalar(const Instr& instr) {
    if (instr.scalar == ScalarOp::cast) return cast(argument(instr, 0), instr.dtype);
    const Arith op = arith_of(instr.scalar);
    std::array<int, 4> in{-1, -1, -1, -1};
    const size_t count = op == Arith::where ? 3 : op >= Arith::add ? 2 : 1;
    for (size_t i = 0; i < count; ++i) in[i] = argument(instr, i);
    if (op == Arith::pow)
      if (const int product = power(in, instr); product >= 0) return product;
    return arithmetic(op, in, instr.level, instr.dtype);
  }

  // Small whole powers, as products.
  int power(const std::array<int, 4>& in, const Instr& instr) {
    if (instr.dtype != DType::f32 || node(in[1]).kind != Kind::constant) return -1;
    const auto exponent = std::bit_cast<float>(node(in[1]).bits);
    if (exponent != 2 && exponent != 3) return -1;
    const int square = arithmetic(Arith::mul, {in[0], in[0], -1, -1}, instr.level, instr.dtype);
    return exponent == 2 ? square : arithmetic(Arith::mul, {square, in[0], -1, -1}, instr.level, instr.dtype);
  }

  int arithmetic(Arith op, const std::array<int, 4>& in, Level level, DType dtype) {
    const auto index = static_cast<size_t>(op);
    const LaneType type = lane_type(node(in[op == Arith::where ? 1 : 0]).dtype);
    const bool in_bf16 = dtype == DType::bf16 && !is_exact(op, dtype);
    TileNode made{.level = level,
                  .dtype = dtype,
                  .in = in,
                  .type = type,
                  .arith = op,
                  .in_bf16 = in_bf16,
                  .cost = arith_costs[index]};
    made.run = in_bf16 ? table_.arith_bf16[index] : table_.arith[static_cast<size_t>(type)][index];
    if (is_comparison(op) || is_exact(op, dtype) || in_bf16 || dtype == DType::f32 || dtype == DType::i32 ||
        dtype == DType::u32) {
      return compute(made);
    }
    made.dtype = type == LaneType::real ? DType::f32 : DType::i32;
    return cast(compute(made), dtype);
  }

  // --- Between levels ---

  int spread(const Instr& instr) {
    const int from = argument(instr, 0);
    if (node(from).uniform) return from;
    if (walk_ == Walk::long_rows && node(from).level == Level::column)
      return from;  // the tile's columns are its elements
    TileNode made{.kind = Kind::spread, .dtype = node(from).dtype, .in = {from, -1, -1, -1}};
    made.steady = walk_ == Walk::long_rows;
    made.period = node(from).level == Level::column ? kernel_.columns : 0;
    return add(made);
  }

  int reduce(const Instr& instr) {
    int from = argument(instr, 0);
    if (instr.op != LoopOp::argmax && lane_type(instr.dtype) != lane_type(node(from).dtype))
      from = cast(from, instr.dtype);
    const LaneType type = lane_type(node(from).dtype);
    const DType lanes = type == LaneType::real ? DType::f32 : type == LaneType::i32 ? DType::i32 : DType::u32;
    const DType result = instr.op == LoopOp::argmax ? DType::i32 : instr.op == LoopOp::max ? node(from).dtype : lanes;
    from = own_lanes(from, Level::element);
    return cast(add({.kind = Kind::reduce,
                     .level = instr.level,
                     .dtype = result,
                     .in = {from, -1, -1, -1},
                     .reduce = instr.op,
                     .type = type}),
                instr.dtype);
  }

  const LoopKernel& kernel_;
  Walk walk_;
  const TileTable& table_;
  TileBody body_;
  std::vector<int> node_of_;  // by instruction
};

}  // namespace

TileView tile_view(const View& view) {
  const View small = collapsed(view);
  if (small.sizes.size() > TileView::max_axes)
    fail(text("the view ", view, " has more than ", TileView::max_axes, " axes"));
  TileView out{
      .buffer = view.buffer, .dtype = view.dtype, .offset = view.offset, .axes = static_cast<int>(small.sizes.size())};
  std::ranges::copy(small.sizes, out.sizes.begin());
  std::ranges::copy(small.strides, out.strides.begin());
  return out;
}

TileBody tile_body(const LoopKernel& kernel, Walk walk, const TileTable& table) {
  return BodyBuilder(kernel, walk, table).build();
}

}  // namespace descent::cpu
