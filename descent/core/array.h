// Arrays: the bytes that go into a compiled step and come out of it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "descent/core/shape.h"

namespace descent {

// 64-byte aligned memory, 2 MiB-aligned with huge pages asked for from 2 MiB on. Zeroed.
std::shared_ptr<std::byte[]> allocate_bytes(size_t bytes);

// Dense row-major bytes with a Type, in host memory. Copies share the bytes; clone() does not. An Array holds no
// history: what was computed from what is in a Graph.
class Array {
 public:
  Array() = default;          // no array: bool(array) is false
  explicit Array(Type type);  // zeros
  Array(DType dtype, Shape shape) : Array(Type{dtype, shape}) {}

  // f32 from values, in row-major order; fails unless there are shape.elements() of them.
  static Array from(std::span<const float> values, Shape shape);
  static Array from(std::span<const int32_t> values, Shape shape);
  static Array scalar(float value) { return from(std::span<const float>(&value, 1), {}); }
  static Array full(Type type, double value);

  // A copy that lies beside other such copies, in huge pages that they share: for what lives long and is read in every
  // step. Their memory is given back when none of a block of them is left.
  static Array lasting(const Array& values);

  explicit operator bool() const { return bytes_ != nullptr; }
  const Type& type() const { return type_; }
  const Shape& shape() const { return type_.shape; }
  DType dtype() const { return type_.dtype; }
  int64_t elements() const { return type_.shape.elements(); }

  std::byte* data() { return bytes_.get(); }
  const std::byte* data() const { return bytes_.get(); }
  std::span<std::byte> bytes() { return {bytes_.get(), static_cast<size_t>(type_.bytes())}; }
  std::span<const std::byte> bytes() const { return {bytes_.get(), static_cast<size_t>(type_.bytes())}; }

  // The elements as T; fails if T is not how the dtype is stored (float, double, int32_t, uint32_t, uint8_t,
  // uint16_t for bf16 and f16).
  template <class T>
  std::span<T> as();
  template <class T>
  std::span<const T> as() const {
    return const_cast<Array*>(this)->as<T>();
  }

  double at(int64_t index) const;         // one element as a double, by row-major index
  void set(int64_t index, double value);  // rounded to the dtype
  double item() const;                    // the only element; fails if there are more
  std::vector<double> to_doubles() const;

  Array clone() const;
  Array cast(DType dtype) const;                 // a converted copy
  Array reshaped(Shape shape) const;             // the same bytes
  Array rows(int64_t begin, int64_t end) const;  // a part of axis 0, sharing the bytes
  Array first(Shape shape) const;  // the first bytes, as many as that takes, shared; fails if there are fewer

 private:
  Type type_;
  std::shared_ptr<std::byte[]> bytes_;
};

}  // namespace descent
