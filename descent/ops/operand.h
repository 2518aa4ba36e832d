// What `a + b` takes: a tensor or a number, and the line it was written on.
#pragma once

#include "descent/ops/broadcast.h"
#include "descent/ops/constant.h"

namespace descent {

// Converts implicitly from a Tensor or a number, recording the user's line; a number becomes a constant of the other
// operand's dtype, broadcast to its shape.
struct Operand {
  Operand(Tensor value, Site site = Site::here()) : tensor(value), at(site) {}
  Operand(double value, Site site = Site::here()) : number(value), at(site) {}

  Tensor tensor;  // empty when the operand is a number
  double number = 0;
  Site at;
};

// Both operands as tensors of one shape (NumPy's broadcasting rule); fails naming `what` if the dtypes differ.
struct OperandPair {
  OperandPair(const Operand& a, const Operand& b, std::string_view what)
      : lhs(a.tensor), rhs(b.tensor), at(a.at.line ? a.at : b.at) {
    if (!lhs && !rhs) fail(at, text(what, ": one operand must be a tensor"));
    if (!lhs) lhs = constant_like(rhs, a.number, at);
    if (!rhs) rhs = constant_like(lhs, b.number, at);
    if (lhs.dtype() != rhs.dtype())
      fail(at, text(what, ": operands ", lhs.type(), " and ", rhs.type(),
                    " have different element types; cast one of them"));
    const Shape shape = broadcast_shapes(lhs.shape(), rhs.shape(), what, at);
    lhs = broadcast(lhs, shape, at);
    rhs = broadcast(rhs, shape, at);
  }

  Tensor lhs, rhs;
  Site at;
};

}  // namespace descent
