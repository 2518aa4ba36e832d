#pragma once

#include <cmath>

#include "descent/ops/sin.h"

namespace descent {

struct Cos : ElementwiseFloating<Cos, 1> {
  static constexpr auto name = "cos";
  static constexpr auto summary = "the cosine of x, in radians";
  static constexpr auto scalar_op = ScalarOp::cos;

  static double scalar(double x) { return std::cos(x); }
  static Tensors vjp(const VjpArgs& args) { return {-(args.cotangents[0] * sin(args.inputs[0], args.at))}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -6, 6}}, {}},
            {"points", {{{DType::f32, {4}}, 0, 0, {0, -0.0, 100, -1000}}}, {}},
            {"edge", {{{DType::f32, {2}}, 0, 0, {HUGE_VAL, NAN}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {3}}}, {}, "cos: needs floating-point inputs, got i32[3]"}}; }
};

inline Tensor cos(Tensor x, Site at = Site::here()) { return apply<Cos>({x}, {}, at); }

}  // namespace descent
