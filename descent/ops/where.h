#pragma once

#include <cmath>

#include "descent/ops/operand.h"

namespace descent {

struct Where : Elementwise<Where, 3> {
  static constexpr auto name = "where";
  static constexpr auto summary = "a where the condition holds, b elsewhere";
  static constexpr auto scalar_op = ScalarOp::where;
  static constexpr bool exact = true;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type &condition = args.inputs[0], &a = args.inputs[1], &b = args.inputs[2];
    if (condition.dtype != DType::boolean) fail(text(name, ": the condition must be booleans, got ", condition));
    if (a != b || condition.shape != a.shape)
      fail(text(name, ": needs a condition and two inputs of one type and its shape, got ", condition, ", ", a, " and ",
                b));
    return {a};
  }
  static double scalar(double condition, double a, double b) { return condition != 0 ? a : b; }

  static Tensors vjp(const VjpArgs& args) {
    const Tensor condition = args.inputs[0], g = args.cotangents[0];
    const Tensor zero = broadcast(constant_like(g, 0, args.at), g.shape(), args.at);
    return {Tensor(), apply<Where>({condition, g, zero}, {}, args.at), apply<Where>({condition, zero, g}, {}, args.at)};
  }

  static Samples samples() {
    const Type condition{DType::boolean, {3, 5}};
    return {{"matrix", {{condition, 0, 2}, {{DType::f32, {3, 5}}}, {{DType::f32, {3, 5}}}}, {}},
            {"integers", {{condition, 0, 2}, {{DType::i32, {3, 5}}, -9, 9}, {{DType::i32, {3, 5}}, -9, 9}}, {}},
            {"unchosen NaN",
             {{{DType::boolean, {3}}, 0, 0, {1, 0, 1}},
              {{DType::f32, {3}}, 0, 0, {1, NAN, 2}},
              {{DType::f32, {3}}, 0, 0, {HUGE_VAL, 3, NAN}}},
             {},
             false},
            {"empty", {{{DType::boolean, {0, 4}}, 0, 2}, {{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    const Type f{DType::f32, {2}};
    return {
        {{f, f, f}, {}, "where: the condition must be booleans, got f32[2]"},
        {{{DType::boolean, {2}}, f, {DType::f32, {3}}}, {}, "one type and its shape, got bool[2], f32[2] and f32[3]"}};
  }
};

// The three broadcast to one shape.
inline Tensor where(Tensor condition, Operand a, Operand b) {
  const OperandPair pair(a, b, "where");
  const Shape shape = broadcast_shapes(condition.shape(), pair.lhs.shape(), "where", pair.at);
  return apply<Where>(
      {broadcast(condition, shape, pair.at), broadcast(pair.lhs, shape, pair.at), broadcast(pair.rhs, shape, pair.at)},
      {}, pair.at);
}

}  // namespace descent
