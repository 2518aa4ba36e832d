#pragma once

#include "descent/ops/rounded_gelu.h"

namespace descent {

// The same of gelu's slope, which costs two instructions beside the gelu of the same number. With the attribute
// `stored` it is made where that is, for a gradient to read.
struct RoundedGeluSlope : Elementwise<RoundedGeluSlope, 1> {
  static constexpr auto name = "rounded_gelu_slope";
  static constexpr auto summary = "gelu_slope in bf16";
  static constexpr auto scalar_op = ScalarOp::rounded_gelu_slope;
  static constexpr double absolute_error = 1.4e-5;
  static constexpr auto no_gradient = RoundedGelu::no_gradient;

  static std::vector<Type> infer(const InferArgs& args) { return infer_rounded(args, name); }
  static double scalar(double x) { return GeluSlope::exact(x); }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {7, 45}}, -4, 6}}, {}},
            {"of bf16", {{{DType::bf16, {40}}, -3, 3}}, {}},
            {"special", {{{DType::f32, {8}}, 0, 0, {0, -0.0, 1e-30, -20, 20, -6e4, 6e4, NAN}}}, {}},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::i32, {3}}}, {}, "rounded_gelu_slope: needs floating-point inputs, got i32[3]"}};
  }
};

inline Tensor rounded_gelu_slope(Tensor x, bool stored = false, Site at = Site::here()) {
  return apply<RoundedGeluSlope>({x}, stored ? Attrs{{"stored", int64_t{1}}} : Attrs{}, at);
}

}  // namespace descent
