// Smoothing of random fields with vector instructions. Internal to data: the door is augment.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace descent::data {

// Rows of fields are padded to whole blocks.
inline constexpr int64_t smooth_block = 16;

struct FieldSize {
  int64_t height = 0, width = 0;
  int64_t stride = 0;  // of a row: width in whole blocks
  int64_t reach = 0;   // the kernel has reach + 1 weights, its middle first

  FieldSize() = default;
  FieldSize(int64_t rows, int64_t columns, size_t weights)
      : height(rows),
        width(columns),
        stride((columns + smooth_block - 1) / smooth_block * smooth_block),
        reach(static_cast<int64_t>(weights) - 1) {}
  size_t elements() const { return static_cast<size_t>(height * stride); }
  // Of the scratch: the field with zeros above and below, and one row with zeros on both sides.
  size_t scratch() const { return static_cast<size_t>((height + 2 * reach) * stride + stride + 2 * reach); }
};

// Convolves a field [height, stride] with a symmetric kernel along both axes; beyond the edges it counts as zero. The
// same bits on every processor. `scratch` must hold zeros at first and is then used for fields of one size only.
void smooth_field(const FieldSize& size, std::span<const float> kernel, std::span<float> field,
                  std::span<float> scratch);

// Independent numbers, uniform in [-bound, bound), four from each 64 random bits of the key.
void fill_uniform(std::span<float> out, float bound, uint64_t key);

}  // namespace descent::data
