#pragma once

#include "descent/ops/cast.h"
#include "descent/ops/composite.h"
#include "descent/ops/less.h"

namespace descent {

// The step of the first artificial neurons (McCulloch and Pitts, 1943; Rosenblatt, 1958). NaN gives 0.
struct Heaviside : FloatingComposite<Heaviside, 1> {
  static constexpr auto name = "heaviside";
  static constexpr auto summary = "1 where x is positive, else 0";
  static constexpr auto no_gradient = "a step is flat wherever it has a slope, so nothing can be learnt through it";

  static double scalar(double x) { return x > 0; }
  static Tensors expand(const ExpandArgs& args) {
    return {cast(less(0, args.inputs[0]), args.inputs[0].dtype(), args.at)};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -4, 4}}, {}},
            {"edge", {{{DType::f32, {7}}, 0, 0, {0, -0.0, 1e-30, -1e-30, HUGE_VAL, -HUGE_VAL, NAN}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {2}}}, {}, "heaviside: needs floating-point inputs, got i32[2]"}}; }
};

inline Tensor heaviside(Tensor x, Site at = Site::here()) { return apply<Heaviside>({x}, {}, at); }

}  // namespace descent
