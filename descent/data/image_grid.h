// Images as grids of floats, while they are worked on. Internal to data: the door is image.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "descent/core/array.h"

namespace descent::data {

// A grid of numbers, `channels` at each place.
struct Grid {
  Grid(int64_t rows, int64_t columns, int64_t depth = 1)
      : height(rows), width(columns), channels(depth), values(static_cast<size_t>(rows * columns * depth)) {}
  float* at(int64_t y, int64_t x = 0) { return values.data() + (y * width + x) * channels; }
  const float* at(int64_t y, int64_t x = 0) const { return values.data() + (y * width + x) * channels; }

  int64_t height, width, channels;
  std::vector<float> values;
};

// At another size, see resized() in image.h.
Grid resized_grid(const Grid& grid, int64_t height, int64_t width);

// The grey of an image, transparency resolved, 0 to 255.
Grid grey_grid(const Array& image);

// Rounded, and clamped to 0 .. 255.
Array to_image(const Grid& grid, const Shape& shape);

// Fails naming `source` unless it is u8[H,W] or u8[H,W,C] with 1 to 4 channels and some pixels.
void check_image(const Array& image, const std::string& source);

}  // namespace descent::data
