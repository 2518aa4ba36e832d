#pragma once

#include "descent/graph/op.h"

namespace descent {

struct StopGradient {
  static constexpr auto name = "stop_gradient";
  static constexpr auto summary = "x itself, which counts as a constant for gradients";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;
  static constexpr bool exact = true;
  static constexpr auto no_gradient = "that is its purpose";

  static std::vector<Type> infer(const InferArgs& args) { return {args.inputs[0]}; }
  static void evaluate(const EvalArgs& args) { args.outputs[0].values = args.inputs[0].values; }
  static Tensors expand(const ExpandArgs& args) { return {args.inputs[0]}; }
  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}}, {}}, {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
};

inline Tensor stop_gradient(Tensor x, Site at = Site::here()) { return apply<StopGradient>({x}, {}, at); }

}  // namespace descent
