// PNG images in and out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "descent/core/array.h"

namespace descent::data {

inline constexpr int64_t default_max_pixels = int64_t{1}
                                              << 26;  // 64 million: a quarter of a gigabyte with colour and alpha

// A PNG image as u8: grey [H,W], grey with alpha [H,W,2], colour [H,W,3], colour with alpha [H,W,4]. Palettes become
// colour and 16-bit samples are rounded to 8. Fails naming the file if it is no PNG, is truncated or damaged, or has
// more than `max_pixels` or more than its compressed bytes can hold, before anything of that size is allocated.
Array read_png(const std::string& path, int64_t max_pixels = default_max_pixels);
Array parse_png(std::span<const std::byte> bytes, const std::string& name, int64_t max_pixels = default_max_pixels);

// Writes u8 [H,W] (grey) or [H,W,3] (colour), whole or not at all; fails naming the file.
void write_png(const std::string& path, const Array& image);

}  // namespace descent::data
