#pragma once

#include "descent/ops/div.h"
#include "descent/ops/neg.h"
#include "descent/ops/sqrt.h"
#include "descent/ops/update_rule.h"

namespace descent {

// Tieleman and Hinton, "Lecture 6.5: RMSProp", Neural Networks for Machine Learning, 2012.
struct RmspropUpdate {
  static constexpr auto name = "rmsprop_update";
  static constexpr auto summary =
      "with d = g + weight_decay * w: s' = decay * s + (1 - decay) * d^2, w' = w - rate * d / (sqrt(s') + epsilon), "
      "from "
      "w, g, s, rate: {decay, epsilon, weight_decay}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 4;
  static constexpr auto no_gradient = no_gradient_of_updates;

  static std::vector<Type> infer(const InferArgs& args) {
    const double decay = args.attrs.number("decay");
    if (!(decay >= 0 && decay < 1)) fail(text(name, ": the decay must be at least 0 and below 1, got ", decay));
    nonnegative(args, name, "epsilon");
    nonnegative(args, name, "weight_decay");
    return infer_update(args, name, std::to_array<std::string_view>({"gradient", "mean square", "learning rate"}), 1);
  }
  static void evaluate(const EvalArgs& args) {
    const double decay = args.attrs.number("decay"), epsilon = args.attrs.number("epsilon");
    evaluate_update(args,
                    [=, pull = args.attrs.number("weight_decay")](std::span<const double> in, std::span<double> out) {
                      const double w = in[0], d = in[1] + pull * w, rate = in[3];
                      out[1] = decay * in[2] + (1 - decay) * d * d;
                      out[0] = w - rate * d / (std::sqrt(out[1]) + epsilon);
                    });
  }
  static Tensors expand(const ExpandArgs& args) {
    const double decay = args.attrs.number("decay");
    const Tensor d = decayed_gradient(args), square = decay * args.inputs[2] + (1 - decay) * (d * d);
    return {
        args.inputs[0] + neg(args.inputs[3], args.at) * (d / (sqrt(square, args.at) + args.attrs.number("epsilon"))),
        square};
  }

  static Samples samples() {
    const SampleInput array{{DType::f32, {3, 5}}}, square{{DType::f32, {3, 5}}, 0, 1},
        rate{{DType::f32, {}}, 0, 0, {0.01}};
    const SampleInput zeros{{DType::f32, {3, 5}}, 0, 0, std::vector<double>(15)};
    const Attrs plain{{"decay", 0.99}, {"epsilon", 1e-8}, {"weight_decay", 0.0}};
    return {{"later", {array, array, square, rate}, plain},
            {"first step", {array, array, zeros, rate}, plain},
            {"never moved", {array, zeros, zeros, rate}, plain},
            {"weight decay", {array, array, square, rate}, {{"decay", 0.9}, {"epsilon", 1e-6}, {"weight_decay", 0.3}}}};
  }
  static Misuses misuse() {
    const Type w{DType::f32, {3}}, scalar{DType::f32, {}};
    return {{{w, w, {DType::f32, {4}}, scalar},
             {{"decay", 0.99}, {"epsilon", 1e-8}, {"weight_decay", 0.0}},
             "rmsprop_update: the mean square of a weight f32[3] must be f32[3], got f32[4]"},
            {{w, w, w, scalar},
             {{"decay", 1.0}, {"epsilon", 1e-8}, {"weight_decay", 0.0}},
             "rmsprop_update: the decay must be at least 0 and below 1, got 1"}};
  }
};

struct RmspropOptions {
  double decay = 0.99, epsilon = 1e-8, weight_decay = 0;
};

// The new weight and mean square (which starts at 0).
inline Tensors rmsprop_update(Tensor weight, Tensor gradient, Tensor square, Tensor rate,
                              const RmspropOptions& options = {}, Site at = Site::here()) {
  const Tensor inputs[] = {weight, gradient, square, rate};
  return apply(op_def<RmspropUpdate>(), inputs,
               {{"decay", options.decay}, {"epsilon", options.epsilon}, {"weight_decay", options.weight_decay}}, at);
}

}  // namespace descent
