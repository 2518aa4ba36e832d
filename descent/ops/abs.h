#pragma once

#include <cmath>

#include "descent/ops/maximum.h"
#include "descent/ops/neg.h"

namespace descent {

struct Abs : ElementwiseComposite<Abs, 1> {
  static constexpr auto name = "abs";
  static constexpr auto summary = "x without its sign; its gradient at 0 is 0";

  static std::vector<Type> infer(const InferArgs& args) { return infer_signed(args, name); }
  static double scalar(double x) { return std::abs(x); }
  static Tensors expand(const ExpandArgs& args) {
    return {maximum({args.inputs[0], args.at}, neg(args.inputs[0], args.at))};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}}, {}},
            {"integers", {{{DType::i32, {7}}, -9, 9}}, {}},
            {"edge", {{{DType::f32, {4}}, 0, 0, {0, -0.0, -HUGE_VAL, NAN}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::u8, {3}}}, {}, "abs: u8 has no negative numbers, got u8[3]"}}; }
};

inline Tensor abs(Tensor x, Site at = Site::here()) { return apply<Abs>({x}, {}, at); }

}  // namespace descent
