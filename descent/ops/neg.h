#pragma once

#include <cmath>

#include "descent/ops/operand.h"
#include "descent/ops/type_rules.h"

namespace descent {

struct Neg : Elementwise<Neg, 1> {
  static constexpr auto name = "neg";
  static constexpr auto summary = "-x";
  static constexpr auto scalar_op = ScalarOp::neg;
  static constexpr bool exact = true;

  static std::vector<Type> infer(const InferArgs& args) { return infer_signed(args, name); }
  static double scalar(double x) { return -x; }
  static Tensors vjp(const VjpArgs& args) { return {apply<Neg>({args.cotangents[0]}, {}, args.at)}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}}, {}},
            {"integers", {{{DType::i32, {7}}, -9, 9}}, {}},
            {"points", {{{DType::f32, {5}}, 0, 0, {0, -0.0, 1, HUGE_VAL, NAN}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::u8, {3}}}, {}, "neg: u8 has no negative numbers, got u8[3]"}}; }
};

inline Tensor neg(Tensor x, Site at = Site::here()) { return apply<Neg>({x}, {}, at); }
inline Tensor operator-(Operand x) { return neg(x.tensor, x.at); }

}  // namespace descent
