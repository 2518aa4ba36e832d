#pragma once

#include "descent/graph/op.h"

namespace descent {

// One number. Larger constants are broadcasts of it; arrays enter a graph as inputs, never as nodes.
struct Constant {
  static constexpr auto name = "constant";
  static constexpr auto summary = "a number: {value, dtype}";
  static constexpr OpClass op_class = OpClass::leaf;
  static constexpr int arity = 0;
  static constexpr auto no_gradient = "it has no inputs";

  static std::vector<Type> infer(const InferArgs& args) { return {{args.attrs.dtype("dtype"), {}}}; }
  static void evaluate(const EvalArgs& args) { args.outputs[0].values[0] = args.attrs.number("value"); }
  static Samples samples() {
    return {{"f32", {}, {{"value", 0.1}, {"dtype", DType::f32}}},
            {"i32", {}, {{"value", -7.0}, {"dtype", DType::i32}}}};
  }
};

// A scalar holding `value` rounded to `dtype`.
inline Tensor constant(Graph& graph, double value, DType dtype = DType::f32, Site at = Site::here()) {
  return {graph, {graph.add(op_def<Constant>(), {}, {{"value", value}, {"dtype", dtype}}, at), 0}};
}

// A scalar of `like`'s graph and dtype.
inline Tensor constant_like(Tensor like, double value, Site at = Site::here()) {
  return constant(like.graph(), value, like.dtype(), at);
}

}  // namespace descent
