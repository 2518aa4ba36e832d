#pragma once

#include "descent/ops/neg.h"
#include "descent/ops/update_rule.h"

namespace descent {

// Gradient descent on a sample (Robbins and Monro, "A stochastic approximation method", 1951).
struct SgdUpdate {
  static constexpr auto name = "sgd_update";
  static constexpr auto summary = "w - rate * (g + weight_decay * w), from w, g, rate: {weight_decay}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 3;
  static constexpr auto no_gradient = no_gradient_of_updates;

  static std::vector<Type> infer(const InferArgs& args) {
    nonnegative(args, name, "weight_decay");
    return infer_update(args, name, std::to_array<std::string_view>({"gradient", "learning rate"}), 1);
  }
  static void evaluate(const EvalArgs& args) {
    const double decay = args.attrs.number("weight_decay");
    evaluate_update(args, [decay](std::span<const double> in, std::span<double> out) {
      const double w = in[0], g = in[1], rate = in[2];
      out[0] = w - rate * (g + decay * w);
    });
  }
  static Tensors expand(const ExpandArgs& args) {
    return {args.inputs[0] + neg(args.inputs[2], args.at) * decayed_gradient(args)};
  }

  static Samples samples() {
    const SampleInput array{{DType::f32, {3, 5}}}, rate{{DType::f32, {}}, 0, 0, {0.1}};
    return {{"plain", {array, array, rate}, {{"weight_decay", 0.0}}},
            {"decay", {array, array, rate}, {{"weight_decay", 0.3}}}};
  }
  static Misuses misuse() {
    const Type w{DType::f32, {3}}, scalar{DType::f32, {}};
    const Attrs attrs{{"weight_decay", 0.0}};
    return {
        {{w, {DType::f32, {4}}, scalar},
         attrs,
         "sgd_update: the gradient of a weight f32[3] must be f32[3], got f32[4]"},
        {{w, w, w}, attrs, "sgd_update: the learning rate of a weight f32[3] must be f32[], got f32[3]"},
        {{{DType::bf16, {3}}, w, scalar}, attrs, "sgd_update: updates are computed in f32, but the weight is bf16[3]"},
        {{w, w, scalar}, {{"weight_decay", -1.0}}, "sgd_update: the weight_decay must be at least 0, got -1"}};
  }
};

// The new weight. `rate` is a scalar tensor, so that a schedule does not recompile the step.
inline Tensor sgd_update(Tensor weight, Tensor gradient, Tensor rate, double weight_decay = 0, Site at = Site::here()) {
  return apply<SgdUpdate>({weight, gradient, rate}, {{"weight_decay", weight_decay}}, at);
}

}  // namespace descent
