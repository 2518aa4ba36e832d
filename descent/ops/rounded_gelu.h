#pragma once

#include "descent/ops/gelu.h"
#include "descent/ops/type_rules.h"

namespace descent {

// A number's type and bf16.
inline std::vector<Type> infer_rounded(const InferArgs& args, std::string_view name) {
  return {{DType::bf16, infer_floating(args, name)[0].shape}};
}

// What mixed precision makes of a gelu that is wanted in bf16 alone: a backend need be no more exact than the result
// shows (and where that is next to nothing, than absolute_error), at half the cost of erf. Infinities may give no
// number.
struct RoundedGelu : Elementwise<RoundedGelu, 1> {
  static constexpr auto name = "rounded_gelu";
  static constexpr auto summary = "gelu in bf16";
  static constexpr auto scalar_op = ScalarOp::rounded_gelu;
  static constexpr double absolute_error = 1.6e-6;
  static constexpr auto no_gradient = "a program is brought to it after its gradients";

  static std::vector<Type> infer(const InferArgs& args) { return infer_rounded(args, name); }
  static double scalar(double x) { return Gelu::exact(x); }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {7, 45}}, -4, 6}}, {}},
            {"of bf16", {{{DType::bf16, {40}}, -3, 3}}, {}},
            {"special", {{{DType::f32, {9}}, 0, 0, {0, -0.0, 1e-30, -1e-5, -20, 20, -6e4, 6e4, NAN}}}, {}},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::i32, {3}}}, {}, "rounded_gelu: needs floating-point inputs, got i32[3]"}};
  }
};

inline Tensor rounded_gelu(Tensor x, Site at = Site::here()) { return apply<RoundedGelu>({x}, {}, at); }

}  // namespace descent
