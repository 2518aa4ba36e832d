#pragma once

#include "descent/ops/composite.h"
#include "descent/ops/less.h"
#include "descent/ops/maximum.h"
#include "descent/ops/sub.h"

namespace descent {

// The hinge of the support vector machine (Cortes and Vapnik, "Support-vector networks", 1995), for targets -1 and 1.
// With margin 0 it is the perceptron criterion of a single unit.
struct BinaryHinge {
  static constexpr auto name = "binary_hinge";
  static constexpr auto summary = "max(0, margin - target * score): {margin}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) {
    nonnegative(args, name, "margin");
    return infer_floating(args, name);
  }
  static void evaluate(const EvalArgs& args) {
    evaluate_each<2>(args, [margin = args.attrs.number("margin")](double score, double target) {
      return std::max(0.0, margin - target * score);
    });
  }
  static Tensors expand(const ExpandArgs& args) { return {maximum(lag(args), 0)}; }

  // Also at the very margin, so that a perceptron learns from zeros: see hinge.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor active = where(less(lag(args), 0), 0, neg(args.cotangents[0], args.at));
    return {active * args.inputs[1], active * args.inputs[0]};
  }

  static Samples samples() {
    const auto signs = [](std::vector<double> values) {
      const auto size = static_cast<int64_t>(values.size());
      return SampleInput{{DType::f32, {size}}, 0, 0, std::move(values)};
    };
    return {{"matrix", {{{DType::f32, {3, 5}}, -2, 2}, {{DType::f32, {3, 5}}}}, {{"margin", 1.0}}},
            {"signs", {{{DType::f32, {6}}, -2, 2}, signs({1, -1, 1, -1, 1, -1})}, {{"margin", 1.0}}},
            {"perceptron", {{{DType::f32, {6}}, -2, 2}, signs({1, -1, 1, -1, 1, -1})}, {{"margin", 0.0}}},
            {"kink", {signs({0, 0, 1}), signs({1, -1, 1})}, {{"margin", 0.0}}, false},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {{"margin", 1.0}}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {4}}, {DType::f32, {4, 1}}},
             {{"margin", 1.0}},
             "binary_hinge: input 1 is f32[4,1] but input 0 is f32[4]"},
            {{{DType::f32, {4}}, {DType::f32, {4}}},
             {{"margin", -1.0}},
             "binary_hinge: the margin must be at least 0, got -1"}};
  }

 private:
  template <class Args>
  static Tensor lag(const Args& args) {
    return args.attrs.number("margin") - args.inputs[1] * args.inputs[0];
  }
};

// Scores and targets (-1 or 1) of one shape, which the losses have too.
inline Tensor binary_hinge(Tensor scores, Tensor targets, double margin = 1, Site at = Site::here()) {
  return apply<BinaryHinge>({scores, targets}, {{"margin", margin}}, at);
}

}  // namespace descent
