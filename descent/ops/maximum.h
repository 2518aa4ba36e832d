#pragma once

#include <cmath>

#include "descent/ops/equal.h"
#include "descent/ops/less.h"
#include "descent/ops/mul.h"
#include "descent/ops/where.h"

namespace descent {

// The gradients of choosing a or b: to the chosen one, and half to each at a tie.
inline Tensors gradients_of_choice(const VjpArgs& args, Tensor a_is_chosen, Tensor b_is_chosen) {
  const Tensor g = args.cotangents[0];
  const Tensor at_tie = where(equal(args.inputs[0], args.inputs[1]), g * 0.5, 0);
  return {where(a_is_chosen, g, at_tie), where(b_is_chosen, g, at_tie)};
}

struct Maximum : Elementwise<Maximum, 2> {
  static constexpr auto name = "maximum";
  static constexpr auto summary = "the larger of a and b; NaN where either is NaN";
  static constexpr auto scalar_op = ScalarOp::max;
  static constexpr bool exact = true;

  static double scalar(double a, double b) { return a > b || std::isnan(a) ? a : b; }
  static Tensors vjp(const VjpArgs& args) {
    const Tensor a = args.inputs[0], b = args.inputs[1];
    return gradients_of_choice(args, less(b, a), less(a, b));
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
    return {{{{DType::f32, {2}}, {DType::f32, {3}}}, {}, "maximum: input 1 is f32[3] but input 0 is f32[2]"}};
  }
};

inline Tensor maximum(Operand a, Operand b) {
  const OperandPair pair(a, b, "maximum");
  return apply<Maximum>({pair.lhs, pair.rhs}, {}, pair.at);
}

}  // namespace descent
