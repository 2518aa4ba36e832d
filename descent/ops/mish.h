#pragma once

#include "descent/ops/softplus.h"
#include "descent/ops/tanh.h"

namespace descent {

// Misra, "Mish: a self regularized non-monotonic activation function", 2019.
struct Mish : FloatingComposite<Mish, 1> {
  static constexpr auto name = "mish";
  static constexpr auto summary = "x * tanh(softplus(x))";

  static double scalar(double x) { return x * std::tanh(Softplus::scalar(x)); }
  static Tensors expand(const ExpandArgs& args) {
    return {args.inputs[0] * tanh(softplus(args.inputs[0], args.at), args.at)};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -4, 4}}, {}},
            {"tails", {{{DType::f32, {6}}, 0, 0, {0, -20, 20, -80, -1e4, 1e4}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {2}}}, {}, "mish: needs floating-point inputs, got i32[2]"}}; }
};

inline Tensor mish(Tensor x, Site at = Site::here()) { return apply<Mish>({x}, {}, at); }

}  // namespace descent
