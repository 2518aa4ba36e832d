#include "descent/nn/lengths.h"

#include <cmath>

#include "descent/ops/add.h"
#include "descent/ops/cast.h"
#include "descent/ops/compare.h"
#include "descent/ops/floor.h"
#include "descent/ops/iota.h"
#include "descent/ops/maximum.h"
#include "descent/ops/mul.h"
#include "descent/ops/reshape.h"
#include "descent/ops/sum.h"
#include "descent/ops/where.h"

namespace descent::nn {

Tensor EndAtNan::forward(Pass& pass, Tensor x) {
  if (x.dtype() != DType::f32 || x.rank() < 2)
    fail(at_, text(layer_label(pass, *this), "needs f32 sequences [sequences, places, ..], got ", x.type()));
  const Tensor there = equal({x, at_}, {x, at_});
  Tensor first = there;  // of each place
  if (x.rank() > 2) {
    std::vector<int> inner;
    for (int axis = 2; axis < x.rank(); ++axis) inner.push_back(axis);
    first = less({0.0, at_}, {sum(cast(there, DType::f32, at_), inner, false, at_), at_});
  }
  pass.set_lengths(cast(sum(cast(first, DType::f32, at_), {1}, false, at_), DType::i32, at_));
  return where(there, {x, at_}, {0.0, at_});
}

Tensor before_end(const Pass& pass, const Shape& shape, Site at) {
  Graph& graph = pass.lengths().graph();
  Shape places{shape[0], shape[1]};
  const Tensor lengths = reshape(pass.lengths(), {shape[0], 1}, at);
  const Tensor before = less({iota(graph, places, 1, DType::i32, at), at}, {lengths, at});
  while (places.rank() < shape.rank()) places.push_back(1);
  return reshape(before, places, at);
}

Tensor zeros_after_end(const Pass& pass, Tensor x, Site at) {
  if (!pass.lengths()) return x;
  return where(broadcast(before_end(pass, x.shape(), at), x.shape(), at), {x, at}, {0.0, at});
}

Tensor BlankAfterEnd::forward(Pass& pass, Tensor x) {
  if (!pass.lengths()) return x;
  const Site at = Site::here();
  if (x.rank() != 3) fail(text(layer_label(pass, *this), "needs scores [sequences, places, classes], got ", x.type()));
  const Tensor number = iota(pass.graph(), x.shape(), 2, DType::i32, at);
  const Tensor is_blank = equal({number, at}, {static_cast<double>(x.shape()[2] - 1), at});
  const Tensor zeros = broadcast(constant_like(x, 0, at), x.shape(), at);
  const Tensor blank = where(is_blank, {zeros, at}, {-HUGE_VAL, at});
  return where(broadcast(before_end(pass, x.shape(), at), x.shape(), at), {x, at}, {blank, at});
}

void move_window(Pass& pass, int64_t window, int64_t stride, int64_t padding, Site at) {
  if (!pass.lengths()) return;
  // A half more, which no rounding of the quotient can make a step less.
  const double more = static_cast<double>(padding - window) + 0.5;
  const Tensor moved = add({cast(pass.lengths(), DType::f32, at), at}, {more, at});
  const Tensor steps = floor(mul({moved, at}, {1.0 / static_cast<double>(stride), at}), at);
  pass.set_lengths(cast(maximum({add({steps, at}, {1.0, at}), at}, {0.0, at}), DType::i32, at));
}

}  // namespace descent::nn
