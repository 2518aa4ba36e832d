#pragma once

#include <cmath>

#include "descent/ops/mul.h"
#include "descent/ops/neg.h"

namespace descent {

struct Div : ElementwiseFloating<Div, 2> {
  static constexpr auto name = "div";
  static constexpr auto summary = "a / b";
  static constexpr auto scalar_op = ScalarOp::div;

  static double scalar(double a, double b) { return a / b; }
  static Tensors vjp(const VjpArgs& args) {
    const Tensor to_a = apply<Div>({args.cotangents[0], args.inputs[1]}, {}, args.at);
    return {to_a, -(to_a * args.outputs[0])};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}, {{DType::f32, {3, 5}}, 0.5, 2}}, {}},
            {"negative", {{{DType::f32, {4}}}, {{DType::f32, {4}}, -2, -0.5}}, {}},
            {"zero", {{{DType::f32, {2}}, 0, 0, {0, -0.0}}, {{DType::f32, {2}}, 0.5, 2}}, {}},
            {"by zero", {{{DType::f32, {3}}, 0, 0, {1, -1, 0}}, {{DType::f32, {3}}, 0, 0, {0, 0, 0}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::i32, {3}}, {DType::i32, {3}}}, {}, "div: needs floating-point inputs, got i32[3]"},
            {{{DType::f32, {2}}, {DType::f32, {3}}}, {}, "div: input 1 is f32[3] but input 0 is f32[2]"}};
  }
};

inline Tensor div(Operand a, Operand b) {
  const OperandPair pair(a, b, "div");
  return apply<Div>({pair.lhs, pair.rhs}, {}, pair.at);
}
inline Tensor operator/(Operand a, Operand b) { return div(a, b); }

}  // namespace descent
