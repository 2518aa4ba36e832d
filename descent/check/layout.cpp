// The layouts that devices are checked with.
#include <algorithm>

#include "descent/check/layout.h"
#include "descent/ops/broadcast.h"
#include "descent/ops/flip.h"
#include "descent/ops/permute.h"
#include "descent/ops/slice.h"

namespace descent::check {

namespace {

Dense with_op(const OpDef& op, const Attrs& attrs, const Dense& value) {
  return evaluate_op(op, attrs, std::span(&value, 1), {.exact = true})[0];
}

std::vector<int64_t> axes_reversed(int rank) {
  std::vector<int64_t> axes;
  for (int axis = rank; axis-- > 0;) axes.push_back(axis);
  return axes;
}

bool has_elements(const Shape& shape) { return shape.rank() > 0 && shape.elements() > 0; }

// As is.
bool never(const Shape&) { return false; }

// With the axes in reverse order.
bool has_matrix(const Shape& shape) { return has_elements(shape) && shape.rank() > 1; }
Dense lay_transposed(const Dense& value) {
  return with_op(op_def<Permute>(), {{"axes", axes_reversed(value.type.shape.rank())}}, value);
}
Tensor view_transposed(Tensor fed, const Type&) { return permute(fed, axes_reversed(fed.rank())); }

// Every second element on every axis of an array that holds NaN (or 77) elsewhere.
Dense lay_sliced(const Dense& value) {
  Dense wide{{value.type.dtype, {}}, {}};
  for (const int64_t size : value.type.shape) wide.type.shape.push_back(2 * size + 1);
  wide.values.assign(static_cast<size_t>(wide.type.shape.elements()), is_floating(value.type.dtype) ? NAN : 77);
  const std::vector<int64_t> strides = dense_strides(wide.type.shape);
  for_each_index(value.type.shape, [&](std::span<const int64_t> index, int64_t flat) {
    int64_t to = 0;
    for (size_t i = 0; i < index.size(); ++i) to += (1 + 2 * index[i]) * strides[i];
    wide.values[to] = value.values[flat];
  });
  return wide;
}
Tensor view_sliced(Tensor fed, const Type&) {
  const std::vector<int64_t> begin(static_cast<size_t>(fed.rank()), 1), step(begin.size(), 2);
  return slice(fed, begin, fed.shape().to_vector(), step);
}

// The first element of the first axis, repeated. (Other values than the sample's, but the sample's shape.)
bool repeats(const Shape& shape) { return has_elements(shape) && shape[0] > 1; }
Dense lay_broadcast(const Dense& value) {
  Dense first{{value.type.dtype, value.type.shape.with(0, 1)}, value.values};
  first.values.resize(static_cast<size_t>(first.type.shape.elements()));
  return first;
}
Tensor view_broadcast(Tensor fed, const Type& type) { return broadcast(fed, type.shape); }

// With every axis running backwards.
Dense lay_flipped(const Dense& value) {
  std::vector<int64_t> axes = axes_reversed(value.type.shape.rank());
  std::ranges::reverse(axes);
  return with_op(op_def<Flip>(), {{"axes", axes}}, value);
}
Tensor view_flipped(Tensor fed, const Type&) { return flip(fed, all_axes(fed.rank())); }

constexpr Layout layout_rows[] = {
    {"dense", never, nullptr, nullptr},
    {"transposed", has_matrix, lay_transposed, view_transposed},
    {"sliced", has_elements, lay_sliced, view_sliced},
    {"broadcast", repeats, lay_broadcast, view_broadcast},
    {"flipped", has_elements, lay_flipped, view_flipped},
};

}  // namespace

std::span<const Layout> layouts() { return layout_rows; }

}  // namespace descent::check
