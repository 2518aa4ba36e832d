#pragma once

#include "descent/ops/div.h"
#include "descent/ops/exp.h"
#include "descent/ops/max.h"
#include "descent/ops/sub.h"

namespace descent {

struct Softmax {
  static constexpr auto name = "softmax";
  static constexpr auto summary = "exp(x) over its sum along the last axis";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    if (args.inputs[0].shape.rank() == 0) fail(text(name, ": needs at least one axis, got ", args.inputs[0]));
    return {args.inputs[0]};
  }

  static void evaluate(const EvalArgs& args) {
    const int64_t columns = args.inputs[0].type.shape.back();
    const std::vector<double>& x = args.inputs[0].values;
    std::vector<double>& y = args.outputs[0].values;
    for (size_t row = 0; row < x.size(); row += columns) {
      const double largest = *std::max_element(x.begin() + row, x.begin() + row + columns);
      double total = 0;
      for (int64_t i = 0; i < columns; ++i) total += y[row + i] = std::exp(x[row + i] - largest);
      for (int64_t i = 0; i < columns; ++i) y[row + i] /= total;
    }
  }

  // Shifting by the largest keeps exp in range and cancels in the quotient.
  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0];
    const Tensor shifted = exp(sub(x, max(x, {-1}, true, args.at)), args.at);
    return {div(shifted, sum(shifted, {-1}, true, args.at))};
  }

  // dx = y (g - <g, y>): keeps y, not the shifted exponentials.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor y = args.outputs[0], g = args.cotangents[0];
    return {mul(y, sub(g, sum(mul(g, y), {-1}, true, args.at)))};
  }

  static Samples samples() {
    return {{"rows", {{{DType::f32, {4, 10}}, -3, 3}}, {}},
            {"long", {{{DType::f32, {2, 1500}}, -3, 3}}, {}},
            {"one class", {{{DType::f32, {3, 1}}}}, {}},
            {"large", {{{DType::f32, {1, 3}}, 0, 0, {1000, 999, -1000}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::f32, {}}}, {}, "softmax: needs at least one axis, got f32[]"}}; }
};

inline Tensor softmax(Tensor x, Site at = Site::here()) { return apply<Softmax>({x}, {}, at); }

}  // namespace descent
