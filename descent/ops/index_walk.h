// Walking over indices and axes: what the meanings of views and reductions share.
#pragma once

#include <algorithm>
#include <numeric>

#include "descent/graph/op.h"

namespace descent {

// Calls visit(index, flat) for every index of `shape` in row-major order.
template <class Visit>
void for_each_index(const Shape& shape, Visit visit) {
  std::vector<int64_t> index(static_cast<size_t>(shape.rank()), 0);
  const int64_t count = shape.elements();
  for (int64_t flat = 0; flat < count; ++flat) {
    visit(std::span<const int64_t>(index), flat);
    for (int axis = shape.rank() - 1; axis >= 0 && ++index[axis] == shape[axis]; --axis) index[axis] = 0;
  }
}

inline std::vector<int> all_axes(int rank) {
  std::vector<int> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

// Axes as attributes hold them: counted from the front, ascending, each once.
inline std::vector<int64_t> sorted_axes(const std::vector<int>& axes, int rank, std::string_view what, Site at) {
  std::vector<int64_t> sorted;
  for (const int axis : axes) sorted.push_back(normal_axis(axis, rank, what, at));
  std::ranges::sort(sorted);
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return sorted;
}

// `shape` with size 1 on each of `axes`.
inline Shape kept_shape(Shape shape, std::span<const int64_t> axes) {
  for (const int64_t axis : axes) shape[static_cast<int>(axis)] = 1;
  return shape;
}

// The type rule of reductions over {axes}.
inline std::vector<Type> infer_reduced(const InferArgs& args, std::string_view name) {
  const std::vector<int64_t>& axes = args.attrs.integers("axes");
  const Shape& shape = args.inputs[0].shape;
  Shape out;
  for (const int64_t axis : axes) normal_axis(static_cast<int>(axis), shape.rank(), name);
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (std::ranges::find(axes, axis) == axes.end()) out.push_back(shape[axis]);
  return {{args.inputs[0].dtype, out}};
}

// Calls combine(output index, value) for every element of the input of a reduction over {axes}.
template <class Combine>
void reduce_each(const EvalArgs& args, Combine combine) {
  const Dense& in = args.inputs[0];
  const Shape kept = kept_shape(in.type.shape, args.attrs.integers("axes"));
  for_each_index(in.type.shape, [&](std::span<const int64_t> index, int64_t flat) {
    int64_t to = 0;
    for (int axis = 0; axis < kept.rank(); ++axis) to = to * kept[axis] + (kept[axis] == 1 ? 0 : index[axis]);
    combine(to, in.values[flat]);
  });
}

}  // namespace descent
