#include "descent/nn/per_axis.h"

#include "descent/ops/reshape.h"

namespace descent::nn {

std::vector<int64_t> PerAxis::on(int axes, std::string_view what, Site at) const {
  if (values.size() == 1) return std::vector<int64_t>(static_cast<size_t>(axes), values[0]);
  if (std::ssize(values) != axes)
    fail(at, text(what, " needs 1 or ", axes, " numbers, got ", values.size(), " (", to_text(*this), ")"));
  return values;
}

std::string to_text(const PerAxis& sizes) {
  std::string out;
  for (const int64_t size : sizes.values) out += text(out.empty() ? "" : "x", size);
  return out;
}

namespace {

void check_f32(const Pass& pass, const Module& layer, Tensor x, Site at) {
  if (x.dtype() != DType::f32)
    fail(at, text(layer_label(pass, layer), "input ", x.type(), " is not f32; put Normalize before it, or cast it"));
}

}  // namespace

Tensor as_images(const Pass& pass, const Module& layer, Tensor x, int axes, Site at) {
  check_f32(pass, layer, x, at);
  if (x.rank() == axes + 2) return x;
  if (x.rank() != axes + 1)
    fail(at, text(layer_label(pass, layer), "input ", x.type(), " is not ",
                  axes == 2 ? "images [examples, height, width, channels]" : "sounds [examples, length, channels]",
                  x.rank() == 2 && axes == 2 ? "; did you mean to leave out Flatten before it?" : ""));
  std::vector<int64_t> sizes = x.shape().to_vector();
  sizes.push_back(1);
  return reshape(x, sizes, at);
}

int spatial_axes(const Pass& pass, const Module& layer, Tensor x, Site at) {
  check_f32(pass, layer, x, at);
  if (x.rank() < 3 || x.rank() > 4)
    fail(at, text(layer_label(pass, layer), "input ", x.type(),
                  " is not images [examples, height, width, channels] or sounds [examples, length, channels]"));
  return x.rank() - 2;
}

}  // namespace descent::nn
