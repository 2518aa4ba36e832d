#pragma once

#include "descent/ops/argmax.h"
#include "descent/ops/composite.h"
#include "descent/ops/labelled.h"
#include "descent/ops/maximum.h"
#include "descent/ops/sub.h"

namespace descent {

// The multi-class hinge of Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector
// machines", 2001: the label's score should lead the best other one by the margin. With margin 0 it is the perceptron
// criterion, max(scores) - score of the label. A label outside 0 .. classes - 1 gives an infinite loss.
struct Hinge {
  static constexpr auto name = "hinge";
  static constexpr auto summary = "max(0, margin + the largest score of another class - the label's score): {margin}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) {
    nonnegative(args, name, "margin");
    return infer_labelled(args, name);
  }

  static void evaluate(const EvalArgs& args) {
    evaluate_labelled(args, [margin = args.attrs.number("margin")](std::span<const double> row, int64_t label) {
      double loss = 0;
      for (size_t i = 0; i < row.size(); ++i)
        if (static_cast<int64_t>(i) != label) loss = std::max(loss, margin + row[i] - label_score(row, label));
      return loss;
    });
  }

  static Tensors expand(const ExpandArgs& args) {
    return {reshape(maximum(lag(args).by, 0), args.inputs[1].shape(), args.at)};
  }

  // Up for the best other class and down for the label wherever the lead is short, and also where it is exactly the
  // margin: a perceptron that starts from zeros has ties only, and must learn from them (Rosenblatt, 1958), whereas the
  // derived gradient is halved there. Of several best others the first goes up.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor g = beside_classes(args.cotangents[0], args.at);
    const Lag lag = Hinge::lag(args);
    const Tensor active = where(less(lag.by, 0), 0, g);
    const Tensor rival = equal(lag.index, argmax(lag.others, -1, true, args.at));
    return {where(rival, active, 0) - where(lag.is_label, active, 0), Tensor()};
  }

  static Samples samples() {
    const Attrs one{{"margin", 1.0}}, none{{"margin", 0.0}};
    return {
        {"rows", {{{DType::f32, {4, 10}}, -3, 3}, {{DType::i32, {4}}, 0, 10}}, one},
        {"perceptron", {{{DType::f32, {9, 4}}, -3, 3}, {{DType::i32, {9}}, 0, 4}}, none},
        {"positions", {{{DType::f32, {2, 3, 5}}, -3, 3}, {{DType::i32, {2, 3}}, 0, 5}}, one},
        {"one row", {{{DType::f32, {7}}, -3, 3}, {{DType::i32, {}}, 0, 7}}, one},
        {"ties", {{{DType::f32, {2, 3}}, 0, 0, {0, 0, 0, 1, 2, 2}}, {{DType::i32, {2}}, 0, 0, {1, 2}}}, none, false},
        {"one class", {{{DType::f32, {3, 1}}}, {{DType::i32, {3}}, 0, 1}}, one},
        {"no such class", {{{DType::f32, {2, 3}}}, {{DType::i32, {2}}, 0, 0, {-1, 3}}}, one, false},
        {"empty", {{{DType::f32, {0, 4}}}, {{DType::i32, {0}}}}, one}};
  }
  static Misuses misuse() {
    Misuses all = labelled_misuse(name, {{"margin", 1.0}});
    all.push_back({{{DType::f32, {4, 3}}, {DType::i32, {4}}},
                   {{"margin", -1.0}},
                   "hinge: the margin must be at least 0, got -1"});
    return all;
  }

 private:
  struct Lag {
    Tensor index, is_label, others;  // [.., classes]; others: the scores, without the label's
    Tensor by;                       // [.., 1]: how far the label is from leading by the margin
  };

  template <class Args>
  static Lag lag(const Args& args) {
    const Tensor scores = args.inputs[0], index = class_index(scores, args.at);
    const Tensor is_label = label_mask(scores, args.inputs[1], args.at);
    const Tensor others = where(is_label, minus_infinity, scores);
    const Tensor best = max(others, {-1}, true, args.at), own = max_where(is_label, scores, args.at);
    return {index, is_label, others, args.attrs.number("margin") + (best - own)};
  }
};

// Scores [.., classes] and labels i32[..] give losses [..].
inline Tensor hinge(Tensor scores, Tensor labels, double margin = 1, Site at = Site::here()) {
  return apply<Hinge>({scores, labels}, {{"margin", margin}}, at);
}

// max(scores) less the label's score: the perceptron's criterion, for any number of classes.
inline Tensor perceptron_criterion(Tensor scores, Tensor labels, Site at = Site::here()) {
  return hinge(scores, labels, 0, at);
}

}  // namespace descent
