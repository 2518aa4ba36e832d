#pragma once

#include "descent/ops/add.h"
#include "descent/ops/composite.h"
#include "descent/ops/div.h"
#include "descent/ops/equal.h"
#include "descent/ops/log.h"
#include "descent/ops/sub.h"
#include "descent/ops/where.h"

namespace descent {

struct Log1p : FloatingComposite<Log1p, 1> {
  static constexpr auto name = "log1p";
  static constexpr auto summary = "the natural logarithm of 1 + x, exact for small x";

  static double scalar(double x) { return std::log1p(x); }

  // With w = 1 + x as rounded, log(w) / (w - 1) is close to log(1 + x) / x however much of x the sum has lost
  // (Kahan; Goldberg, "What every computer scientist should know about floating-point arithmetic", 1991, theorem 4).
  // Where w is 1 the answer is x; where it is x (large, or infinite) it is log(x).
  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0], w = 1 + x, log_w = log(w, args.at);
    return {where(equal(w, 1), x, where(equal(w, x), log_w, x * (log_w / (w - 1))))};
  }

  // The derived one would divide 0 by 0 at 0.
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0] / (1 + args.inputs[0])}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -0.9, 3}}, {}},
            {"near 0", {{{DType::f32, {6}}, 0, 0, {0, 1e-9, -1e-9, 1e-7, 1e-3, -1e-3}}}, {}, false},
            {"edge", {{{DType::f32, {7}}, 0, 0, {100, 1e10, 1e30, HUGE_VAL, -1, -2, NAN}}}, {}, false}};
  }
  static Misuses misuse() { return {{{{DType::i32, {2}}}, {}, "log1p: needs floating-point inputs, got i32[2]"}}; }
};

inline Tensor log1p(Tensor x, Site at = Site::here()) { return apply<Log1p>({x}, {}, at); }

}  // namespace descent
