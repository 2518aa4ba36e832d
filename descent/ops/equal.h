#pragma once

#include <cmath>

#include "descent/ops/operand.h"
#include "descent/ops/type_rules.h"

namespace descent {

struct Equal : Elementwise<Equal, 2> {
  static constexpr auto name = "equal";
  static constexpr auto summary = "whether a = b; false where either is NaN";
  static constexpr auto scalar_op = ScalarOp::equal;
  static constexpr bool exact = true;
  static constexpr auto no_gradient = "a boolean has no derivative";

  static std::vector<Type> infer(const InferArgs& args) { return infer_compared(args, name); }
  static double scalar(double a, double b) { return a == b; }

  static Samples samples() {
    return {{"integers", {{{DType::i32, {4, 5}}, -2, 2}, {{DType::i32, {4, 5}}, -2, 2}}, {}},
            {"bytes", {{{DType::u8, {4, 5}}, 0, 4}, {{DType::u8, {4, 5}}, 0, 4}}, {}},
            {"booleans", {{{DType::boolean, {9}}, 0, 2}, {{DType::boolean, {9}}, 0, 2}}, {}},
            {"edge",
             {{{DType::f32, {7}}, 0, 0, {1, 0, -0.0, NAN, NAN, HUGE_VAL, 2}},
              {{DType::f32, {7}}, 0, 0, {1, -0.0, 1, 1, NAN, HUGE_VAL, -2}}},
             {}},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2}}, {DType::i32, {2}}}, {}, "equal: input 1 is i32[2] but input 0 is f32[2]"}};
  }
};

inline Tensor equal(Operand a, Operand b) {
  const OperandPair pair(a, b, "equal");
  return apply<Equal>({pair.lhs, pair.rhs}, {}, pair.at);
}

}  // namespace descent
