// Sizes along the spatial axes of images, and what the layers that work on them share.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "descent/nn/module.h"

namespace descent::nn {

// One number for all spatial axes, or one an axis: Conv{32, 3} and Conv{32, {3, 5}}.
struct PerAxis {
  PerAxis(int64_t all) : values{all} {}
  PerAxis(int all) : values{all} {}
  PerAxis(std::initializer_list<int64_t> each) : values(each) {}
  explicit PerAxis(std::vector<int64_t> each) : values(std::move(each)) {}

  // As many as there are axes; fails, naming `what`, if there are neither one nor that many.
  std::vector<int64_t> on(int axes, std::string_view what, Site at) const;

  std::vector<int64_t> values;
};

std::string to_text(const PerAxis& sizes);  // "3" or "3x5"

// x [n, spatial.., channels] with this many spatial axes, as f32; one without channels gets one: [n, 28, 28] becomes
// [n, 28, 28, 1]. Fails naming the layer.
Tensor as_images(const Pass& pass, const Module& layer, Tensor x, int axes, Site at);

// The number of spatial axes of x [n, spatial.., channels], 1 or 2, which is f32. Fails naming the layer.
int spatial_axes(const Pass& pass, const Module& layer, Tensor x, Site at);

}  // namespace descent::nn
