#pragma once

#include <cmath>

#include "descent/ops/type_rules.h"

namespace descent {

struct Floor : ElementwiseFloating<Floor, 1> {
  static constexpr auto name = "floor";
  static constexpr auto summary = "the largest integer not above x";
  static constexpr auto scalar_op = ScalarOp::floor;
  static constexpr bool exact = true;
  static constexpr auto no_gradient = "it is constant between its jumps";

  static double scalar(double x) { return std::floor(x); }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -9, 9}}, {}},
            {"points", {{{DType::f32, {7}}, 0, 0, {0, -0.5, 0.5, 1, -1, 8388607.5, -1e10}}}, {}},
            {"edge", {{{DType::f32, {3}}, 0, 0, {HUGE_VAL, -HUGE_VAL, NAN}}}, {}},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {3}}}, {}, "floor: needs floating-point inputs, got i32[3]"}}; }
};

inline Tensor floor(Tensor x, Site at = Site::here()) { return apply<Floor>({x}, {}, at); }

}  // namespace descent
