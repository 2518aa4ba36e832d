#pragma once

#include "descent/ops/sigmoid.h"

namespace descent {

// Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units", 2017; the swish of Ramachandran et al., 2017.
struct Silu : FloatingComposite<Silu, 1> {
  static constexpr auto name = "silu";
  static constexpr auto summary = "x * sigmoid(x)";

  static double scalar(double x) { return x / (1 + std::exp(-x)); }
  static Tensors expand(const ExpandArgs& args) { return {args.inputs[0] * sigmoid(args.inputs[0], args.at)}; }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}, -4, 4}}, {}},
            {"tails", {{{DType::f32, {6}}, 0, 0, {0, -20, 20, -80, -1e4, 1e4}}}, {}}};
  }
  static Misuses misuse() { return {{{{DType::i32, {2}}}, {}, "silu: needs floating-point inputs, got i32[2]"}}; }
};

inline Tensor silu(Tensor x, Site at = Site::here()) { return apply<Silu>({x}, {}, at); }

}  // namespace descent
