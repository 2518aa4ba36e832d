// Reverse-mode differentiation, graph to graph: the gradients are more nodes of the same graph, so they are merged,
// fused and differentiated again like any others.
#pragma once

#include "descent/graph/op.h"

namespace descent {

// The vector-Jacobian products of `outputs` with `cotangents` (same types as the outputs), one for each of `wrt`, with
// its type. A tensor on which no output depends gets zeros.
//
// Rules are the ops' own (OpDef::vjp); a composite without one is differentiated through its expansion. An op that
// states that it has no gradient counts as a constant.
Tensors gradients(std::span<const Tensor> outputs, std::span<const Tensor> cotangents, std::span<const Tensor> wrt,
                  Site at = Site::here());

// The gradients of a scalar, with cotangent 1.
Tensors gradients(Tensor loss, std::span<const Tensor> wrt, Site at = Site::here());

}  // namespace descent
