#pragma once

#include <cmath>

#include "descent/ops/mul.h"

namespace descent {

struct Exp : Elementwise<Exp, 1> {
  static constexpr auto name = "exp";
  static constexpr auto summary = "e to the power x";
  static constexpr auto scalar_op = ScalarOp::exp;

  static double scalar(double x) { return std::exp(x); }
  static Tensors vjp(const VjpArgs& args) { return {mul(args.cotangents[0], args.outputs[0])}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -3, 3}}, {}},
            {"far", {{{DType::f32, {4}}, 0, 0, {-100, -20, 20, 80}}}, {}, false}};
  }
};

inline Tensor exp(Tensor x, Site at = Site::here()) { return apply<Exp>({x}, {}, at); }

}  // namespace descent
