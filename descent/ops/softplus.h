#pragma once

#include "descent/ops/abs.h"
#include "descent/ops/log1p.h"
#include "descent/ops/maximum.h"
#include "descent/ops/sigmoid.h"

namespace descent {

struct Softplus : FloatingComposite<Softplus, 1> {
  static constexpr auto name = "softplus";
  static constexpr auto summary = "log(1 + exp(x))";

  static double scalar(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

  // exp of what is never positive does not overflow.
  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0];
    return {maximum(x, 0) + log1p(exp(neg(abs(x, args.at), args.at), args.at), args.at)};
  }

  // The derived one has a kink at 0, from the absolute value; the function has none.
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0] * sigmoid(args.inputs[0], args.at)}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -4, 4}}, {}},
            {"tails", {{{DType::f32, {6}}, 0, 0, {-20, 20, -50, 80, -1e4, 1e4}}}, {}},
            {"edge",
             {{{DType::f32, {4}}, 0, 0, {0, HUGE_VAL, -HUGE_VAL, NAN}}},
             {},
             false},  // the derived gradient has a kink at 0
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {2}}}, {}, "softplus: needs floating-point inputs, got i32[2]"}}; }
};

inline Tensor softplus(Tensor x, Site at = Site::here()) { return apply<Softplus>({x}, {}, at); }

}  // namespace descent
