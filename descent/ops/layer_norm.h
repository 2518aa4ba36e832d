#pragma once

#include "descent/ops/composite.h"
#include "descent/ops/div.h"
#include "descent/ops/kept.h"
#include "descent/ops/mean.h"
#include "descent/ops/sqrt.h"
#include "descent/ops/square.h"
#include "descent/ops/sub.h"

namespace descent {

// The scales (and shifts) of a norm over the last axis are vectors of its size.
inline std::vector<Type> infer_norm(const InferArgs& args, std::string_view name) {
  const Type& x = args.inputs[0];
  nonnegative(args, name, "epsilon");
  if (!is_floating(x.dtype) || x.shape.rank() == 0 || x.shape.back() == 0)
    fail(text(name, ": needs a floating-point input with at least one feature on the last axis, got ", x));
  const Type wanted{x.dtype, {x.shape.back()}};
  for (size_t i = 1; i < args.inputs.size(); ++i)
    if (args.inputs[i] != wanted)
      fail(text(name, ": the ", i == 1 ? "gain" : "bias", " of ", x, " must be ", wanted, ", got ", args.inputs[i]));
  return {x};
}

// `x`, one value a feature everywhere, summed to one vector.
inline Tensor sum_to_features(Tensor x, Site at) { return sum_to(x, {x.shape().back()}, at); }

// Ba, Kiros and Hinton, "Layer normalization", 2016. The variance is that of the row itself, not an estimate.
struct LayerNorm {
  static constexpr auto name = "layer_norm";
  static constexpr auto summary = "(x - mean) / sqrt(variance + epsilon) * gain + bias along the last axis: {epsilon}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 3;

  static std::vector<Type> infer(const InferArgs& args) { return infer_norm(args, name); }

  static void evaluate(const EvalArgs& args) {
    const auto columns = static_cast<size_t>(args.inputs[0].type.shape.back());
    const std::vector<double>&x = args.inputs[0].values, &gain = args.inputs[1].values, &bias = args.inputs[2].values;
    const auto size = static_cast<double>(columns);
    for (size_t begin = 0; begin < x.size(); begin += columns) {
      double mean = 0, variance = 0;
      for (size_t i = 0; i < columns; ++i) mean += x[begin + i] / size;
      for (size_t i = 0; i < columns; ++i) variance += (x[begin + i] - mean) * (x[begin + i] - mean) / size;
      const double scale = 1 / std::sqrt(variance + args.attrs.number("epsilon"));
      for (size_t i = 0; i < columns; ++i)
        args.outputs[0].values[begin + i] = (x[begin + i] - mean) * scale * gain[i] + bias[i];
    }
  }

  static Tensors expand(const ExpandArgs& args) {
    const Row row = normalised(args);
    return {row.normal * args.inputs[1] + args.inputs[2]};
  }

  // Keeps n and, of each row, its scale. With n = (x - mean) * scale and h = g * gain,
  // dx = scale * (h - mean(h) - n * mean(h * n)): the derived one's six terms in three.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor g = args.cotangents[0], h = g * args.inputs[1];
    const auto [made, scale] = normalised(args);
    const Tensor normal = kept(made, args.at);
    const Tensor centre = mean(h, {-1}, true, args.at), slope = mean(h * normal, {-1}, true, args.at);
    return {scale * (h - centre - normal * slope), sum_to_features(g * normal, args.at), sum_to_features(g, args.at)};
  }

  static Samples samples() {
    const auto inputs = [](const Shape& shape, double low, double high) {
      const Type features{DType::f32, {shape.back()}};
      return std::vector<SampleInput>{{{DType::f32, shape}, low, high}, {features, 0.5, 2}, {features}};
    };
    return {{"rows", inputs({4, 10}, -3, 3), {{"epsilon", 1e-5}}},
            {"positions", inputs({2, 3, 5}, -3, 3), {{"epsilon", 1e-5}}},
            {"one row", inputs({7}, -3, 3), {{"epsilon", 1e-5}}},
            {"long", inputs({2, 1500}, -3, 3), {{"epsilon", 1e-5}}},
            {"off centre", inputs({3, 8}, 10, 12), {{"epsilon", 0.1}}},
            {"constant row",
             {{{DType::f32, {1, 3}}, 0, 0, {5, 5, 5}}, {{DType::f32, {3}}}, {{DType::f32, {3}}}},
             {{"epsilon", 0.1}}},
            {"empty", inputs({0, 4}, -3, 3), {{"epsilon", 1e-5}}}};
  }
  static Misuses misuse() {
    const Type x{DType::f32, {4, 8}}, eight{DType::f32, {8}}, seven{DType::f32, {7}};
    return {{{x, seven, eight}, {{"epsilon", 1e-5}}, "layer_norm: the gain of f32[4,8] must be f32[8], got f32[7]"},
            {{x, eight, seven}, {{"epsilon", 1e-5}}, "layer_norm: the bias of f32[4,8] must be f32[8], got f32[7]"},
            {{{DType::f32, {}}, eight, eight}, {{"epsilon", 1e-5}}, "at least one feature on the last axis, got f32[]"},
            {{x, eight, eight}, {{"epsilon", -1.0}}, "layer_norm: the epsilon must be at least 0, got -1"}};
  }

 private:
  struct Row {
    Tensor normal, scale;
  };  // scale: [.., 1]

  template <class Args>
  static Row normalised(const Args& args) {
    const Tensor centred = args.inputs[0] - mean(args.inputs[0], {-1}, true, args.at);
    const Tensor variance = mean(square(centred, args.at), {-1}, true, args.at);
    const Tensor scale = 1 / sqrt(variance + args.attrs.number("epsilon"), args.at);
    return {centred * scale, scale};
  }
};

// x[.., features] with a gain and a bias of [features].
inline Tensor layer_norm(Tensor x, Tensor gain, Tensor bias, double epsilon = 1e-5, Site at = Site::here()) {
  return apply<LayerNorm>({x, gain, bias}, {{"epsilon", epsilon}}, at);
}

}  // namespace descent
