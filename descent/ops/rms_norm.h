#pragma once

#include "descent/ops/layer_norm.h"

namespace descent {

// Zhang and Sennrich, "Root mean square layer normalization", 2019.
struct RmsNorm {
  static constexpr auto name = "rms_norm";
  static constexpr auto summary = "x / sqrt(mean(x^2) + epsilon) * gain along the last axis: {epsilon}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) { return infer_norm(args, name); }

  static void evaluate(const EvalArgs& args) {
    const auto columns = static_cast<size_t>(args.inputs[0].type.shape.back());
    const std::vector<double>&x = args.inputs[0].values, &gain = args.inputs[1].values;
    for (size_t begin = 0; begin < x.size(); begin += columns) {
      double power = 0;
      for (size_t i = begin; i < begin + columns; ++i) power += x[i] * x[i] / static_cast<double>(columns);
      for (size_t i = 0; i < columns; ++i)
        args.outputs[0].values[begin + i] = x[begin + i] / std::sqrt(power + args.attrs.number("epsilon")) * gain[i];
    }
  }

  static Tensors expand(const ExpandArgs& args) { return {(args.inputs[0] * scale(args)) * args.inputs[1]}; }

  // As for layer_norm, without the mean.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor g = args.cotangents[0], h = g * args.inputs[1], by = scale(args);
    const Tensor normal = kept(args.inputs[0] * by, args.at);
    const Tensor slope = mean(h * normal, {-1}, true, args.at);
    return {by * (h - normal * slope), sum_to_features(g * normal, args.at)};
  }

  static Samples samples() {
    const auto inputs = [](const Shape& shape) {
      return std::vector<SampleInput>{{{DType::f32, shape}, -3, 3}, {{DType::f32, {shape.back()}}, 0.5, 2}};
    };
    return {{"rows", inputs({4, 10}), {{"epsilon", 1e-5}}},
            {"positions", inputs({2, 3, 5}), {{"epsilon", 1e-5}}},
            {"one row", inputs({7}), {{"epsilon", 1e-5}}},
            {"long", inputs({2, 1500}), {{"epsilon", 1e-5}}},
            {"zeros", {{{DType::f32, {1, 3}}, 0, 0, {0, 0, 0}}, {{DType::f32, {3}}}}, {{"epsilon", 0.1}}},
            {"empty", inputs({0, 4}), {{"epsilon", 1e-5}}}};
  }
  static Misuses misuse() {
    const Type x{DType::f32, {4, 8}}, seven{DType::f32, {7}};
    return {{{x, seven}, {{"epsilon", 1e-5}}, "rms_norm: the gain of f32[4,8] must be f32[8], got f32[7]"}};
  }

 private:
  template <class Args>
  static Tensor scale(const Args& args) {
    const Tensor power = mean(square(args.inputs[0], args.at), {-1}, true, args.at);
    return 1 / sqrt(power + args.attrs.number("epsilon"), args.at);
  }
};

// x[.., features] with a gain of [features].
inline Tensor rms_norm(Tensor x, Tensor gain, double epsilon = 1e-5, Site at = Site::here()) {
  return apply<RmsNorm>({x, gain}, {{"epsilon", epsilon}}, at);
}

}  // namespace descent
