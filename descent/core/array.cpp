#include "descent/core/array.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "descent/base/text.h"

namespace descent {

std::shared_ptr<std::byte[]> allocate_bytes(size_t bytes) {
  constexpr size_t line = 64, huge_page = size_t{2} << 20;
  const size_t alignment = bytes >= huge_page ? huge_page : line;
  const size_t padded = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
  void* memory = std::aligned_alloc(alignment, padded);
  if (memory == nullptr) fail(text("there is no memory for ", (bytes >> 20) + 1, " MB more"));
  if (alignment == huge_page) madvise(memory, padded, MADV_HUGEPAGE);
  std::memset(memory, 0, padded);
  return {static_cast<std::byte*>(memory), [](std::byte* p) { std::free(p); }};
}

Array::Array(Type type) : type_(type), bytes_(allocate_bytes(static_cast<size_t>(type.bytes()))) {}

Array Array::lasting(const Array& values) {
  constexpr size_t line = 64, block = size_t{16} << 20, small = 4096;
  static std::mutex guard;
  static std::shared_ptr<std::byte[]> open;  // the block that has room yet
  static size_t used = 0;
  const size_t bytes = (values.bytes().size() + line - 1) / line * line;
  if (bytes < small || bytes > block / 2) return values.clone();
  const std::lock_guard lock(guard);
  if (open == nullptr || used + bytes > block) {
    open = allocate_bytes(block);
    used = 0;
  }
  Array out;
  out.type_ = values.type_;
  out.bytes_ = {open, open.get() + used};
  used += bytes;
  std::ranges::copy(values.bytes(), out.data());
  return out;
}

namespace {

template <class T>
Array filled(DType dtype, std::span<const T> values, Shape shape) {
  if (static_cast<int64_t>(values.size()) != shape.elements())
    fail(text("an array of shape ", shape, " has ", shape.elements(), " elements, but ", values.size(), " were given"));
  Array out(dtype, shape);
  std::ranges::copy(values, out.as<T>().begin());
  return out;
}

template <class T>
bool stored_as(DType dtype) {
  if constexpr (std::is_same_v<T, float>) return dtype == DType::f32;
  if constexpr (std::is_same_v<T, double>) return dtype == DType::f64;
  if constexpr (std::is_same_v<T, int32_t>) return dtype == DType::i32;
  if constexpr (std::is_same_v<T, uint32_t>) return dtype == DType::u32;
  if constexpr (std::is_same_v<T, uint8_t>) return dtype == DType::u8 || dtype == DType::boolean;
  if constexpr (std::is_same_v<T, uint16_t>) return dtype == DType::bf16 || dtype == DType::f16;
}

double load(const std::byte* bytes, DType dtype, int64_t index) {
  switch (dtype) {
    case DType::f64: return reinterpret_cast<const double*>(bytes)[index];
    case DType::f32: return reinterpret_cast<const float*>(bytes)[index];
    case DType::bf16: return float_from_bf16(reinterpret_cast<const uint16_t*>(bytes)[index]);
    case DType::f16: return float_from_f16(reinterpret_cast<const uint16_t*>(bytes)[index]);
    case DType::i32: return reinterpret_cast<const int32_t*>(bytes)[index];
    case DType::u32: return reinterpret_cast<const uint32_t*>(bytes)[index];
    case DType::u8:
    case DType::boolean: return reinterpret_cast<const uint8_t*>(bytes)[index];
  }
  return 0;
}

void store(std::byte* bytes, DType dtype, int64_t index, double value) {
  const double exact = rounded(value, dtype);
  switch (dtype) {
    case DType::f64: reinterpret_cast<double*>(bytes)[index] = exact; break;
    case DType::f32: reinterpret_cast<float*>(bytes)[index] = static_cast<float>(exact); break;
    case DType::bf16: reinterpret_cast<uint16_t*>(bytes)[index] = bf16_from_float(static_cast<float>(exact)); break;
    case DType::f16: reinterpret_cast<uint16_t*>(bytes)[index] = f16_from_float(static_cast<float>(exact)); break;
    case DType::i32: reinterpret_cast<int32_t*>(bytes)[index] = static_cast<int32_t>(exact); break;
    case DType::u32: reinterpret_cast<uint32_t*>(bytes)[index] = static_cast<uint32_t>(exact); break;
    case DType::u8:
    case DType::boolean: reinterpret_cast<uint8_t*>(bytes)[index] = static_cast<uint8_t>(exact); break;
  }
}

}  // namespace

Array Array::from(std::span<const float> values, Shape shape) { return filled(DType::f32, values, shape); }
Array Array::from(std::span<const int32_t> values, Shape shape) { return filled(DType::i32, values, shape); }

Array Array::full(Type type, double value) {
  Array out(type);
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, value);
  return out;
}

template <class T>
std::span<T> Array::as() {
  if (!stored_as<T>(type_.dtype)) fail(text("an array of ", type_, " cannot be read as another element type"));
  return {reinterpret_cast<T*>(bytes_.get()), static_cast<size_t>(elements())};
}
template std::span<float> Array::as<float>();
template std::span<double> Array::as<double>();
template std::span<int32_t> Array::as<int32_t>();
template std::span<uint32_t> Array::as<uint32_t>();
template std::span<uint8_t> Array::as<uint8_t>();
template std::span<uint16_t> Array::as<uint16_t>();

double Array::at(int64_t index) const { return load(bytes_.get(), type_.dtype, index); }
void Array::set(int64_t index, double value) { store(bytes_.get(), type_.dtype, index, value); }

double Array::item() const {
  if (!bytes_ || elements() != 1) fail(text("item() needs exactly one element, this array is ", type_));
  return at(0);
}

std::vector<double> Array::to_doubles() const {
  std::vector<double> out(static_cast<size_t>(elements()));
  for (size_t i = 0; i < out.size(); ++i) out[i] = at(static_cast<int64_t>(i));
  return out;
}

Array Array::clone() const {
  Array out(type_);
  std::ranges::copy(bytes(), out.bytes().begin());
  return out;
}

Array Array::cast(DType dtype) const {
  Array out(dtype, type_.shape);
  for (int64_t i = 0; i < elements(); ++i) out.set(i, at(i));
  return out;
}

Array Array::reshaped(Shape shape) const {
  if (shape.elements() != elements()) fail(text("an array of ", type_, " cannot be reshaped to ", shape));
  Array out = *this;
  out.type_.shape = shape;
  return out;
}

Array Array::first(Shape shape) const {
  if (shape.elements() > elements()) fail(text("an array of ", type_, " has no ", shape, " as its first bytes"));
  Array out = *this;
  out.type_.shape = shape;
  return out;
}

Array Array::rows(int64_t begin, int64_t end) const {
  if (type_.shape.rank() == 0 || begin < 0 || end < begin || end > type_.shape[0])
    fail(text("rows ", begin, " to ", end, " do not exist in an array of ", type_));
  const int64_t row_bytes = type_.shape[0] == 0 ? 0 : type_.bytes() / type_.shape[0];
  Array out = *this;
  out.type_.shape[0] = end - begin;
  out.bytes_ = {bytes_, bytes_.get() + begin * row_bytes};
  return out;
}

}  // namespace descent
