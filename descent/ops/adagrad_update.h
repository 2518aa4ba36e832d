#pragma once

#include "descent/ops/div.h"
#include "descent/ops/neg.h"
#include "descent/ops/sqrt.h"
#include "descent/ops/update_rule.h"

namespace descent {

// Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", 2011.
struct AdagradUpdate {
  static constexpr auto name = "adagrad_update";
  static constexpr auto summary =
      "with d = g + weight_decay * w: s' = s + d^2, w' = w - rate * d / (sqrt(s') + epsilon), from w, g, s, rate: "
      "{epsilon, weight_decay}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 4;
  static constexpr auto no_gradient = no_gradient_of_updates;

  static std::vector<Type> infer(const InferArgs& args) {
    nonnegative(args, name, "epsilon");
    nonnegative(args, name, "weight_decay");
    return infer_update(args, name, std::to_array<std::string_view>({"gradient", "sum of squares", "learning rate"}),
                        1);
  }
  static void evaluate(const EvalArgs& args) {
    const double epsilon = args.attrs.number("epsilon"), decay = args.attrs.number("weight_decay");
    evaluate_update(args, [=](std::span<const double> in, std::span<double> out) {
      const double w = in[0], d = in[1] + decay * w, rate = in[3];
      out[1] = in[2] + d * d;
      out[0] = w - rate * d / (std::sqrt(out[1]) + epsilon);
    });
  }
  static Tensors expand(const ExpandArgs& args) {
    const Tensor d = decayed_gradient(args), squares = args.inputs[2] + d * d;
    return {
        args.inputs[0] + neg(args.inputs[3], args.at) * (d / (sqrt(squares, args.at) + args.attrs.number("epsilon"))),
        squares};
  }

  static Samples samples() {
    const SampleInput array{{DType::f32, {3, 5}}}, squares{{DType::f32, {3, 5}}, 0, 9},
        rate{{DType::f32, {}}, 0, 0, {0.01}};
    const SampleInput zeros{{DType::f32, {3, 5}}, 0, 0, std::vector<double>(15)};
    return {{"later", {array, array, squares, rate}, {{"epsilon", 1e-10}, {"weight_decay", 0.0}}},
            {"first step", {array, array, zeros, rate}, {{"epsilon", 1e-10}, {"weight_decay", 0.0}}},
            {"never moved", {array, zeros, zeros, rate}, {{"epsilon", 1e-10}, {"weight_decay", 0.0}}},
            {"weight decay", {array, array, squares, rate}, {{"epsilon", 1e-6}, {"weight_decay", 0.3}}}};
  }
  static Misuses misuse() {
    const Type w{DType::f32, {3}}, scalar{DType::f32, {}};
    return {{{w, w, {DType::f32, {4}}, scalar},
             {{"epsilon", 1e-10}, {"weight_decay", 0.0}},
             "adagrad_update: the sum of squares of a weight f32[3] must be f32[3], got f32[4]"}};
  }
};

struct AdagradOptions {
  double epsilon = 1e-10, weight_decay = 0;
};

// The new weight and sum of squared gradients (which starts at 0, or a little above).
inline Tensors adagrad_update(Tensor weight, Tensor gradient, Tensor squares, Tensor rate,
                              const AdagradOptions& options = {}, Site at = Site::here()) {
  const Tensor inputs[] = {weight, gradient, squares, rate};
  return apply(op_def<AdagradUpdate>(), inputs, {{"epsilon", options.epsilon}, {"weight_decay", options.weight_decay}},
               at);
}

}  // namespace descent
