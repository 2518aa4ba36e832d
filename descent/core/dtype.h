// The element types of arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace descent {

enum class DType : uint8_t { f64, f32, bf16, f16, i32, u32, u8, boolean };  // a boolean is one byte, 0 or 1

size_t size_of(DType dtype);       // bytes of one element
bool is_floating(DType dtype);     // f64, f32, bf16, f16
std::string to_text(DType dtype);  // "f32", "bf16", "bool" ...
std::optional<DType> dtype_from_text(std::string_view text);

// The nearest value of `dtype` to `value`, as a double: what storing and loading again gives. Ties go to even;
// integers truncate toward zero and saturate; a boolean is value != 0.
double rounded(double value, DType dtype);

// bf16 and f16 are stored as their bits; these convert (round to nearest even, NaN stays NaN).
uint16_t bf16_from_float(float value);
float float_from_bf16(uint16_t bits);
uint16_t f16_from_float(float value);
float float_from_f16(uint16_t bits);

}  // namespace descent
