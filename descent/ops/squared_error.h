#pragma once

#include "descent/ops/composite.h"
#include "descent/ops/square.h"
#include "descent/ops/sub.h"

namespace descent {

// Both inputs have one shape, with no broadcasting: [n] against [n, 1] is a mistake that would pass as [n, n].
struct SquaredError : FloatingComposite<SquaredError, 2> {
  static constexpr auto name = "squared_error";
  static constexpr auto summary = "(x - target)^2";

  static double scalar(double x, double target) { return (x - target) * (x - target); }
  static Tensors expand(const ExpandArgs& args) { return {square(args.inputs[0] - args.inputs[1], args.at)}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}, {{DType::f32, {3, 5}}}}, {}},
            {"equal", {{{DType::f32, {3}}, 0, 0, {1, 3, -0.5}}, {{DType::f32, {3}}, 0, 0, {0, 3, -0.5}}}, {}},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {4}}, {DType::f32, {4, 1}}}, {}, "squared_error: input 1 is f32[4,1] but input 0 is f32[4]"},
            {{{DType::i32, {4}}, {DType::i32, {4}}}, {}, "squared_error: needs floating-point inputs, got i32[4]"}};
  }
};

// Element by element, of the inputs' shape; its mean is the mean squared error.
inline Tensor squared_error(Tensor x, Tensor target, Site at = Site::here()) {
  return apply<SquaredError>({x, target}, {}, at);
}

}  // namespace descent
