#pragma once

#include "descent/ops/expm1.h"
#include "descent/ops/less.h"
#include "descent/ops/minimum.h"
#include "descent/ops/where.h"

namespace descent {

// Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units", 2016.
struct Elu {
  static constexpr auto name = "elu";
  static constexpr auto summary = "x where positive, else alpha * (exp(x) - 1): {alpha}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    nonnegative(args, name, "alpha");
    return infer_floating(args, name);
  }
  static void evaluate(const EvalArgs& args) {
    evaluate_each<1>(args,
                     [alpha = args.attrs.number("alpha")](double x) { return x < 0 ? alpha * std::expm1(x) : x; });
  }
  // The minimum keeps the branch that is not taken from overflowing.
  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0];
    return {where(less(x, 0), args.attrs.number("alpha") * expm1(minimum(x, 0), args.at), x)};
  }

  // alpha * exp(x) is the output plus alpha: no exponential, and x need not be kept.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor y = args.outputs[0], g = args.cotangents[0];
    return {where(less(0, y), g, g * (y + args.attrs.number("alpha")))};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -2, 2}}, {{"alpha", 1.0}}},
            {"alpha", {{{DType::f32, {7}}, -2, 2}}, {{"alpha", 0.3}}},
            {"edge",
             {{{DType::f32, {9}}, 0, 0, {0, -0.0, -1e-6, -200, 200, 1e30, HUGE_VAL, -HUGE_VAL, NAN}}},
             {{"alpha", 1.0}},
             false}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2}}}, {{"alpha", -1.0}}, "elu: the alpha must be at least 0, got -1"},
            {{{DType::i32, {2}}}, {{"alpha", 1.0}}, "elu: needs floating-point inputs, got i32[2]"}};
  }
};

// `alpha` is at least 0.
inline Tensor elu(Tensor x, double alpha = 1, Site at = Site::here()) {
  return apply<Elu>({x}, {{"alpha", alpha}}, at);
}

}  // namespace descent
