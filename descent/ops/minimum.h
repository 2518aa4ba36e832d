#pragma once

#include <cmath>

#include "descent/ops/maximum.h"

namespace descent {

struct Minimum : Elementwise<Minimum, 2> {
  static constexpr auto name = "minimum";
  static constexpr auto summary = "the smaller of a and b; NaN where either is NaN";
  static constexpr auto scalar_op = ScalarOp::min;
  static constexpr bool exact = true;

  static double scalar(double a, double b) { return a < b || std::isnan(a) ? a : b; }
  static Tensors vjp(const VjpArgs& args) {
    const Tensor a = args.inputs[0], b = args.inputs[1];
    return gradients_of_choice(args, less(a, b), less(b, a));
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}, {{DType::f32, {3, 5}}}}, {}},
            {"integers", {{{DType::i32, {7}}, -9, 9}, {{DType::i32, {7}}, -9, 9}}, {}},
            {"ties", {{{DType::f32, {3}}, 0, 0, {1, 0, -2}}, {{DType::f32, {3}}, 0, 0, {1, 0, -2}}}, {}, false},
            {"edge",
             {{{DType::f32, {5}}, 0, 0, {NAN, 1, NAN, HUGE_VAL, -HUGE_VAL}},
              {{DType::f32, {5}}, 0, 0, {1, NAN, NAN, 1, 1}}},
             {},
             false},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2}}, {DType::f32, {3}}}, {}, "minimum: input 1 is f32[3] but input 0 is f32[2]"}};
  }
};

inline Tensor minimum(Operand a, Operand b) {
  const OperandPair pair(a, b, "minimum");
  return apply<Minimum>({pair.lhs, pair.rhs}, {}, pair.at);
}

}  // namespace descent
