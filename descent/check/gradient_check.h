// Gradient rules against differences of the meaning.
#pragma once

#include "descent/check/row.h"
#include "descent/check/verdict.h"

namespace descent::check {

// A mistake put into what is checked, to see that the check refuses it.
struct Mistake {
  double scale = 1;     // every value times this
  bool rotate = false;  // every value in the place of the next

  void apply(std::vector<double>& values) const;
};

// The gradient rule of a row's op against central differences of its meaning, both in double: along random directions
// with random cotangents, for every subset of the differentiable inputs, for every output alone and all together; and
// the whole Jacobian if it has fewer than 64 entries. `mistake` is made in the gradients of input `mistaken`.
Verdict check_gradient(const Row& row, const Mistake& mistake = {}, size_t mistaken = 0);

// The gradients of the gradients, likewise against differences of the gradients: rules are made of ops, whose rules
// must hold too.
Verdict check_second_gradient(const Row& row);

// The gradients of the row's outputs, with random cotangents, for its differentiable inputs, in double. With `op`, as
// if that were the row's op.
std::vector<Dense> row_gradients(const Row& row, const OpDef& op);

// Adds to a traced row a random cotangent for each floating-point output; returns the gradients of `wrt`. With `port`,
// only that output has a cotangent.
Tensors trace_gradients(Traced& traced, const Row& row, std::span<const Tensor> wrt, std::optional<size_t> port = {});

}  // namespace descent::check
