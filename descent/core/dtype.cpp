#include "descent/core/dtype.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace descent {

namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  size_t bytes;
  bool floating;
};

constexpr std::array<DTypeRow, 8> rows{{{DType::f64, "f64", 8, true},
                                        {DType::f32, "f32", 4, true},
                                        {DType::bf16, "bf16", 2, true},
                                        {DType::f16, "f16", 2, true},
                                        {DType::i32, "i32", 4, false},
                                        {DType::u32, "u32", 4, false},
                                        {DType::u8, "u8", 1, false},
                                        {DType::boolean, "bool", 1, false}}};

const DTypeRow& row(DType dtype) { return rows[static_cast<size_t>(dtype)]; }

template <class Integer>
double saturated(double value) {
  if (std::isnan(value)) return 0;
  const double low = std::numeric_limits<Integer>::min(), high = std::numeric_limits<Integer>::max();
  return std::trunc(std::clamp(value, low, high));
}

}  // namespace

size_t size_of(DType dtype) { return row(dtype).bytes; }
bool is_floating(DType dtype) { return row(dtype).floating; }
std::string to_text(DType dtype) { return std::string(row(dtype).name); }

std::optional<DType> dtype_from_text(std::string_view text) {
  for (const DTypeRow& candidate : rows)
    if (candidate.name == text) return candidate.dtype;
  return std::nullopt;
}

double rounded(double value, DType dtype) {
  switch (dtype) {
    case DType::f64: return value;
    case DType::f32: return static_cast<float>(value);
    case DType::bf16: return float_from_bf16(bf16_from_float(static_cast<float>(value)));
    case DType::f16: return float_from_f16(f16_from_float(static_cast<float>(value)));
    case DType::i32: return saturated<int32_t>(value);
    case DType::u32: return saturated<uint32_t>(value);
    case DType::u8: return saturated<uint8_t>(value);
    case DType::boolean: return value != 0;
  }
  return value;
}

uint16_t bf16_from_float(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40);  // keep it quiet, never round to infinity
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float float_from_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

uint16_t f16_from_float(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x47800000)  // 65536 and more, infinity, NaN
    return static_cast<uint16_t>(sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00));
  if (magnitude < 0x38800000) {  // below the smallest normal half: adding 0.5 lets the FPU round at 2^-24
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000));
  }
  const uint32_t rebiased = magnitude - 0x38000000;
  return static_cast<uint16_t>(sign | ((rebiased + 0xfff + ((rebiased >> 13) & 1)) >> 13));
}

float float_from_f16(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t exponent = (bits >> 10) & 31, mantissa = bits & 0x3ff;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  const uint32_t rebiased = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | (rebiased << 23) | (mantissa << 13));
}

}  // namespace descent
