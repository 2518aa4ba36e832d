#pragma once

#include "descent/ops/neg.h"
#include "descent/ops/update_rule.h"

namespace descent {

// Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; with nesterov, the accelerated
// gradient as in Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, written
// for weights that have taken the look-ahead already. The rate multiplies the velocity, not the gradient in it.
struct MomentumUpdate {
  static constexpr auto name = "momentum_update";
  static constexpr auto summary =
      "with d = g + weight_decay * w: v' = momentum * v + d, w' = w - rate * (nesterov ? d + momentum * v' : v'), from "
      "w, g, v, rate: {momentum, nesterov: 0 or 1, weight_decay}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 4;
  static constexpr auto no_gradient = no_gradient_of_updates;

  static std::vector<Type> infer(const InferArgs& args) {
    nonnegative(args, name, "weight_decay");
    nonnegative(args, name, "momentum");
    args.attrs.integer("nesterov");
    return infer_update(args, name, std::to_array<std::string_view>({"gradient", "velocity", "learning rate"}), 1);
  }
  static void evaluate(const EvalArgs& args) {
    const double momentum = args.attrs.number("momentum"), decay = args.attrs.number("weight_decay");
    const bool nesterov = args.attrs.integer("nesterov") != 0;
    evaluate_update(args, [=](std::span<const double> in, std::span<double> out) {
      const double w = in[0], d = in[1] + decay * w, velocity = momentum * in[2] + d, rate = in[3];
      out[0] = w - rate * (nesterov ? d + momentum * velocity : velocity);
      out[1] = velocity;
    });
  }
  static Tensors expand(const ExpandArgs& args) {
    const double momentum = args.attrs.number("momentum");
    const Tensor d = decayed_gradient(args), velocity = momentum * args.inputs[2] + d;
    const Tensor direction = args.attrs.integer("nesterov") ? d + momentum * velocity : velocity;
    return {args.inputs[0] + neg(args.inputs[3], args.at) * direction, velocity};
  }

  static Samples samples() {
    const SampleInput array{{DType::f32, {3, 5}}}, rate{{DType::f32, {}}, 0, 0, {0.1}};
    const auto attrs = [](int64_t nesterov, double decay) {
      return Attrs{{"momentum", 0.9}, {"nesterov", nesterov}, {"weight_decay", decay}};
    };
    return {{"heavy ball", {array, array, array, rate}, attrs(0, 0)},
            {"nesterov", {array, array, array, rate}, attrs(1, 0)},
            {"decay", {array, array, array, rate}, attrs(1, 0.3)}};
  }
  static Misuses misuse() {
    const Type w{DType::f32, {3}}, scalar{DType::f32, {}};
    const Attrs attrs{{"momentum", 0.9}, {"nesterov", 0}, {"weight_decay", 0.0}};
    return {{{w, w, {DType::f32, {4}}, scalar},
             attrs,
             "momentum_update: the velocity of a weight f32[3] must be f32[3], got f32[4]"},
            {{w, w, w, w}, attrs, "momentum_update: the learning rate of a weight f32[3] must be f32[], got f32[3]"}};
  }
};

struct MomentumOptions {
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 0;  // of the loss, as L2 regularisation
};

// The new weight and velocity (which starts at 0).
inline Tensors momentum_update(Tensor weight, Tensor gradient, Tensor velocity, Tensor rate,
                               const MomentumOptions& options = {}, Site at = Site::here()) {
  const Tensor inputs[] = {weight, gradient, velocity, rate};
  return apply(
      op_def<MomentumUpdate>(), inputs,
      {{"momentum", options.momentum}, {"nesterov", int64_t{options.nesterov}}, {"weight_decay", options.weight_decay}},
      at);
}

}  // namespace descent
