#pragma once

#include "descent/ops/composite.h"
#include "descent/ops/less.h"
#include "descent/ops/where.h"

namespace descent {

// The rectifier (Nair and Hinton, ICML 2010). NaN stays NaN.
struct Relu : ElementwiseComposite<Relu, 1> {
  static constexpr auto name = "relu";
  static constexpr auto summary = "x where positive, else 0";

  static double scalar(double x) { return x < 0 ? 0 : x; }
  static Tensors expand(const ExpandArgs& args) { return {where(less(args.inputs[0], 0), 0, args.inputs[0])}; }

  // Reads the output, so that the input need not be kept; at 0 the slope is 0, as the field has it.
  static Tensors vjp(const VjpArgs& args) { return {where(less(0, args.outputs[0]), args.cotangents[0], 0)}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -2, 2}}, {}},
            {"edge", {{{DType::f32, {7}}, 0, 0, {0, -0.0, 1e-30, -1e-30, HUGE_VAL, -HUGE_VAL, NAN}}}, {}, false},
            {"integers", {{{DType::i32, {9}}, -5, 5}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
};

inline Tensor relu(Tensor x, Site at = Site::here()) { return apply<Relu>({x}, {}, at); }

}  // namespace descent
