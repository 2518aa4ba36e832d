#pragma once

#include "descent/ops/div.h"
#include "descent/ops/expm1.h"
#include "descent/ops/neg.h"
#include "descent/ops/sqrt.h"
#include "descent/ops/update_rule.h"

namespace descent {

// Kingma and Ba, "Adam: a method for stochastic optimization", 2015. Decoupled, the decay shrinks the weight itself and
// not by way of the gradient: AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).
struct AdamUpdate {
  static constexpr auto name = "adam_update";
  static constexpr auto summary =
      "m' = beta1 * m + (1 - beta1) * d, v' = beta2 * v + (1 - beta2) * d^2, w' = w - rate * (m' / (1 - beta1^step) / "
      "(sqrt(v' / (1 - beta2^step)) + epsilon) [+ weight_decay * w if decoupled]), from w, g, m, v, rate, step, with d "
      "= "
      "g [+ weight_decay * w if not]: {beta1, beta2, epsilon, weight_decay, decoupled: 0 or 1}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 6;
  static constexpr auto no_gradient = no_gradient_of_updates;

  static std::vector<Type> infer(const InferArgs& args) {
    for (const std::string_view beta : {"beta1", "beta2"})
      if (const double value = args.attrs.number(beta); !(value >= 0 && value < 1))
        fail(text(name, ": the ", beta, " must be at least 0 and below 1, got ", value));
    nonnegative(args, name, "epsilon");
    nonnegative(args, name, "weight_decay");
    args.attrs.integer("decoupled");
    constexpr auto roles =
        std::to_array<std::string_view>({"gradient", "first moment", "second moment", "learning rate", "step"});
    return infer_update(args, name, roles, 2);
  }

  static void evaluate(const EvalArgs& args) {
    const double beta1 = args.attrs.number("beta1"), beta2 = args.attrs.number("beta2");
    const double epsilon = args.attrs.number("epsilon"), decay = args.attrs.number("weight_decay");
    const bool decoupled = args.attrs.integer("decoupled") != 0;
    evaluate_update(args, [=](std::span<const double> in, std::span<double> out) {
      const double w = in[0], rate = in[4], step = in[5], d = in[1] + (decoupled ? 0 : decay * w);
      const double m = beta1 * in[2] + (1 - beta1) * d, v = beta2 * in[3] + (1 - beta2) * d * d;
      const double first = m / (1 - std::pow(beta1, step)), second = v / (1 - std::pow(beta2, step));
      out[0] = w - rate * (first / (std::sqrt(second) + epsilon) + (decoupled ? decay * w : 0));
      out[1] = m;
      out[2] = v;
    });
  }

  // As in the paper's section 2: with c1 and c2 the corrections, w' = w - rate * sqrt(c2) / c1 * m' / (sqrt(v') +
  // sqrt(c2)
  // * epsilon), whose factors are scalars; what is left for each element is one root and one quotient.
  static Tensors expand(const ExpandArgs& args) {
    const Tensor w = args.inputs[0], rate = args.inputs[4], step = args.inputs[5];
    const double beta1 = args.attrs.number("beta1"), beta2 = args.attrs.number("beta2");
    const double decay = args.attrs.number("weight_decay");
    const bool decoupled = args.attrs.integer("decoupled") != 0;
    const Tensor d = decoupled ? args.inputs[1] : decayed_gradient(args);
    const Tensor m = beta1 * args.inputs[2] + (1 - beta1) * d, v = beta2 * args.inputs[3] + (1 - beta2) * (d * d);
    const Tensor root = sqrt(neg(minus_correction(beta2, step, args.at), args.at), args.at);
    const Tensor scale = (rate * root) / minus_correction(beta1, step, args.at);
    Tensor change = scale * (m / (sqrt(v, args.at) + args.attrs.number("epsilon") * root));
    if (decoupled && decay != 0) change = change + (-decay * rate) * w;
    return {w + change, m, v};
  }

  static Samples samples() {
    const SampleInput array{{DType::f32, {3, 5}}}, second{{DType::f32, {3, 5}}, 0, 1},
        zeros{{DType::f32, {3, 5}}, 0, 0, std::vector<double>(15)};
    const auto scalar = [](double value) { return SampleInput{{DType::f32, {}}, 0, 0, {value}}; };
    const auto attrs = [](double decay, int64_t decoupled) {
      return Attrs{
          {"beta1", 0.9}, {"beta2", 0.999}, {"epsilon", 1e-8}, {"weight_decay", decay}, {"decoupled", decoupled}};
    };
    return {{"first step", {array, array, zeros, zeros, scalar(0.001), scalar(1)}, attrs(0, 0)},
            {"late", {array, array, array, second, scalar(0.001), scalar(20000)}, attrs(0, 0)},
            {"decay", {array, array, array, second, scalar(0.1), scalar(10)}, attrs(0.3, 0)},
            {"decoupled", {array, array, array, second, scalar(0.1), scalar(10)}, attrs(0.3, 1)},
            {"never moved", {array, zeros, zeros, zeros, scalar(0.1), scalar(10)}, attrs(0, 0)}};
  }
  static Misuses misuse() {
    const Type w{DType::f32, {3}}, scalar{DType::f32, {}};
    const Attrs good{{"beta1", 0.9}, {"beta2", 0.999}, {"epsilon", 1e-8}, {"weight_decay", 0.0}, {"decoupled", 0}};
    Attrs bad = good;
    bad.set("beta2", 1.0);
    return {{{w, w, w, {DType::f32, {1}}, scalar, scalar},
             good,
             "the second moment of a weight f32[3] must be f32[3], got f32[1]"},
            {{w, w, w, w, scalar, {DType::i32, {}}},
             good,
             "adam_update: the step of a weight f32[3] must be f32[], got i32[]"},
            {{w, w, w, w, scalar, scalar}, bad, "adam_update: the beta2 must be at least 0 and below 1, got 1"}};
  }

 private:
  // beta^step - 1, which in f32 would lose up to five digits in the first steps if taken literally.
  static Tensor minus_correction(double beta, Tensor step, Site at) {
    return beta == 0 ? constant_like(step, -1, at) : expm1(std::log(beta) * step, at);
  }
};

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  bool decoupled = false;
};

// The new weight and moments (which start at 0). `rate` and `step` (1 for the first) are scalar tensors.
inline Tensors adam_update(Tensor weight, Tensor gradient, Tensor first, Tensor second, Tensor rate, Tensor step,
                           const AdamOptions& options = {}, Site at = Site::here()) {
  const Tensor inputs[] = {weight, gradient, first, second, rate, step};
  return apply(op_def<AdamUpdate>(), inputs,
               {{"beta1", options.beta1},
                {"beta2", options.beta2},
                {"epsilon", options.epsilon},
                {"weight_decay", options.weight_decay},
                {"decoupled", int64_t{options.decoupled}}},
               at);
}

}  // namespace descent
