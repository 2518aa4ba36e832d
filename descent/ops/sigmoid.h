#pragma once

#include "descent/ops/add.h"
#include "descent/ops/composite.h"
#include "descent/ops/div.h"
#include "descent/ops/exp.h"
#include "descent/ops/mul.h"
#include "descent/ops/neg.h"
#include "descent/ops/sub.h"

namespace descent {

struct Sigmoid : FloatingComposite<Sigmoid, 1> {
  static constexpr auto name = "sigmoid";
  static constexpr auto summary = "1 / (1 + exp(-x))";

  static double scalar(double x) { return 1 / (1 + std::exp(-x)); }

  // Far to the left exp overflows to infinity, whose reciprocal is the right answer, 0.
  static Tensors expand(const ExpandArgs& args) { return {1.0 / (1 + exp(neg(args.inputs[0], args.at), args.at))}; }

  // Keeps the output alone; the derived one would divide infinity by infinity far to the left.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor y = args.outputs[0];
    return {args.cotangents[0] * (y * (1 - y))};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -4, 4}}, {}},
            {"tails", {{{DType::f32, {5}}, 0, 0, {0, -20, 20, -80, 80}}}, {}},
            {"edge", {{{DType::f32, {5}}, 0, 0, {-1e4, 1e4, HUGE_VAL, -HUGE_VAL, NAN}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {2}}}, {}, "sigmoid: needs floating-point inputs, got i32[2]"}}; }
};

inline Tensor sigmoid(Tensor x, Site at = Site::here()) { return apply<Sigmoid>({x}, {}, at); }

}  // namespace descent
