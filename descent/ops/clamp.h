#pragma once

#include <algorithm>
#include <cmath>

#include "descent/ops/minimum.h"

namespace descent {

struct Clamp {
  static constexpr auto name = "clamp";
  static constexpr auto summary = "x, but not below {low} nor above {high}; NaN stays NaN";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    const double low = args.attrs.number("low"), high = args.attrs.number("high");
    if (!(low <= high)) fail(text(name, ": the lower bound ", low, " is not below the upper bound ", high));
    return {args.inputs[0]};
  }
  static void evaluate(const EvalArgs& args) {
    const double low = args.attrs.number("low"), high = args.attrs.number("high");
    std::ranges::transform(args.inputs[0].values, args.outputs[0].values.begin(), [&](double x) {
      return x < low ? low : x > high ? high : x;
    });
  }
  static Tensors expand(const ExpandArgs& args) {
    const Tensor raised = maximum({args.inputs[0], args.at}, args.attrs.number("low"));
    return {minimum({raised, args.at}, args.attrs.number("high"))};
  }

  static Samples samples() {
    const Attrs attrs{{"low", -0.5}, {"high", 0.25}};
    return {{"matrix", {{{DType::f32, {3, 5}}}}, attrs},
            {"integers", {{{DType::i32, {20}}, -9, 9}}, {{"low", -3.0}, {"high", 4.0}}},
            {"half open", {{{DType::f32, {3, 5}}}}, {{"low", 0.125}, {"high", HUGE_VAL}}},
            {"edge", {{{DType::f32, {5}}, 0, 0, {-0.5, 0.25, HUGE_VAL, -HUGE_VAL, NAN}}}, attrs, false},
            {"empty", {{{DType::f32, {0, 4}}}}, attrs}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2}}},
             {{"low", 2.0}, {"high", 1.0}},
             "clamp: the lower bound 2 is not below the upper bound 1"}};
  }
};

// Either bound may be infinite.
inline Tensor clamp(Tensor x, double low, double high, Site at = Site::here()) {
  return apply<Clamp>({x}, {{"low", low}, {"high", high}}, at);
}

}  // namespace descent
