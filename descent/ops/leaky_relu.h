#pragma once

#include "descent/ops/composite.h"
#include "descent/ops/less.h"
#include "descent/ops/mul.h"
#include "descent/ops/where.h"

namespace descent {

// Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
struct LeakyRelu {
  static constexpr auto name = "leaky_relu";
  static constexpr auto summary = "x where positive, else slope * x: {slope}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    nonnegative(args, name, "slope");
    return infer_floating(args, name);
  }
  static void evaluate(const EvalArgs& args) {
    evaluate_each<1>(args, [slope = args.attrs.number("slope")](double x) { return x < 0 ? slope * x : x; });
  }
  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0];
    return {where(less(x, 0), args.attrs.number("slope") * x, x)};
  }

  // The output is positive exactly where x is, the slope not being negative: so x need not be kept.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor g = args.cotangents[0];
    return {where(less(0, args.outputs[0]), g, args.attrs.number("slope") * g)};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -2, 2}}, {{"slope", 0.01}}},
            {"flat", {{{DType::f32, {7}}, -2, 2}}, {{"slope", 0.0}}},
            {"edge", {{{DType::f32, {6}}, 0, 0, {0, -0.0, -1e30, HUGE_VAL, -HUGE_VAL, NAN}}}, {{"slope", 0.2}}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {{"slope", 0.01}}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2}}}, {{"slope", -0.5}}, "leaky_relu: the slope must be at least 0, got -0.5"},
            {{{DType::i32, {2}}}, {{"slope", 0.01}}, "leaky_relu: needs floating-point inputs, got i32[2]"}};
  }
};

// `slope` is at least 0.
inline Tensor leaky_relu(Tensor x, double slope = 0.01, Site at = Site::here()) {
  return apply<LeakyRelu>({x}, {{"slope", slope}}, at);
}

}  // namespace descent
