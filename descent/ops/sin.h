#pragma once

#include <cmath>

#include "descent/ops/mul.h"
#include "descent/ops/neg.h"

namespace descent {

// Sine and cosine are each other's gradient; cos.h, included below, defines this.
Tensor cos(Tensor x, Site at);

struct Sin : ElementwiseFloating<Sin, 1> {
  static constexpr auto name = "sin";
  static constexpr auto summary = "the sine of x, in radians";
  static constexpr auto scalar_op = ScalarOp::sin;

  static double scalar(double x) { return std::sin(x); }
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0] * cos(args.inputs[0], args.at)}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -6, 6}}, {}},
            {"points", {{{DType::f32, {4}}, 0, 0, {0, -0.0, 100, -1000}}}, {}},
            {"edge", {{{DType::f32, {2}}, 0, 0, {HUGE_VAL, NAN}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {3}}}, {}, "sin: needs floating-point inputs, got i32[3]"}}; }
};

inline Tensor sin(Tensor x, Site at = Site::here()) { return apply<Sin>({x}, {}, at); }

}  // namespace descent

#include "descent/ops/cos.h"
