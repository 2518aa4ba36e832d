// Changing the sizes of images by a matrix along each spatial axis.
#pragma once

#include "descent/ops/iota.h"
#include "descent/ops/matmul.h"
#include "descent/ops/window.h"

namespace descent {

// The type rule: images [n, spatial.., c] get {sizes}.
inline std::vector<Type> infer_resampled(const InferArgs& args, std::string_view name) {
  const Type& x = args.inputs[0];
  check_image(x, name);
  const std::vector<int64_t>& sizes = args.attrs.integers("sizes");
  if (std::ssize(sizes) != x.shape.rank() - 2)
    fail(text(name, ": needs ", x.shape.rank() - 2, " sizes for ", x, ", got ", Shape(sizes)));
  for (int axis = 1; axis + 1 < x.shape.rank(); ++axis)
    if (x.shape[axis] < 1 || sizes[axis - 1] < 1)
      fail(text(name, ": cannot make ", sizes[axis - 1], " of the ", x.shape[axis], " on axis ", axis, " of ", x));
  return {{x.dtype, image_shape(x.shape[0], sizes, x.shape.back())}};
}

// The meaning: weight(place, element, out, in) says how much of an element a place takes, along one axis.
template <class Weight>
void evaluate_resampled(const EvalArgs& args, Weight weight) {
  Dense from = args.inputs[0];
  const std::vector<int64_t>& sizes = args.attrs.integers("sizes");
  for (int axis = 1; axis + 1 < from.type.shape.rank(); ++axis) {
    const int64_t in = from.type.shape[axis], out = sizes[axis - 1];
    Dense to{{from.type.dtype, from.type.shape.with(axis, out)}, {}};
    to.values.assign(static_cast<size_t>(to.type.shape.elements()), 0);
    const int64_t inner = dense_strides(from.type.shape)[axis];
    const int64_t outer = from.type.shape.elements() / (in * inner);
    for (int64_t i = 0; i < outer; ++i)
      for (int64_t place = 0; place < out; ++place)
        for (int64_t element = 0; element < in; ++element)
          for (int64_t k = 0; k < inner; ++k)
            to.values[(i * out + place) * inner + k] +=
                weight(place, element, out, in) * from.values[(i * in + element) * inner + k];
    from = std::move(to);
  }
  args.outputs[0].values = from.values;
}

// The matrix [out, in] applied to x along an axis.
inline Tensor matrix_along(Tensor x, int axis, Tensor matrix, Site at) {
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= x.shape()[i];
  for (int i = axis + 1; i < x.rank(); ++i) inner *= x.shape()[i];
  const Tensor rows = reshape(x, {outer, x.shape()[axis], inner}, at);
  const Tensor led = broadcast(cast(matrix, x.dtype(), at), Shape{outer, matrix.shape()[0], matrix.shape()[1]}, at);
  return reshape(matmul(led, rows, at), x.shape().with(axis, matrix.shape()[0]), at);
}

// The number of each row, and of each column, of a matrix.
struct MatrixPlaces {
  MatrixPlaces(Graph& graph, int64_t rows, int64_t columns, Site at)
      : row(iota(graph, {rows, columns}, 0, DType::f32, at)), column(iota(graph, {rows, columns}, 1, DType::f32, at)) {}
  Tensor row, column;
};

}  // namespace descent
