// The exponentials of a row: what softmax, its logarithm, cross entropy and their gradients have in common. All build
// it from the same nodes, which merge, so that a loss and its gradient walk over a row together.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "descent/ops/exp.h"
#include "descent/ops/max.h"
#include "descent/ops/sub.h"

namespace descent {

// `total` has size 1 on the last axis.
struct RowExp {
  Tensor shifted;  // x less the row's largest, so that exp stays in range
  Tensor exps;     // exp(shifted)
  Tensor total;    // the sum of exps along the row, at least 1
};

inline RowExp row_exp(Tensor x, Site at) {
  const Tensor shifted = sub(x, max(x, {-1}, true, at)), exps = exp(shifted, at);
  return {shifted, exps, sum(exps, {-1}, true, at)};
}

// The logarithms of softmax(row): the meaning, in double.
inline std::vector<double> log_softmax_of(std::span<const double> row) {
  const double largest = *std::ranges::max_element(row);
  double total = 0;
  for (const double x : row) total += std::exp(x - largest);
  std::vector<double> out;
  for (const double x : row) out.push_back(x - largest - std::log(total));
  return out;
}

}  // namespace descent
