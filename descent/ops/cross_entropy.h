#pragma once

#include "descent/ops/labelled.h"
#include "descent/ops/log.h"
#include "descent/ops/row_exp.h"

namespace descent {

// The probability that softmax gives a label, as a cost: one loss a row. With label smoothing e (Szegedy et al.,
// "Rethinking the Inception architecture", 2016) the target is 1 - e at the label plus e / classes everywhere. A label
// outside 0 .. classes - 1 has no probability, so an infinite loss.
struct CrossEntropy {
  static constexpr auto name = "cross_entropy";
  static constexpr auto summary =
      "-sum(target * log_softmax(scores)), the target being 1 at the label: {label_smoothing}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) {
    const double smoothing = args.attrs.number("label_smoothing");
    if (!(smoothing >= 0 && smoothing < 1))
      fail(text(name, ": the label_smoothing must be at least 0 and below 1, got ", smoothing));
    return infer_labelled(args, name);
  }

  static void evaluate(const EvalArgs& args) {
    const double smoothing = args.attrs.number("label_smoothing");
    evaluate_labelled(args, [smoothing](std::span<const double> row, int64_t label) {
      const std::vector<double> log_p = log_softmax_of(row);
      double loss = -(1 - smoothing) * label_score(log_p, label);
      for (const double each : log_p)
        if (smoothing > 0) loss -= smoothing / static_cast<double>(row.size()) * each;
      return loss;
    });
  }

  static Tensors expand(const ExpandArgs& args) {
    const Tensor scores = args.inputs[0], labels = args.inputs[1];
    const RowExp row = row_exp(scores, args.at);
    const double smoothing = args.attrs.number("label_smoothing");
    Tensor hit = max_where(label_mask(scores, labels, args.at), row.shifted, args.at);
    if (smoothing > 0)
      hit = (1 - smoothing) * hit +
            smoothing / static_cast<double>(scores.shape().back()) * sum(row.shifted, {-1}, true, args.at);
    return {reshape(log(row.total, args.at) - hit, labels.shape(), args.at)};
  }

  // softmax less the target, from the forward pass's own exponentials and sums: one pass gives loss and gradient.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor scores = args.inputs[0], g = beside_classes(args.cotangents[0], args.at);
    const RowExp row = row_exp(scores, args.at);
    const double smoothing = args.attrs.number("label_smoothing");
    const double elsewhere = smoothing / static_cast<double>(scores.shape().back());
    const Tensor mask = label_mask(scores, args.inputs[1], args.at);
    const double at_label = 1 - smoothing + elsewhere;
    const Tensor minus_target =
        smoothing > 0 ? where(mask, -at_label * g, -elsewhere * g) : where(mask, neg(g, args.at), 0);
    return {row.exps * (g / row.total) + minus_target, Tensor()};
  }

  static Samples samples() {
    const Attrs hard{{"label_smoothing", 0.0}}, smooth{{"label_smoothing", 0.1}};
    return {{"rows", {{{DType::f32, {4, 10}}, -3, 3}, {{DType::i32, {4}}, 0, 10}}, hard},
            {"smoothed", {{{DType::f32, {4, 10}}, -3, 3}, {{DType::i32, {4}}, 0, 10}}, smooth},
            {"positions", {{{DType::f32, {2, 3, 5}}, -3, 3}, {{DType::i32, {2, 3}}, 0, 5}}, hard},
            {"one row", {{{DType::f32, {7}}, -3, 3}, {{DType::i32, {}}, 0, 7}}, hard},
            {"long", {{{DType::f32, {2, 1500}}, -3, 3}, {{DType::i32, {2}}, 0, 1500}}, smooth},
            {"one class", {{{DType::f32, {3, 1}}}, {{DType::i32, {3}}, 0, 1}}, hard},
            {"large",
             {{{DType::f32, {2, 3}}, 0, 0, {1000, 999, -1000, 1000, 999, -1000}}, {{DType::i32, {2}}, 0, 0, {1, 2}}},
             hard,
             false},
            {"impossible",
             {{{DType::f32, {2, 3}}, 0, 0, {1, 2, -HUGE_VAL, 1, 2, -HUGE_VAL}}, {{DType::i32, {2}}, 0, 0, {0, 2}}},
             hard,
             false},
            {"no such class", {{{DType::f32, {2, 3}}}, {{DType::i32, {2}}, 0, 0, {-1, 3}}}, hard, false},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::i32, {0}}}}, hard}};
  }
  static Misuses misuse() {
    Misuses all = labelled_misuse(name, {{"label_smoothing", 0.0}});
    all.push_back({{{DType::f32, {4, 10}}, {DType::i32, {4}}},
                   {{"label_smoothing", 1.0}},
                   "cross_entropy: the label_smoothing must be at least 0 and below 1, got 1"});
    return all;
  }
};

// Scores (logits) [.., classes] and labels i32[..] give losses [..].
inline Tensor cross_entropy(Tensor scores, Tensor labels, double label_smoothing = 0, Site at = Site::here()) {
  return apply<CrossEntropy>({scores, labels}, {{"label_smoothing", label_smoothing}}, at);
}

}  // namespace descent
