#pragma once

#include "descent/ops/erf.h"
#include "descent/ops/gelu_slope.h"

namespace descent {

// Hendrycks and Gimpel, "Gaussian error linear units", 2016: x times the chance that a standard normal is below x.
struct Gelu {
  static constexpr auto name = "gelu";
  static constexpr auto summary =
      "x / 2 * (1 + erf(x / sqrt 2)), or the authors' approximation x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 "
      "x^3))): {approximate: 0 or 1}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;
  static constexpr double root_half = GeluSlope::root_half, cubic = GeluSlope::cubic;
  static constexpr double root_two_over_pi = GeluSlope::root_two_over_pi;

  static std::vector<Type> infer(const InferArgs& args) {
    args.attrs.integer("approximate");
    return infer_floating(args, name);
  }
  static double exact(double x) { return x / 2 * std::erfc(-x * root_half); }
  static double approximate(double x) { return x / 2 * (1 + std::tanh(root_two_over_pi * (x + cubic * x * x * x))); }

  static void evaluate(const EvalArgs& args) {
    evaluate_each<1>(args, args.attrs.integer("approximate") ? &approximate : &exact);
  }
  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0];
    const Tensor bell = args.attrs.integer("approximate")
                            ? tanh(root_two_over_pi * (x + cubic * (x * (x * x))), args.at)
                            : erf(root_half * x, args.at);
    return {x * (0.5 * (1 + bell))};
  }

  static Tensors vjp(const VjpArgs& args) {
    return {mul(args.cotangents[0], gelu_slope(args.inputs[0], args.attrs.integer("approximate") != 0, args.at))};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -3, 3}}, {{"approximate", 0}}},
            {"approximate", {{{DType::f32, {3, 5}}, -3, 3}}, {{"approximate", 1}}},
            {"special", {{{DType::f32, {6}}, 0, 0, {0, -0.0, -20, 20, -1e4, 1e4}}}, {{"approximate", 0}}},
            {"approximate special", {{{DType::f32, {6}}, 0, 0, {0, -0.0, -20, 20, -100, 100}}}, {{"approximate", 1}}}};
  }
  static Misuses misuse() {
    return {{{{DType::i32, {2}}}, {{"approximate", 0}}, "gelu: needs floating-point inputs, got i32[2]"}};
  }
};

inline Tensor gelu(Tensor x, bool approximate = false, Site at = Site::here()) {
  return apply<Gelu>({x}, {{"approximate", int64_t{approximate}}}, at);
}

}  // namespace descent
