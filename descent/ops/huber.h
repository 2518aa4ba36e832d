#pragma once

#include "descent/ops/abs.h"
#include "descent/ops/clamp.h"
#include "descent/ops/composite.h"
#include "descent/ops/minimum.h"
#include "descent/ops/sub.h"

namespace descent {

// Huber, "Robust estimation of a location parameter", 1964: squared near the target, linear far from it.
struct Huber {
  static constexpr auto name = "huber";
  static constexpr auto summary =
      "d^2 / 2 where d = |x - target| is at most delta, else delta * (d - delta / 2): {delta}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) {
    const double delta = args.attrs.number("delta");
    if (!(delta > 0)) fail(text(name, ": the delta must be above 0, got ", delta));
    return infer_floating(args, name);
  }
  static void evaluate(const EvalArgs& args) {
    evaluate_each<2>(args, [delta = args.attrs.number("delta")](double x, double target) {
      const double d = std::abs(x - target);
      return d <= delta ? d * d / 2 : delta * (d - delta / 2);
    });
  }

  // Both cases are c * (d - c / 2) with c the smaller of d and delta.
  static Tensors expand(const ExpandArgs& args) {
    const Tensor d = abs(args.inputs[0] - args.inputs[1], args.at), c = minimum(d, args.attrs.number("delta"));
    return {c * (d - 0.5 * c)};
  }

  // The error itself, clamped: the derived one goes through the kinks of |x| and the minimum, which this has not.
  static Tensors vjp(const VjpArgs& args) {
    const double delta = args.attrs.number("delta");
    const Tensor to_x = args.cotangents[0] * clamp(args.inputs[0] - args.inputs[1], -delta, delta, args.at);
    return {to_x, neg(to_x, args.at)};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -2, 2}, {{DType::f32, {3, 5}}}}, {{"delta", 1.0}}},
            {"narrow", {{{DType::f32, {9}}, -2, 2}, {{DType::f32, {9}}}}, {{"delta", 0.1}}},
            {"edge",
             {{{DType::f32, {4}}, 0, 0, {3, 1, -1, 1e30}}, {{DType::f32, {4}}, 0, 0, {3, 0, 0, 0}}},
             {{"delta", 1.0}},
             false},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {{"delta", 1.0}}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {4}}, {DType::f32, {4, 1}}},
             {{"delta", 1.0}},
             "huber: input 1 is f32[4,1] but input 0 is f32[4]"},
            {{{DType::f32, {4}}, {DType::f32, {4}}}, {{"delta", 0.0}}, "huber: the delta must be above 0, got 0"}};
  }
};

// Element by element, of the inputs' shape, without broadcasting.
inline Tensor huber(Tensor x, Tensor target, double delta = 1, Site at = Site::here()) {
  return apply<Huber>({x, target}, {{"delta", delta}}, at);
}

}  // namespace descent
