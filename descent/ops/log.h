#pragma once

#include <cmath>

#include "descent/ops/div.h"

namespace descent {

struct Log : ElementwiseFloating<Log, 1> {
  static constexpr auto name = "log";
  static constexpr auto summary = "the natural logarithm of x; -inf at 0, NaN below";
  static constexpr auto scalar_op = ScalarOp::log;

  static double scalar(double x) { return std::log(x); }
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0] / args.inputs[0]}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, 0.1, 3}}, {}},
            {"near one", {{{DType::f32, {4}}, 0, 0, {1, 0.99, 1.01, 1.5}}}, {}},
            {"far", {{{DType::f32, {3}}, 0, 0, {1e-30, 1e4, 1e30}}}, {}, false},
            {"edge", {{{DType::f32, {4}}, 0, 0, {0, -1, HUGE_VAL, NAN}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}, 1, 2}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {3}}}, {}, "log: needs floating-point inputs, got i32[3]"}}; }
};

inline Tensor log(Tensor x, Site at = Site::here()) { return apply<Log>({x}, {}, at); }

}  // namespace descent
