#pragma once

#include "descent/ops/log.h"
#include "descent/ops/soft_cross_entropy.h"

namespace descent {

// Kullback and Leibler, "On information and sufficiency", 1951: how far softmax(scores) is from the targets, counted in
// nats; soft_cross_entropy less what it costs at best. A target of 0 adds nothing.
struct KlDivergence {
  static constexpr auto name = "kl_divergence";
  static constexpr auto summary = "sum(targets * (log(targets) - log_softmax(scores))) along the last axis";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) { return infer_distributions(args, name); }

  static void evaluate(const EvalArgs& args) {
    evaluate_distributions(args, [](double log_p, double target) { return target * (std::log(target) - log_p); });
  }

  // The logarithm of 1 in place of 0, which the outer `where` drops, keeps the gradient finite there.
  static Tensors expand(const ExpandArgs& args) {
    const Tensor targets = args.inputs[1];
    const RowExp row = row_exp(args.inputs[0], args.at);
    const Tensor none = equal(targets, 0), log_targets = log(where(none, 1, targets), args.at);
    const Tensor costs = targets * (log_targets + (log(row.total, args.at) - row.shifted));
    return {sum(where(none, 0, costs), {-1}, false, args.at)};
  }

  // The scores' is that of soft_cross_entropy, in which the targets' own entropy has no part.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor targets = args.inputs[1], g = beside_classes(args.cotangents[0], args.at);
    Tensors out = SoftCrossEntropy::vjp(args);
    out[1] = out[1] + (log(targets, args.at) + 1) * g;
    return out;
  }

  static Samples samples() { return distribution_samples(); }
  static Misuses misuse() { return distribution_misuse(name); }
};

// Scores (logits) and targets [.., classes], the targets' rows summing to 1 as a rule, give divergences [..].
inline Tensor kl_divergence(Tensor scores, Tensor targets, Site at = Site::here()) {
  return apply<KlDivergence>({scores, targets}, {}, at);
}

}  // namespace descent
