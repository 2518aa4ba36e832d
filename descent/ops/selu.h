#pragma once

#include "descent/ops/elu.h"

namespace descent {

// Klambauer et al., "Self-normalizing neural networks", 2017: an ELU scaled so that layers of it pull activations
// toward mean 0 and variance 1.
struct Selu : FloatingComposite<Selu, 1> {
  static constexpr auto name = "selu";
  static constexpr auto summary = "1.0507 * elu(x) with alpha 1.67326";
  static constexpr double alpha = 1.6732632423543772, scale = 1.0507009873554805;

  static double scalar(double x) { return scale * (x < 0 ? alpha * std::expm1(x) : x); }
  static Tensors expand(const ExpandArgs& args) { return {scale * elu(args.inputs[0], alpha, args.at)}; }

  // From the output, as for elu.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor y = args.outputs[0], g = args.cotangents[0];
    return {g * where(less(0, y), scale, y + scale * alpha)};
  }

  static Samples samples() {
    return {
        {"matrix", {{{DType::f32, {3, 5}}, -2, 2}}, {}},
        {"edge", {{{DType::f32, {9}}, 0, 0, {0, -0.0, -1e-6, -200, 200, 1e30, HUGE_VAL, -HUGE_VAL, NAN}}}, {}, false}};
  }
  static Misuses misuse() { return {{{{DType::i32, {2}}}, {}, "selu: needs floating-point inputs, got i32[2]"}}; }
};

inline Tensor selu(Tensor x, Site at = Site::here()) { return apply<Selu>({x}, {}, at); }

}  // namespace descent
