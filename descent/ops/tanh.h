#pragma once

#include <cmath>

#include "descent/ops/mul.h"
#include "descent/ops/sub.h"

namespace descent {

struct Tanh : ElementwiseFloating<Tanh, 1> {
  static constexpr auto name = "tanh";
  static constexpr auto summary = "the hyperbolic tangent of x";
  static constexpr auto scalar_op = ScalarOp::tanh;

  static double scalar(double x) { return std::tanh(x); }
  static Tensors vjp(const VjpArgs& args) {
    const Tensor y = args.outputs[0];
    return {args.cotangents[0] * (1 - y * y)};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -3, 3}}, {}},
            {"near zero", {{{DType::f32, {5}}, 0, 0, {0, -0.0, 1e-3, -1e-5, 1e-10}}}, {}},
            {"saturated", {{{DType::f32, {6}}, 0, 0, {8, -8, 20, -20, 100, -100}}}, {}},
            {"edge", {{{DType::f32, {3}}, 0, 0, {HUGE_VAL, -HUGE_VAL, NAN}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {3}}}, {}, "tanh: needs floating-point inputs, got i32[3]"}}; }
};

inline Tensor tanh(Tensor x, Site at = Site::here()) { return apply<Tanh>({x}, {}, at); }

}  // namespace descent
