#pragma once

#include "descent/ops/matmul.h"

namespace descent {

// What a matrix product can take along in its epilogue. Users write matmul, add and an activation; the compiler makes
// this op of them after it has made the gradients.
struct FusedMatmul {
  static constexpr auto name = "fused_matmul";
  static constexpr auto summary =
      "activation(a b + bias) rounded once: {activation: none or relu, to}; bias[n] is optional";
  static constexpr OpClass op_class = OpClass::contraction;
  static constexpr int arity = -1;
  static constexpr auto no_gradient = "the compiler makes it after the gradients";

  static std::vector<Type> infer(const InferArgs& args) {
    if (args.inputs.size() < 2 || args.inputs.size() > 3)
      fail(text(name, ": takes 2 or 3 inputs, got ", args.inputs.size()));
    const std::vector<Type> out = Matmul::infer({args.inputs.first(2), args.attrs, args.at});
    if (args.inputs.size() == 3 && args.inputs[2] != Type{DType::f32, {out[0].shape.back()}})
      fail(text(name, ": the bias of a product ", out[0], " is f32[", out[0].shape.back(), "], got ", args.inputs[2]));
    return out;
  }

  static void evaluate(const EvalArgs& args) {
    Matmul::evaluate({args.inputs.first(2), args.outputs, args.attrs});
    std::vector<double>& out = args.outputs[0].values;
    const bool relu = args.attrs.string("activation") == "relu";
    const int64_t columns = args.outputs[0].type.shape.back();
    for (size_t i = 0; i < out.size(); ++i) {
      if (args.inputs.size() == 3) out[i] += args.inputs[2].values[i % columns];
      if (relu && out[i] < 0) out[i] = 0;
    }
  }

  static int64_t multiply_adds(std::span<const Type> inputs, const Attrs& attrs) {
    return Matmul::multiply_adds(inputs, attrs);
  }

  static Samples samples() {
    const Attrs relu{{"activation", std::string("relu")}, {"to", DType::f32}};
    const Attrs plain{{"activation", std::string("none")}, {"to", DType::f32}};
    return {{"bias and relu", {{{DType::f32, {17, 40}}}, {{DType::f32, {40, 33}}}, {{DType::f32, {33}}}}, relu},
            {"bias", {{{DType::f32, {5, 7}}}, {{DType::f32, {7, 10}}}, {{DType::f32, {10}}}}, plain},
            {"relu", {{{DType::f32, {9, 64}}}, {{DType::f32, {64, 16}}}}, relu}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2, 3}}, {DType::f32, {3, 4}}, {DType::f32, {3}}},
             {{"activation", std::string("none")}},
             "fused_matmul: the bias of a product f32[2,4] is f32[4], got f32[3]"}};
  }
};

}  // namespace descent
