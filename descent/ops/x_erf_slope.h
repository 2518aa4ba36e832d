#pragma once

#include <cmath>
#include <numbers>

#include "descent/ops/exp.h"
#include "descent/ops/mul.h"
#include "descent/ops/neg.h"
#include "descent/ops/sub.h"
#include "descent/ops/type_rules.h"

namespace descent {

// What gelu's derivative is made of, as gelu is of erf. An instruction of its own: beside erf of the same number it
// costs a few operations, where exp would cost as much as erf.
struct XErfSlope : ElementwiseFloating<XErfSlope, 1> {
  static constexpr auto name = "x_erf_slope";
  static constexpr auto summary = "the derivative of x * erf(x): erf(x) + x * 2/sqrt(pi) * exp(-x^2)";
  static constexpr auto scalar_op = ScalarOp::x_erf_slope;

  static double scalar(double x) { return std::erf(x) + x * (2 * std::numbers::inv_sqrtpi * std::exp(-x * x)); }
  static Tensors vjp(const VjpArgs& args) {
    const Tensor square = args.inputs[0] * args.inputs[0];
    return {args.cotangents[0] * (4 * std::numbers::inv_sqrtpi * ((1 - square) * exp(-square, args.at)))};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -3, 3}}, {}},
            {"near zero", {{{DType::f32, {5}}, 0, 0, {0, -0.0, 1e-3, -1e-5, 1e-10}}}, {}},
            {"saturated", {{{DType::f32, {6}}, 0, 0, {4, -4, 6, -6, 50, -50}}}, {}},
            {"edge", {{{DType::f32, {3}}, 0, 0, {HUGE_VAL, -HUGE_VAL, NAN}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::i32, {3}}}, {}, "x_erf_slope: needs floating-point inputs, got i32[3]"}};
  }
};

inline Tensor x_erf_slope(Tensor x, Site at = Site::here()) { return apply<XErfSlope>({x}, {}, at); }

}  // namespace descent
