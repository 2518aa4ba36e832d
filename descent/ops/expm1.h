#pragma once

#include "descent/ops/add.h"
#include "descent/ops/composite.h"
#include "descent/ops/exp.h"
#include "descent/ops/mul.h"
#include "descent/ops/tanh.h"

namespace descent {

struct Expm1 : FloatingComposite<Expm1, 1> {
  static constexpr auto name = "expm1";
  static constexpr auto summary = "e to the power x, less 1, without the cancellation near 0";

  static double scalar(double x) { return std::expm1(x); }

  // tanh(x / 2) = (e^x - 1) / (e^x + 1), and neither factor cancels.
  static Tensors expand(const ExpandArgs& args) {
    return {tanh(0.5 * args.inputs[0], args.at) * (exp(args.inputs[0], args.at) + 1)};
  }

  // Keeps the output alone, and stays exact where e^x overflows.
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0] * (args.outputs[0] + 1)}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -3, 3}}, {}},
            {"near 0", {{{DType::f32, {5}}, 0, 0, {0, 1e-7, -1e-7, 1e-3, -1e-3}}}, {}, false},
            {"edge", {{{DType::f32, {7}}, 0, 0, {-100, -20, 20, 80, HUGE_VAL, -HUGE_VAL, NAN}}}, {}, false}};
  }
  static Misuses misuse() { return {{{{DType::i32, {2}}}, {}, "expm1: needs floating-point inputs, got i32[2]"}}; }
};

inline Tensor expm1(Tensor x, Site at = Site::here()) { return apply<Expm1>({x}, {}, at); }

}  // namespace descent
