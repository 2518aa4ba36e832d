#pragma once

#include "descent/ops/mul.h"

namespace descent {

struct Square : ElementwiseComposite<Square, 1> {
  static constexpr auto name = "square";
  static constexpr auto summary = "x * x";

  static double scalar(double x) { return x * x; }
  static Tensors expand(const ExpandArgs& args) { return {mul({args.inputs[0], args.at}, args.inputs[0])}; }
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0] * (2 * args.inputs[0])}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -3, 3}}, {}},
            {"integers", {{{DType::i32, {7}}, -9, 9}}, {}},
            {"zero", {{{DType::f32, {2}}, 0, 0, {0, -0.0}}}, {}},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
};

inline Tensor square(Tensor x, Site at = Site::here()) { return apply<Square>({x}, {}, at); }

}  // namespace descent
