#pragma once

#include <cmath>

#include "descent/ops/operand.h"
#include "descent/ops/type_rules.h"

namespace descent {

struct Less : Elementwise<Less, 2> {
  static constexpr auto name = "less";
  static constexpr auto summary = "whether a < b; false where either is NaN";
  static constexpr auto scalar_op = ScalarOp::less;
  static constexpr bool exact = true;
  static constexpr auto no_gradient = "a boolean has no derivative";

  static std::vector<Type> infer(const InferArgs& args) { return infer_compared(args, name); }
  static double scalar(double a, double b) { return a < b; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}, {{DType::f32, {3, 5}}}}, {}},
            {"integers", {{{DType::i32, {20}}, -3, 3}, {{DType::i32, {20}}, -3, 3}}, {}},
            {"unsigned",
             {{{DType::u32, {3}}, 0, 0, {0, 4294967295.0, 7}}, {{DType::u32, {3}}, 0, 0, {4294967295.0, 0, 7}}},
             {}},
            {"edge",
             {{{DType::f32, {6}}, 0, 0, {1, 0, -0.0, NAN, 1, HUGE_VAL}},
              {{DType::f32, {6}}, 0, 0, {1, -0.0, 0, 1, NAN, HUGE_VAL}}},
             {}},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2}}, {DType::f32, {3}}}, {}, "less: input 1 is f32[3] but input 0 is f32[2]"}};
  }
};

inline Tensor less(Operand a, Operand b) {
  const OperandPair pair(a, b, "less");
  return apply<Less>({pair.lhs, pair.rhs}, {}, pair.at);
}

}  // namespace descent
