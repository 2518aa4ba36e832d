#pragma once

#include "descent/graph/op.h"

namespace descent {

// A value given at run time: a batch, a parameter, a moment, a random key. Its name is its identity.
struct Input {
  static constexpr auto name = "input";
  static constexpr auto summary = "a value given at run time: {name, dtype, shape}";
  static constexpr OpClass op_class = OpClass::leaf;
  static constexpr int arity = 0;
  static constexpr auto no_gradient = "it has no inputs";

  static std::vector<Type> infer(const InferArgs& args) {
    return {{args.attrs.dtype("dtype"), args.attrs.shape("shape")}};
  }
  // The interpreter binds inputs before it evaluates nodes, so their values stand already.
  static void evaluate(const EvalArgs&) {}
  static Samples samples() {
    return {{"matrix", {}, {{"name", "x"}, {"dtype", DType::f32}, {"shape", std::vector<int64_t>{3, 5}}}}};
  }
};

inline Tensor input(Graph& graph, std::string name, Type type, Site at = Site::here()) {
  Attrs attrs{{"name", std::move(name)}, {"dtype", type.dtype}, {"shape", type.shape.to_vector()}};
  return {graph, {graph.add(op_def<Input>(), {}, std::move(attrs), at), 0}};
}

}  // namespace descent
