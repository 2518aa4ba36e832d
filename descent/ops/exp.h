#pragma once

#include <cmath>

#include "descent/ops/mul.h"
#include "descent/ops/type_rules.h"

namespace descent {

struct Exp : ElementwiseFloating<Exp, 1> {
  static constexpr auto name = "exp";
  static constexpr auto summary = "e to the power x";
  static constexpr auto scalar_op = ScalarOp::exp;

  static double scalar(double x) { return std::exp(x); }
  static Tensors vjp(const VjpArgs& args) { return {mul(args.cotangents[0], args.outputs[0])}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -3, 3}}, {}},
            {"far", {{{DType::f32, {4}}, 0, 0, {-100, -20, 20, 80}}}, {}, false},
            {"edge", {{{DType::f32, {3}}, 0, 0, {HUGE_VAL, -HUGE_VAL, NAN}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {3}}}, {}, "exp: needs floating-point inputs, got i32[3]"}}; }
};

inline Tensor exp(Tensor x, Site at = Site::here()) { return apply<Exp>({x}, {}, at); }

}  // namespace descent
