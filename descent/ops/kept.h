#pragma once

#include "descent/graph/op.h"

namespace descent {

// Marks what a gradient wants of the forward pass, where it costs much to compute again: the compiler may store it
// where it is computed, and rounded.
struct Kept {
  static constexpr auto name = "kept";
  static constexpr auto summary = "x itself, stored for a gradient";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;
  static constexpr bool exact = true;

  static std::vector<Type> infer(const InferArgs& args) { return {args.inputs[0]}; }
  static void evaluate(const EvalArgs& args) { args.outputs[0].values = args.inputs[0].values; }
  static Tensors expand(const ExpandArgs& args) { return {args.inputs[0]}; }
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0]}; }
  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}}, {}}, {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
};

inline Tensor kept(Tensor x, Site at = Site::here()) { return apply<Kept>({x}, {}, at); }

}  // namespace descent
