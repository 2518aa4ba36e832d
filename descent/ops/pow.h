#pragma once

#include <cmath>

#include "descent/ops/equal.h"
#include "descent/ops/log.h"
#include "descent/ops/sub.h"
#include "descent/ops/where.h"

namespace descent {

struct Pow : ElementwiseFloating<Pow, 2> {
  static constexpr auto name = "pow";
  static constexpr auto summary = "a to the power b; NaN where a < 0 and b is not an integer";
  static constexpr auto scalar_op = ScalarOp::pow;

  static double scalar(double a, double b) { return std::pow(a, b); }

  // b a^(b-1) and a^b log(a). The choices keep 0 * inf out, here and in the gradients of these: a^0 has derivative 0
  // also at a = 0, and so has 0^b for b > 0.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor a = args.inputs[0], b = args.inputs[1], g = args.cotangents[0];
    const Tensor lower = apply<Pow>({a, where(equal(b, 0), 0, b - 1)}, {}, args.at);
    return {g * (b * lower), g * (args.outputs[0] * log(where(equal(a, 0), 1, a), args.at))};
  }

  static Samples samples() {
    const auto fixed = [](std::vector<double> values) {
      const auto size = static_cast<int64_t>(values.size());
      return SampleInput{{DType::f32, {size}}, 0, 0, std::move(values), false};
    };
    return {{"matrix", {{{DType::f32, {3, 5}}, 0.2, 3}, {{DType::f32, {3, 5}}, -2, 2}}, {}},
            {"integer powers", {{{DType::f32, {6}}, 0, 0, {-2, -0.5, -1, 3, -3, 0.5}}, fixed({2, 3, -1, 2, 0, 1})}, {}},
            {"zero base", {{{DType::f32, {4}}, 0, 0, {0, 0, 0, -0.0}}, fixed({0, 1, 2, 3})}, {}},
            {"power of zero", {fixed({0, 0, 0}), {{DType::f32, {3}}, 0, 0, {0.5, 1, 2}}}, {}},
            {"edge", {fixed({0, -1, -8, 2, NAN, 1}), fixed({-1, 0.5, 1.5, HUGE_VAL, 0, NAN})}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::i32, {3}}, {DType::i32, {3}}}, {}, "pow: needs floating-point inputs, got i32[3]"}};
  }
};

inline Tensor pow(Operand a, Operand b) {
  const OperandPair pair(a, b, "pow");
  return apply<Pow>({pair.lhs, pair.rhs}, {}, pair.at);
}

}  // namespace descent
