#pragma once

#include <cmath>

#include "descent/ops/slice.h"

namespace descent {

struct Pad {
  static constexpr auto name = "pad";
  static constexpr auto summary =
      "x with low[i] times the value before axis i and high[i] times behind: {low, high, value}";
  static constexpr OpClass op_class = OpClass::view;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type& in = args.inputs[0];
    const auto &low = args.attrs.integers("low"), &high = args.attrs.integers("high");
    const auto rank = static_cast<size_t>(in.shape.rank());
    if (low.size() != rank || high.size() != rank)
      fail(text(name, ": needs a low and a high for each of the ", rank, " axes of ", in, ", got ", low.size(), " and ",
                high.size()));
    Shape out;
    for (int axis = 0; axis < in.shape.rank(); ++axis) {
      if (low[axis] < 0 || high[axis] < 0)
        fail(text(name, ": padding axis ", axis, " of ", in, " by ", low[axis], " and ", high[axis],
                  "; neither may be negative"));
      out.push_back(low[axis] + in.shape[axis] + high[axis]);
    }
    return {{in.dtype, out}};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<int64_t>& low = args.attrs.integers("low");
    std::vector<double>& out = args.outputs[0].values;
    std::ranges::fill(out, args.attrs.number("value"));
    const std::vector<int64_t> strides = dense_strides(args.outputs[0].type.shape);
    for_each_index(args.inputs[0].type.shape, [&](std::span<const int64_t> index, int64_t flat) {
      int64_t to = 0;
      for (size_t i = 0; i < low.size(); ++i) to += (low[i] + index[i]) * strides[i];
      out[to] = args.inputs[0].values[flat];
    });
  }

  static Tensors vjp(const VjpArgs& args) {
    const std::vector<int64_t>& low = args.attrs.integers("low");
    std::vector<int64_t> end = low;
    for (size_t i = 0; i < end.size(); ++i) end[i] += args.inputs[0].shape()[static_cast<int>(i)];
    return {slice(args.cotangents[0], low, std::move(end), {}, args.at)};
  }

  static Samples samples() {
    using Ints = std::vector<int64_t>;
    const auto by = [](Ints low, Ints high, double value) {
      return Attrs{{"low", std::move(low)}, {"high", std::move(high)}, {"value", value}};
    };
    return {{"matrix", {{{DType::f32, {3, 4}}}}, by({1, 2}, {2, 0}, 0)},
            {"value", {{{DType::f32, {2, 3, 2}}}}, by({0, 1, 0}, {1, 0, 2}, -7.5)},
            {"minus infinity", {{{DType::f32, {4}}}}, by({1}, {1}, -HUGE_VAL)},
            {"integers", {{{DType::i32, {4}}, -9, 9}}, by({2}, {3}, 5)},
            {"by nothing", {{{DType::f32, {4}}}}, by({0}, {0}, 1)},
            {"nothing", {{{DType::f32, {0, 4}}}}, by({2, 0}, {1, 1}, 3)}};
  }
  static Misuses misuse() {
    using Ints = std::vector<int64_t>;
    const Type x{DType::f32, {3, 4}};
    return {{{x},
             {{"low", Ints{0, -1}}, {"high", Ints{0, 0}}, {"value", 0.0}},
             "pad: padding axis 1 of f32[3,4] by -1 and 0; neither may be negative"},
            {{x},
             {{"low", Ints{0}}, {"high", Ints{0}}, {"value", 0.0}},
             "for each of the 2 axes of f32[3,4], got 1 and 1"}};
  }
};

// One low and one high for each axis. `x` itself if all are 0.
inline Tensor pad(Tensor x, std::vector<int64_t> low, std::vector<int64_t> high, double value = 0,
                  Site at = Site::here()) {
  const auto zero = [](const std::vector<int64_t>& sizes) { return std::ranges::count(sizes, 0) == std::ssize(sizes); };
  if (zero(low) && zero(high) && std::ssize(low) == x.rank() && std::ssize(high) == x.rank()) return x;
  return apply<Pad>({x}, {{"low", std::move(low)}, {"high", std::move(high)}, {"value", value}}, at);
}

}  // namespace descent
