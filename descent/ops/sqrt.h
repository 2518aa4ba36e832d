#pragma once

#include <cmath>

#include "descent/ops/div.h"

namespace descent {

struct Sqrt : ElementwiseFloating<Sqrt, 1> {
  static constexpr auto name = "sqrt";
  static constexpr auto summary = "the square root of x; NaN below 0";
  static constexpr auto scalar_op = ScalarOp::sqrt;

  static double scalar(double x) { return std::sqrt(x); }
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0] * 0.5 / args.outputs[0]}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, 0.1, 3}}, {}},
            {"far", {{{DType::f32, {3}}, 0, 0, {1e-30, 1e4, 1e30}}}, {}, false},
            {"edge", {{{DType::f32, {5}}, 0, 0, {0, -0.0, -1, HUGE_VAL, NAN}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}, 1, 2}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {3}}}, {}, "sqrt: needs floating-point inputs, got i32[3]"}}; }
};

inline Tensor sqrt(Tensor x, Site at = Site::here()) { return apply<Sqrt>({x}, {}, at); }

}  // namespace descent
