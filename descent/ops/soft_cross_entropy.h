#pragma once

#include "descent/ops/composite.h"
#include "descent/ops/distributions.h"
#include "descent/ops/log.h"
#include "descent/ops/row_exp.h"

namespace descent {

// Cross entropy against a distribution: of a teacher (Hinton, Vinyals and Dean, 2015), a search, mixed examples. A
// target of 0 costs nothing whatever the score, so impossible classes may score minus infinity.
struct SoftCrossEntropy {
  static constexpr auto name = "soft_cross_entropy";
  static constexpr auto summary = "-sum(targets * log_softmax(scores)) along the last axis";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) { return infer_distributions(args, name); }

  static void evaluate(const EvalArgs& args) {
    evaluate_distributions(args, [](double log_p, double target) { return -target * log_p; });
  }

  static Tensors expand(const ExpandArgs& args) {
    const Tensor targets = args.inputs[1];
    const RowExp row = row_exp(args.inputs[0], args.at);
    const Tensor costs = where(equal(targets, 0), 0, targets * (log(row.total, args.at) - row.shifted));
    return {sum(costs, {-1}, false, args.at)};
  }

  // As for cross_entropy: softmax times the targets' sum, less the targets.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor targets = args.inputs[1], g = beside_classes(args.cotangents[0], args.at);
    const RowExp row = row_exp(args.inputs[0], args.at);
    const Tensor mass = sum(targets, {-1}, true, args.at);
    return {row.exps * (g * mass / row.total) + targets * neg(g, args.at), (log(row.total, args.at) - row.shifted) * g};
  }

  static Samples samples() { return distribution_samples(); }
  static Misuses misuse() { return distribution_misuse(name); }
};

// Scores (logits) and targets [.., classes], the targets' rows summing to 1 as a rule, give losses [..].
inline Tensor soft_cross_entropy(Tensor scores, Tensor targets, Site at = Site::here()) {
  return apply<SoftCrossEntropy>({scores, targets}, {}, at);
}

}  // namespace descent
