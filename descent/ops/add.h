#pragma once

#include "descent/ops/operand.h"

namespace descent {

struct Add : Elementwise<Add, 2> {
  static constexpr auto name = "add";
  static constexpr auto summary = "a + b";
  static constexpr auto scalar_op = ScalarOp::add;

  static double scalar(double a, double b) { return a + b; }
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0], args.cotangents[0]}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}, {{DType::f32, {3, 5}}}}, {}},
            {"integers", {{{DType::i32, {7}}, -9, 9}, {{DType::i32, {7}}, -9, 9}}, {}},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2}}, {DType::f32, {3}}}, {}, "add: input 1 is f32[3] but input 0 is f32[2]"}};
  }
};

inline Tensor add(Operand a, Operand b) {
  const OperandPair pair(a, b, "add");
  return apply<Add>({pair.lhs, pair.rhs}, {}, pair.at);
}
inline Tensor operator+(Operand a, Operand b) { return add(a, b); }

}  // namespace descent
