#include "descent/core/shape.h"

#include <algorithm>

#include "descent/base/text.h"

namespace descent {

Shape::Shape(std::span<const int64_t> sizes) {
  for (const int64_t size : sizes) push_back(size);
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (const int64_t size : *this)
    if (__builtin_mul_overflow(product, size, &product) || product > max_elements)
      fail(text("the shape ", *this, " has more elements than any memory can hold"));
  return product;
}

void Shape::push_back(int64_t size) {
  if (rank_ == max_rank) fail(text("a shape has at most ", max_rank, " axes, this one begins ", *this));
  if (size < 0) fail(text("a shape's sizes are not negative; axis ", rank_, " is ", size));
  sizes_[rank_++] = size;
}

Shape Shape::without(int axis) const {
  Shape out;
  for (int i = 0; i < rank_; ++i)
    if (i != axis) out.push_back(sizes_[i]);
  return out;
}

Shape Shape::with(int axis, int64_t size) const {
  Shape out = *this;
  out[axis] = size;
  return out;
}

bool operator==(const Shape& a, const Shape& b) { return std::ranges::equal(a, b); }

std::string to_text(const Shape& shape) {
  std::string out = "[";
  for (int i = 0; i < shape.rank(); ++i) out += text(i ? "," : "", shape[i]);
  return out + "]";
}

std::vector<int64_t> dense_strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.rank());
  int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

int normal_axis(int axis, int rank, std::string_view what, Site at) {
  const int normal = axis < 0 ? axis + rank : axis;
  if (normal < 0 || normal >= rank)
    fail(at, text(what, ": axis ", axis, " does not exist; the input has ", rank, rank == 1 ? " axis" : " axes"));
  return normal;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view what, Site at) {
  const int rank = std::max(a.rank(), b.rank());
  Shape out;
  for (int axis = 0; axis < rank; ++axis) {
    const int from_a = axis - (rank - a.rank()), from_b = axis - (rank - b.rank());
    const int64_t size_a = from_a < 0 ? 1 : a[from_a], size_b = from_b < 0 ? 1 : b[from_b];
    if (size_a != size_b && size_a != 1 && size_b != 1)
      fail(at, text(what, ": shapes ", a, " and ", b, " do not broadcast: on axis ", axis - rank, " the sizes are ",
                    size_a, " and ", size_b, " (equal sizes or 1 would do)"));
    out.push_back(size_a == 1 ? size_b : size_a);
  }
  return out;
}

std::string to_text(const Type& type) { return text(type.dtype, type.shape); }

}  // namespace descent
