#pragma once

#include <cmath>
#include <numbers>

#include "descent/ops/add.h"
#include "descent/ops/composite.h"
#include "descent/ops/mul.h"
#include "descent/ops/sub.h"
#include "descent/ops/tanh.h"
#include "descent/ops/x_erf_slope.h"

namespace descent {

// The derivative of gelu: with the normal distribution's F and its density f, F(x) + x f(x); or that of gelu's
// approximation. It has a name so that it may be computed where gelu is, and kept in the place of x.
struct GeluSlope {
  static constexpr auto name = "gelu_slope";
  static constexpr auto summary = "the derivative of gelu: {approximate: by tanh}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;
  static constexpr double root_half = 1 / std::numbers::sqrt2, cubic = 0.044715;
  static constexpr double root_two_over_pi = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;

  static std::vector<Type> infer(const InferArgs& args) {
    args.attrs.integer("approximate");
    return infer_floating(args, name);
  }
  static double exact(double x) {
    return std::erfc(-x * root_half) / 2 + x * std::exp(-x * x / 2) * root_two_over_pi / 2;
  }
  static double approximate(double x) {
    const double t = std::tanh(root_two_over_pi * (x + cubic * x * x * x));
    return (1 + t) / 2 + x / 2 * (1 - t * t) * root_two_over_pi * (1 + 3 * cubic * x * x);
  }

  static void evaluate(const EvalArgs& args) {
    evaluate_each<1>(args, args.attrs.integer("approximate") ? &approximate : &exact);
  }
  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0];
    if (args.attrs.integer("approximate") == 0) return {0.5 * (1 + x_erf_slope(root_half * x, args.at))};
    const Tensor t = tanh(root_two_over_pi * (x + cubic * (x * (x * x))), args.at);
    const Tensor inner = root_two_over_pi * (1 + (3 * cubic) * (x * x));
    return {0.5 * (1 + t) + (0.5 * x) * ((1 - t * t) * inner)};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -3, 3}}, {{"approximate", int64_t{0}}}},
            {"approximate", {{{DType::f32, {3, 5}}, -3, 3}}, {{"approximate", int64_t{1}}}},
            {"special", {{{DType::f32, {4}}, 0, 0, {0, -0.0, -20, 20}}}, {{"approximate", int64_t{0}}}}};
  }
  static Misuses misuse() {
    return {
        {{{DType::i32, {2}}}, {{"approximate", int64_t{0}}}, "gelu_slope: needs floating-point inputs, got i32[2]"}};
  }
};

inline Tensor gelu_slope(Tensor x, bool approximate = false, Site at = Site::here()) {
  return apply<GeluSlope>({x}, {{"approximate", int64_t{approximate}}}, at);
}

}  // namespace descent
