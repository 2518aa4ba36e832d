#pragma once

#include "descent/ops/sum_pool.h"

namespace descent {

// Also the upsampling that repeats each element (to a window of its own).
struct SumPoolGradient {
  static constexpr auto name = "sum_pool_gradient";
  static constexpr auto summary =
      "g added to each element of its window: {sizes of the image, window, strides, low, high, mean}";
  static constexpr OpClass op_class = OpClass::index;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type& g = args.inputs[0];
    check_image(g, name);
    const std::vector<int64_t>& sizes = args.attrs.integers("sizes");
    if (std::ssize(sizes) != g.shape.rank() - 2)
      fail(text(name, ": needs ", g.shape.rank() - 2, " sizes of the image for ", g, ", got ", Shape(sizes)));
    const Type image{g.dtype, image_shape(g.shape[0], sizes, g.shape.back())};
    const Windows windows = pool_windows(args.attrs, image, name);
    const Shape wanted = image_shape(g.shape[0], windows.out, g.shape.back());
    if (g.shape != wanted) fail(text(name, ": the gradient of a pooling of ", image, " is ", wanted, ", got ", g));
    return {image};
  }

  static void evaluate(const EvalArgs& args) {
    const Type& type = args.outputs[0].type;
    const Windows windows = pool_windows(args.attrs, type, name);
    const PoolDivisor divisor(args.attrs, windows, name);
    const int64_t channels = type.shape.back(), elements = product_of(windows.image), places = product_of(windows.out);
    for_each_tap(windows, [&](int64_t place, int64_t element, int64_t) {
      for (int64_t n = 0; n < type.shape[0]; ++n)
        for (int64_t c = 0; c < channels; ++c)
          args.outputs[0].values[(n * elements + element) * channels + c] +=
              args.inputs[0].values[(n * places + place) * channels + c] / divisor.at(place);
    });
  }

  static Tensors vjp(const VjpArgs& args) {
    return {apply<SumPool>({args.cotangents[0]}, pool_geometry(args.attrs).set("mean", args.attrs.string("mean")),
                           args.at)};
  }

  static Samples samples() {
    return sum_pool_samples([](const PoolCase& each) { return each.result(); }, true);
  }
  static Misuses misuse() {
    Attrs attrs = PoolCase{"", {}, {2, 2}, {2, 2}, {0, 0}, {0, 0}}.attrs();
    attrs.set("mean", std::string("window")).set("sizes", std::vector<int64_t>{8, 8});
    return {{{{DType::f32, {2, 4, 3, 3}}},
             attrs,
             "sum_pool_gradient: the gradient of a pooling of f32[2,8,8,3] is [2,4,4,3], got f32[2,4,3,3]"}};
  }
};

// A window that covers the whole image gives every element the same: a broadcast, which joins the loops around it.
inline Tensor sum_pool_gradient(Tensor g, std::vector<int64_t> sizes, const Attrs& attrs, Site at) {
  const std::vector<int64_t>&window = attrs.integers("window"), &low = attrs.integers("low"),
        &high = attrs.integers("high");
  const bool whole = window == sizes && std::ranges::count(low, 0) == std::ssize(low) &&
                     std::ranges::count(high, 0) == std::ssize(high);
  if (!whole) {
    const Attrs all = pool_geometry(attrs).set("mean", attrs.string("mean")).set("sizes", std::move(sizes));
    return apply<SumPoolGradient>({g}, all, at);
  }
  const double divisor = attrs.string("mean") == "none" ? 1 : static_cast<double>(product_of(window));
  const Shape image = image_shape(g.shape()[0], sizes, g.shape().back());
  return broadcast(mul({g, at}, 1 / divisor), image, at);
}

// Each element of x [n, spatial.., c] repeated `factor` times along each spatial axis.
inline Tensor upsample_nearest(Tensor x, int64_t factor, Site at = Site::here()) {
  check_image(x.type(), "upsample_nearest");
  if (factor < 1) fail(at, text("upsample_nearest: the factor must be at least 1, got ", factor));
  if (factor == 1) return x;
  std::vector<int64_t> sizes = spatial_sizes(x.shape());
  const std::vector<int64_t> window(sizes.size(), factor);
  for (int64_t& size : sizes) size *= factor;
  const Attrs attrs = PoolGeometry{}.attrs(window).set("mean", std::string("none"));
  return apply<SumPoolGradient>({x}, Attrs(attrs).set("sizes", std::move(sizes)), at);
}

}  // namespace descent
