#pragma once

#include "descent/ops/operand.h"

namespace descent {

struct Mul : Elementwise<Mul, 2> {
  static constexpr auto name = "mul";
  static constexpr auto summary = "a * b";
  static constexpr auto scalar_op = ScalarOp::mul;

  static double scalar(double a, double b) { return a * b; }
  static Tensors vjp(const VjpArgs& args) {
    return {apply<Mul>({args.cotangents[0], args.inputs[1]}, {}, args.at),
            apply<Mul>({args.cotangents[0], args.inputs[0]}, {}, args.at)};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}, {{DType::f32, {3, 5}}}}, {}},
            {"integers", {{{DType::i32, {7}}, -9, 9}, {{DType::i32, {7}}, -9, 9}}, {}},
            {"zero", {{{DType::f32, {2}}, 0, 0, {0, -0.0}}, {{DType::f32, {2}}}}, {}}};
  }
};

inline Tensor mul(Operand a, Operand b) {
  const OperandPair pair(a, b, "mul");
  return apply<Mul>({pair.lhs, pair.rhs}, {}, pair.at);
}
inline Tensor operator*(Operand a, Operand b) { return mul(a, b); }

}  // namespace descent
