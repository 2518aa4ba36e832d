#pragma once

#include <cmath>
#include <numbers>

#include "descent/ops/exp.h"
#include "descent/ops/neg.h"

namespace descent {

struct Erf : ElementwiseFloating<Erf, 1> {
  static constexpr auto name = "erf";
  static constexpr auto summary = "the error function: 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x";
  static constexpr auto scalar_op = ScalarOp::erf;

  static double scalar(double x) { return std::erf(x); }
  static Tensors vjp(const VjpArgs& args) {
    const Tensor x = args.inputs[0];
    return {args.cotangents[0] * (2 * std::numbers::inv_sqrtpi * exp(-(x * x), args.at))};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -3, 3}}, {}},
            {"near zero", {{{DType::f32, {5}}, 0, 0, {0, -0.0, 1e-3, -1e-5, 1e-10}}}, {}},
            {"saturated", {{{DType::f32, {6}}, 0, 0, {4, -4, 6, -6, 50, -50}}}, {}},
            {"edge", {{{DType::f32, {3}}, 0, 0, {HUGE_VAL, -HUGE_VAL, NAN}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {3}}}, {}, "erf: needs floating-point inputs, got i32[3]"}}; }
};

inline Tensor erf(Tensor x, Site at = Site::here()) { return apply<Erf>({x}, {}, at); }

}  // namespace descent
