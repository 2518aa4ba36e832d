#pragma once

#include "descent/ops/layer_norm.h"
#include "descent/ops/maximum.h"
#include "descent/ops/slice.h"

namespace descent {

// Ioffe and Szegedy, "Batch normalization", 2015, as in training: the mean and variance of each channel (the last axis)
// are those of the batch. They are results too, for running means; the variance is divided by the number of values.
struct BatchNorm {
  static constexpr auto name = "batch_norm";
  static constexpr auto summary =
      "(x - mean) / sqrt(variance + epsilon) * gain + bias over all but the last axis; also mean, variance: {epsilon}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 3;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type x = infer_norm(args, name)[0];
    if (x.shape.rank() < 2 || x.shape.elements() == 0)
      fail(text(name, ": needs at least one example with channels on the last axis, got ", x));
    const Type channels{x.dtype, {x.shape.back()}};
    return {x, channels, channels};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<double>& x = args.inputs[0].values;
    std::vector<double>&mean = args.outputs[1].values, &variance = args.outputs[2].values;
    const size_t channels = mean.size();
    const double rows = static_cast<double>(x.size() / channels), epsilon = args.attrs.number("epsilon");
    for (size_t c = 0; c < channels; ++c) mean[c] = x[c];  // and the mean difference from it
    for (size_t i = 0; i < x.size(); ++i) mean[i % channels] += (x[i] - x[i % channels]) / rows;
    for (size_t i = 0; i < x.size(); ++i) {
      const double off = x[i] - mean[i % channels];
      variance[i % channels] += off * off / rows;
    }
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % channels;
      args.outputs[0].values[i] =
          (x[i] - mean[c]) / std::sqrt(variance[c] + epsilon) * args.inputs[1].values[c] + args.inputs[2].values[c];
    }
  }

  static Tensors expand(const ExpandArgs& args) {
    const Statistics found = statistics(args);
    const Tensor factor = found.scale * args.inputs[1], rows = flat(args.inputs[0], args.at);
    const Tensor y = rows * factor + (args.inputs[2] - found.mean * factor);
    return {reshape(y, args.inputs[0].shape(), args.at), found.mean, found.variance};
  }

  // Keeps x and, of each channel, its mean and scale. With n = (x - mean) * scale and h = g * gain,
  // dx = scale * (h - mean(h) - n * mean(h * n)): two sums in one pass; then, as g * a + x * b + c with numbers of each
  // channel, one more pass over what is stored anyway.
  static Tensors vjp(const VjpArgs& args) {
    const Statistics found = statistics(args);
    const Tensor x = flat(args.inputs[0], args.at), centred = x - found.mean;
    const double each = static_cast<double>(x.shape().back()) / static_cast<double>(x.shape().elements());
    Tensor dx, gain, bias;
    const auto add_to_dx = [&](Tensor term) { dx = dx ? dx + term : term; };
    if (const Tensor g = args.cotangents[0]) {
      const Tensor rows = flat(g, args.at), a = found.scale * args.inputs[1];
      bias = sum(rows, {0}, false, args.at);
      gain = sum(rows * centred, {0}, false, args.at) * found.scale;
      const Tensor b = a * found.scale * gain * -each, c = a * bias * -each - found.mean * b;
      add_to_dx(rows * a + (x * b + c));
    }
    if (const Tensor g = args.cotangents[1]) add_to_dx(broadcast(g * each, x.shape(), args.at));
    if (const Tensor g = args.cotangents[2]) add_to_dx(centred * (g * (2 * each)));
    return {reshape(dx, args.inputs[0].shape(), args.at), gain, bias};
  }

  static Samples samples() {
    const auto inputs = [](const Shape& shape, double low, double high) {
      const Type channels{DType::f32, {shape.back()}};
      return std::vector<SampleInput>{{{DType::f32, shape}, low, high}, {channels, 0.5, 2}, {channels}};
    };
    return {{"rows", inputs({6, 4}, -3, 3), {{"epsilon", 0.01}}},
            {"images", inputs({2, 3, 4, 5}, -3, 3), {{"epsilon", 1e-5}}},
            {"sounds", inputs({3, 4, 17}, -3, 3), {{"epsilon", 1e-5}}},
            {"one channel", inputs({2, 3, 3, 1}, -3, 3), {{"epsilon", 1e-3}}},
            {"off centre", inputs({8, 3}, 10, 12), {{"epsilon", 0.1}}},
            {"constant channel",
             {{{DType::f32, {3, 1}}, 0, 0, {5, 5, 5}}, {{DType::f32, {1}}}, {{DType::f32, {1}}}},
             {{"epsilon", 0.1}},
             false}};
  }
  static Misuses misuse() {
    const Type x{DType::f32, {4, 2, 2, 8}}, eight{DType::f32, {8}}, seven{DType::f32, {7}};
    return {{{x, seven, eight}, {{"epsilon", 1e-5}}, "batch_norm: the gain of f32[4,2,2,8] must be f32[8], got f32[7]"},
            {{{DType::f32, {0, 8}}, eight, eight}, {{"epsilon", 1e-5}}, "batch_norm: needs at least one example"},
            {{eight, eight, eight}, {{"epsilon", 1e-5}}, "with channels on the last axis, got f32[8]"}};
  }

 private:
  struct Statistics {
    Tensor mean, variance, scale;  // [channels]
  };

  static Tensor flat(Tensor x, Site at) { return reshape(x, {-1, x.shape().back()}, at); }

  // Both sums in one pass: differences from the first row keep the digits that E[x^2] - E[x]^2 would lose.
  template <class Args>
  static Statistics statistics(const Args& args) {
    const Tensor x = flat(args.inputs[0], args.at), first = slice_axis(x, 0, 0, 1, 1, args.at), off = x - first;
    const Tensor shift = mean(off, {0}, false, args.at), squares = mean(square(off, args.at), {0}, false, args.at);
    const Tensor variance = maximum(squares - square(shift, args.at), 0);
    return {reshape(first, shift.shape(), args.at) + shift, variance,
            1 / sqrt(variance + args.attrs.number("epsilon"), args.at)};
  }
};

// x [.., channels], gain and bias [channels]; gives y, and the batch's mean and variance.
inline Tensors batch_norm(Tensor x, Tensor gain, Tensor bias, double epsilon = 1e-5, Site at = Site::here()) {
  const Tensor inputs[] = {x, gain, bias};
  return apply(op_def<BatchNorm>(), inputs, {{"epsilon", epsilon}}, at);
}

}  // namespace descent
