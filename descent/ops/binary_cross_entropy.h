#pragma once

#include "descent/ops/abs.h"
#include "descent/ops/composite.h"
#include "descent/ops/log1p.h"
#include "descent/ops/maximum.h"
#include "descent/ops/softplus.h"

namespace descent {

// Each element is a yes-or-no question of its own: the cost of the probability sigmoid(score) for a target between 0
// and 1. Taking scores rather than probabilities, it neither overflows nor loses small losses.
struct BinaryCrossEntropy : FloatingComposite<BinaryCrossEntropy, 2> {
  static constexpr auto name = "binary_cross_entropy";
  static constexpr auto summary = "-target * log(sigmoid(score)) - (1 - target) * log(1 - sigmoid(score))";

  static double scalar(double score, double target) {
    return target * Softplus::scalar(-score) + (1 - target) * Softplus::scalar(score);
  }

  // max(x, 0) - x t does not cancel against the logarithm, which both signs of x share.
  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0], target = args.inputs[1];
    return {(maximum(x, 0) - x * target) + log1p(small_exp(x, args.at), args.at)};
  }

  // sigmoid less the target, from the forward pass's own exponential; smooth at 0, where the derived one has kinks.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor x = args.inputs[0], g = args.cotangents[0], e = small_exp(x, args.at);
    const Tensor probability = where(less(x, 0), e, 1) / (1 + e);
    return {g * (probability - args.inputs[1]), neg(g * x, args.at)};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -4, 4}, {{DType::f32, {3, 5}}, 0, 1}}, {}},
            {"sure", {{{DType::f32, {4}}, 0, 0, {4, -4, 3, -5}}, {{DType::f32, {4}}, 0, 0, {1, 0, 1, 0}}}, {}},
            {"wrong", {{{DType::f32, {4}}, 0, 0, {1e4, -1e4, 20, -20}}, {{DType::f32, {4}}, 0, 0, {0, 1, 0, 1}}}, {}},
            {"middle", {{{DType::f32, {2}}, 0, 0, {0, -0.0}}, {{DType::f32, {2}}, 0, 1}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {
        {{{DType::f32, {4, 1}}, {DType::f32, {4}}},
         {},
         "binary_cross_entropy: input 1 is f32[4] but input 0 is f32[4,1]"},
        {{{DType::i32, {4}}, {DType::i32, {4}}}, {}, "binary_cross_entropy: needs floating-point inputs, got i32[4]"}};
  }

 private:
  static Tensor small_exp(Tensor x, Site at) { return exp(neg(abs(x, at), at), at); }
};

// Scores (logits) and targets of one shape, which the losses have too.
inline Tensor binary_cross_entropy(Tensor scores, Tensor targets, Site at = Site::here()) {
  return apply<BinaryCrossEntropy>({scores, targets}, {}, at);
}

}  // namespace descent
