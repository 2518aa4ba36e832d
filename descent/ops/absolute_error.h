#pragma once

#include "descent/ops/abs.h"
#include "descent/ops/composite.h"
#include "descent/ops/sub.h"

namespace descent {

// Both inputs have one shape, with no broadcasting, as for squared_error.
struct AbsoluteError : FloatingComposite<AbsoluteError, 2> {
  static constexpr auto name = "absolute_error";
  static constexpr auto summary = "|x - target|; its gradient where they are equal is 0";

  static double scalar(double x, double target) { return std::abs(x - target); }
  static Tensors expand(const ExpandArgs& args) { return {abs(args.inputs[0] - args.inputs[1], args.at)}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}, {{DType::f32, {3, 5}}}}, {}},
            {"equal", {{{DType::f32, {2}}, 0, 0, {3, -0.5}}, {{DType::f32, {2}}, 0, 0, {3, -0.5}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {
        {{{DType::f32, {4}}, {DType::f32, {4, 1}}}, {}, "absolute_error: input 1 is f32[4,1] but input 0 is f32[4]"},
        {{{DType::i32, {4}}, {DType::i32, {4}}}, {}, "absolute_error: needs floating-point inputs, got i32[4]"}};
  }
};

// Element by element, of the inputs' shape; its mean is the mean absolute error.
inline Tensor absolute_error(Tensor x, Tensor target, Site at = Site::here()) {
  return apply<AbsoluteError>({x, target}, {}, at);
}

}  // namespace descent
