#pragma once

#include "descent/ops/layer_norm.h"

namespace descent {

// Wu and He, "Group normalization", 2018. With as many groups as channels it is instance normalisation (Ulyanov,
// Vedaldi and Lempitsky 2016).
struct GroupNorm {
  static constexpr auto name = "group_norm";
  static constexpr auto summary =
      "each group of channels of each example to mean 0 and variance 1, then * gain + bias: {groups, epsilon}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 3;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type x = infer_norm(args, name)[0];
    const int64_t groups = args.attrs.integer("groups");
    if (x.shape.rank() < 2) fail(text(name, ": needs examples with channels on the last axis, got ", x));
    if (groups < 1 || x.shape.back() % groups != 0)
      fail(text(name, ": ", groups, " groups do not divide the ", x.shape.back(), " channels of ", x));
    return {x};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<double>& x = args.inputs[0].values;
    const Shape& shape = args.inputs[0].type.shape;
    const int64_t channels = shape.back(), groups = args.attrs.integer("groups");
    const int64_t examples = shape[0], each = examples == 0 ? 0 : std::ssize(x) / examples;
    std::vector<double> mean(static_cast<size_t>(examples * groups)), variance(mean.size());
    const auto group_of = [&](int64_t i) {
      return static_cast<size_t>(i / each * groups + i % channels / (channels / groups));
    };
    const auto size = static_cast<double>(each / groups);
    for (int64_t i = 0; i < std::ssize(x); ++i) mean[group_of(i)] += x[i] / size;
    for (int64_t i = 0; i < std::ssize(x); ++i) variance[group_of(i)] += std::pow(x[i] - mean[group_of(i)], 2) / size;
    for (int64_t i = 0; i < std::ssize(x); ++i)
      args.outputs[0].values[i] = (x[i] - mean[group_of(i)]) /
                                      std::sqrt(variance[group_of(i)] + args.attrs.number("epsilon")) *
                                      args.inputs[1].values[i % channels] +
                                  args.inputs[2].values[i % channels];
  }

  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0];
    const int64_t groups = args.attrs.integer("groups"), channels = x.shape().back();
    const int64_t examples = x.shape()[0];
    int64_t places = 1;
    for (int axis = 1; axis + 1 < x.rank(); ++axis) places *= x.shape()[axis];
    const Tensor grouped = reshape(x, {examples, places, groups, channels / groups}, args.at);
    const double each = static_cast<double>(places) * static_cast<double>(channels / groups);
    // The innermost axis first: the values are then read in the order in which they lie.
    const auto mean_of = [&](Tensor values) {
      return sum(sum(values, {3}, true, args.at), {1}, true, args.at) * (1 / each);
    };
    const Tensor centred = grouped - mean_of(grouped);
    const Tensor scale = 1 / sqrt(mean_of(square(centred, args.at)) + args.attrs.number("epsilon"), args.at);
    return {reshape(centred * scale, x.shape(), args.at) * args.inputs[1] + args.inputs[2]};
  }

  static Samples samples() {
    const auto inputs = [](const Shape& shape, double low, double high) {
      const Type channels{DType::f32, {shape.back()}};
      return std::vector<SampleInput>{{{DType::f32, shape}, low, high}, {channels, 0.5, 2}, {channels}};
    };
    const auto of = [](int64_t groups) { return Attrs{{"groups", groups}, {"epsilon", 1e-5}}; };
    return {{"groups", inputs({2, 3, 2, 6}, -3, 3), of(3)},    {"one group", inputs({2, 3, 3, 4}, -3, 3), of(1)},
            {"instances", inputs({2, 3, 4, 3}, -3, 3), of(3)}, {"rows", inputs({3, 8}, -3, 3), of(2)},
            {"sounds", inputs({2, 5, 4}, -3, 3), of(2)},       {"empty", inputs({0, 3, 3, 4}, -3, 3), of(2)}};
  }
  static Misuses misuse() {
    const Type x{DType::f32, {4, 2, 2, 8}}, eight{DType::f32, {8}};
    return {{{x, eight, eight},
             {{"groups", int64_t{3}}, {"epsilon", 1e-5}},
             "group_norm: 3 groups do not divide the 8 channels of f32[4,2,2,8]"},
            {{eight, eight, eight},
             {{"groups", int64_t{2}}, {"epsilon", 1e-5}},
             "group_norm: needs examples with channels"}};
  }
};

// x [n, .., channels], gain and bias [channels].
inline Tensor group_norm(Tensor x, Tensor gain, Tensor bias, int64_t groups, double epsilon = 1e-5,
                         Site at = Site::here()) {
  return apply<GroupNorm>({x, gain, bias}, {{"groups", groups}, {"epsilon", epsilon}}, at);
}

}  // namespace descent
