// Shapes and types of arrays.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "descent/base/error.h"
#include "descent/core/dtype.h"

namespace descent {

// The sizes of an array's axes, outermost first. Rank 0 is a scalar. At most `max_rank` axes, held in place.
class Shape {
 public:
  static constexpr int max_rank = 8;
  static constexpr int64_t max_elements = int64_t{1} << 48;

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const int64_t> sizes);
  explicit Shape(const std::vector<int64_t>& sizes) : Shape(std::span(sizes)) {}

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return sizes_[axis]; }
  int64_t& operator[](int axis) { return sizes_[axis]; }
  int64_t back() const { return sizes_[rank_ - 1]; }
  // The product of the sizes; 1 for a scalar. Fails if there are more than max_elements.
  int64_t elements() const;

  const int64_t* begin() const { return sizes_; }
  const int64_t* end() const { return sizes_ + rank_; }
  std::vector<int64_t> to_vector() const { return {begin(), end()}; }

  void push_back(int64_t size);
  Shape without(int axis) const;             // that axis dropped
  Shape with(int axis, int64_t size) const;  // that axis resized
  Shape first(int axes) const { return Shape(std::span(sizes_, axes)); }

  friend bool operator==(const Shape& a, const Shape& b);

 private:
  int64_t sizes_[max_rank] = {};
  int rank_ = 0;
};

std::string to_text(const Shape& shape);  // "[128,784]"; a scalar is "[]"

// Row-major strides in elements: [2,3,4] has {12,4,1}.
std::vector<int64_t> dense_strides(const Shape& shape);

// `axis` counted from the back when negative; `what` names the operation in the error.
int normal_axis(int axis, int rank, std::string_view what, Site at = {});

// NumPy's broadcasting rule: shapes aligned at their last axis, sizes equal or 1. Fails naming `what` and the axis.
Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view what, Site at = {});

// What a value is: its element type and shape.
struct Type {
  DType dtype = DType::f32;
  Shape shape;

  int64_t bytes() const { return static_cast<int64_t>(size_of(dtype)) * shape.elements(); }
  friend bool operator==(const Type&, const Type&) = default;
};

std::string to_text(const Type& type);  // "f32[128,784]"

}  // namespace descent
