// The ways a convolution, or a gradient of one, runs on the CPU.
#pragma once

#include "descent/backend/cpu/calls.h"
#include "descent/ops/conv.h"

namespace descent::cpu {

enum class ConvKind { forward, input_gradient, weight_gradient };

// One of the three ops: which is computed from the other two. The operands are dense.
struct ConvProblem {
  ConvKind kind;
  ConvShape shape;
  View x, weights, y;

  const View& out() const { return kind == ConvKind::forward ? y : kind == ConvKind::input_gradient ? x : weights; }
};

// Our own, for windows that hold few numbers: forward, gradients of weights; none where the processor lacks AVX-512.
std::unique_ptr<Call> make_direct_conv(const ConvProblem& problem);

// Our own, on matrix tiles or AVX-512; none where the processor has none, or the shape does not suit them.
std::unique_ptr<Call> make_tiled_conv(const ConvProblem& problem);             // forward, gradients of images
std::unique_ptr<Call> make_tiled_weight_gradient(const ConvProblem& problem);  // gradients of weights

std::unique_ptr<Call> make_onednn_conv(const ConvProblem& problem);    // none where oneDNN has no kernel, or a broken one
std::unique_ptr<Call> make_unfolded_conv(const ConvProblem& problem);  // gradients of weights without groups, else none
std::unique_ptr<Call> make_plain_conv(const ConvProblem& problem);     // any shape

}  // namespace descent::cpu
