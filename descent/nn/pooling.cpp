#include "descent/nn/pooling.h"

#include <algorithm>

#include "descent/ops/adaptive_average_pool.h"
#include "descent/ops/max.h"
#include "descent/ops/max_pool.h"
#include "descent/ops/resize_bilinear.h"
#include "descent/ops/sum_pool.h"

namespace descent::nn {

namespace {

void check_least(const PerAxis& sizes, std::string_view layer, std::string_view what, int64_t least, Site at) {
  if (sizes.values.empty() || std::ranges::min(sizes.values) < least)
    throw UsageError(at, text(layer, ": the ", what, " must be at least ", least, ", got ", to_text(sizes)));
  if (std::ranges::max(sizes.values) > longest_window)
    throw UsageError(at, text(layer, ": the ", what, " must be at most ", longest_window, ", got ", to_text(sizes)));
}

void check(const PerAxis& kernel, const PoolOptions& options, std::string_view layer, Site at) {
  check_least(kernel, layer, "kernel", 1, at);
  if (options.stride) check_least(*options.stride, layer, "stride", 1, at);
  check_least(options.padding, layer, "padding", 0, at);
}

std::string described(std::string_view title, const PerAxis& kernel, const PoolOptions& options) {
  return text(title, " ", to_text(kernel), options.stride ? text(", stride ", to_text(*options.stride)) : "",
              options.padding.values == std::vector<int64_t>{0} ? "" : text(", padding ", to_text(options.padding)));
}

PoolGeometry geometry_of(const PerAxis& kernel, const PoolOptions& options, int axes, Site at) {
  const std::vector<int64_t> padding = options.padding.on(axes, "the padding", at);
  return {.strides = options.stride.value_or(kernel).on(axes, "the stride", at), .low = padding, .high = padding};
}

Tensor as_rows(Tensor pooled, Site at) { return reshape(pooled, {pooled.shape()[0], pooled.shape().back()}, at); }

}  // namespace

MaxPool::MaxPool(PerAxis kernel, PoolOptions options, Site at)
    : kernel_(std::move(kernel)), options_(std::move(options)), at_(at) {
  check(kernel_, options_, "MaxPool", at);
}
std::string MaxPool::describe() const { return described("MaxPool", kernel_, options_); }
Tensor MaxPool::forward(Pass& pass, Tensor x) {
  const int axes = spatial_axes(pass, *this, x, at_);
  return max_pool(x, kernel_.on(axes, "the kernel", at_), geometry_of(kernel_, options_, axes, at_), at_);
}

AveragePool::AveragePool(PerAxis kernel, PoolOptions options, Site at)
    : kernel_(std::move(kernel)), options_(std::move(options)), at_(at) {
  check(kernel_, options_, "AveragePool", at);
}
std::string AveragePool::describe() const { return described("AveragePool", kernel_, options_); }
Tensor AveragePool::forward(Pass& pass, Tensor x) {
  const int axes = spatial_axes(pass, *this, x, at_);
  const PoolGeometry geometry = geometry_of(kernel_, options_, axes, at_);
  return average_pool(x, kernel_.on(axes, "the kernel", at_), geometry, options_.count_padding, at_);
}

Tensor GlobalAveragePool::forward(Pass& pass, Tensor x) {
  spatial_axes(pass, *this, x, at_);
  return as_rows(average_pool(x, spatial_sizes(x.shape()), {}, true, at_), at_);
}

Tensor GlobalMaxPool::forward(Pass& pass, Tensor x) {
  const int axes = spatial_axes(pass, *this, x, at_);
  constexpr int64_t most_taps = 256;  // of a window: the place of its largest element is a byte
  const std::vector<int64_t> window = spatial_sizes(x.shape());
  if (product_of(window) <= most_taps) return as_rows(max_pool(x, window, {}, at_), at_);
  std::vector<int> over;
  for (int axis = 1; axis <= axes; ++axis) over.push_back(axis);
  return descent::max(x, over, false, at_);
}

AdaptiveAveragePool::AdaptiveAveragePool(PerAxis sizes, Site at) : sizes_(std::move(sizes)), at_(at) {
  check_least(sizes_, "AdaptiveAveragePool", "size", 1, at);
}
Tensor AdaptiveAveragePool::forward(Pass& pass, Tensor x) {
  return adaptive_average_pool(x, sizes_.on(spatial_axes(pass, *this, x, at_), "the size", at_), at_);
}

Upsample::Upsample(int64_t factor, bool bilinear, Site at) : factor_(factor), bilinear_(bilinear), at_(at) {
  constexpr int64_t most = 1 << 14;
  if (factor < 1 || factor > most)
    throw UsageError(at, text("Upsample: the factor must be from 1 to ", most, ", got ", factor));
}
Tensor Upsample::forward(Pass& pass, Tensor x) {
  spatial_axes(pass, *this, x, at_);
  if (!bilinear_) return upsample_nearest(x, factor_, at_);
  std::vector<int64_t> sizes = spatial_sizes(x.shape());
  for (int64_t& size : sizes) size *= factor_;
  return resize_bilinear(x, sizes, at_);
}

}  // namespace descent::nn
