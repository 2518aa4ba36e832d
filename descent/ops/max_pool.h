#pragma once

#include <cmath>

#include "descent/ops/window.h"

namespace descent {

// Defined in max_pool_gradient.h, included below.
Tensor max_pool_gradient(Tensor g, Tensor taps, std::vector<int64_t> sizes, const Attrs& attrs, Site at);

// The windows of a pooling {window, strides, low, high} of images `x`.
inline Windows pool_windows(const Attrs& attrs, const Type& x, std::string_view name) {
  check_image(x, name);
  Windows out = windows_of(attrs, spatial_sizes(x.shape), attrs.integers("window"), x, name);
  for (int axis = 0; axis < out.axes(); ++axis)
    if (out.low[axis] >= out.size[axis] || attrs.integers("high")[axis] >= out.size[axis])
      fail(text(name, ": a padding of ", out.low[axis], " and ", attrs.integers("high")[axis], " on axis ", axis + 1,
                " of ", x, " makes windows of ", out.size[axis], " that hold nothing"));
    else if (out.image[axis] == 0)
      fail(text(name, ": axis ", axis + 1, " of ", x, " is empty"));
  return out;
}

inline Attrs pool_geometry(const Attrs& attrs) {
  return {{"window", attrs.integers("window")},
          {"strides", attrs.integers("strides")},
          {"low", attrs.integers("low")},
          {"high", attrs.integers("high")}};
}

// The samples of the pooling ops.
struct PoolCase {
  std::string name;
  Shape x;
  std::vector<int64_t> window, strides, low, high;

  Attrs attrs() const { return {{"window", window}, {"strides", strides}, {"low", low}, {"high", high}}; }
  Shape result() const { return image_shape(x[0], pool_windows(attrs(), {DType::f32, x}, "sample").out, x.back()); }
};

inline std::vector<PoolCase> pool_cases() {
  return {{"halves", {2, 4, 6, 3}, {2, 2}, {2, 2}, {0, 0}, {0, 0}},
          {"odd", {1, 5, 7, 17}, {2, 2}, {2, 2}, {0, 0}, {0, 0}},
          {"overlapping", {2, 5, 6, 4}, {3, 2}, {1, 2}, {1, 1}, {1, 1}},
          {"gaps", {1, 7, 6, 2}, {2, 1}, {3, 2}, {0, 0}, {0, 0}},
          {"asymmetric", {1, 4, 4, 3}, {3, 3}, {2, 2}, {0, 0}, {1, 2}},
          {"whole", {2, 3, 3, 5}, {3, 3}, {3, 3}, {0, 0}, {0, 0}},
          {"by nothing", {1, 3, 2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
          {"one axis", {2, 9, 3}, {3}, {2}, {1}, {1}},
          {"empty", {0, 4, 4, 3}, {2, 2}, {2, 2}, {0, 0}, {0, 0}}};
}

// The largest element of each window, and which one it was: what its gradient needs, in one byte.
struct MaxPool {
  static constexpr auto name = "max_pool";
  static constexpr auto summary =
      "the largest of each window of images, and its place there as u8, the first of several: {window, strides, low, "
      "high}";
  static constexpr OpClass op_class = OpClass::index;
  static constexpr int arity = 1;
  static constexpr bool exact = true;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type& x = args.inputs[0];
    const Windows windows = pool_windows(args.attrs, x, name);
    if (const int64_t taps = product_of(windows.size); taps > 256)
      fail(text(name, ": a window has at most 256 elements, this one ", taps, "; did you mean max over the axes?"));
    const Shape out = image_shape(x.shape[0], windows.out, x.shape.back());
    return {{x.dtype, out}, {DType::u8, out}};
  }

  static void evaluate(const EvalArgs& args) {
    const Type& type = args.inputs[0].type;
    const Windows windows = pool_windows(args.attrs, type, name);
    const int64_t channels = type.shape.back(), elements = product_of(windows.image), places = product_of(windows.out);
    std::vector<double>&out = args.outputs[0].values, &taps = args.outputs[1].values;
    std::vector<bool> seen(out.size(), false);
    for_each_tap(windows, [&](int64_t place, int64_t element, int64_t tap) {
      for (int64_t n = 0; n < type.shape[0]; ++n)
        for (int64_t c = 0; c < channels; ++c) {
          const double value = args.inputs[0].values[(n * elements + element) * channels + c];
          const auto to = static_cast<size_t>((n * places + place) * channels + c);
          if (seen[to] && !(value > out[to] || (std::isnan(value) && !std::isnan(out[to])))) continue;
          seen[to] = true;
          out[to] = value;
          taps[to] = static_cast<double>(tap);
        }
    });
  }

  static Tensors vjp(const VjpArgs& args) {
    if (!args.cotangents[0]) return {Tensor()};
    return {max_pool_gradient(args.cotangents[0], args.outputs[1], spatial_sizes(args.inputs[0].shape()), args.attrs,
                              args.at)};
  }

  static Samples samples() {
    Samples out;
    for (const PoolCase& each : pool_cases()) out.push_back({each.name, {{{DType::f32, each.x}}}, each.attrs()});
    const Attrs pairs = PoolCase{"", {}, {2}, {2}, {0}, {0}}.attrs();
    out.push_back({"ties", {{{DType::f32, {1, 6, 1}}, 0, 0, {1, 1, 0, -0.0, -3, -3}}}, pairs, false});
    out.push_back(
        {"edge", {{{DType::f32, {1, 8, 1}}, 0, 0, {NAN, 1, 2, NAN, -HUGE_VAL, -HUGE_VAL, 1, HUGE_VAL}}}, pairs, false});
    return out;
  }
  static Misuses misuse() {
    const auto two = [](int64_t low, std::vector<int64_t> window) {
      return PoolCase{"", {}, std::move(window), {2, 2}, {low, 0}, {0, 0}}.attrs();
    };
    const Type x{DType::f32, {8, 28, 28, 3}};
    return {
        {{{DType::f32, {8, 28}}}, two(0, {2, 2}), "max_pool: needs images [examples, height, width, channels]"},
        {{x}, two(2, {2, 2}), "a padding of 2 and 0 on axis 1 of f32[8,28,28,3] makes windows of 2 that hold nothing"},
        {{x},
         two(0, {2, 29}),
         "max_pool: the window spans 29 on axis 2 of f32[8,28,28,3], which has 28 and 0 of padding"},
        {{x}, two(0, {17, 17}), "max_pool: a window has at most 256 elements, this one 289"},
        {{{DType::u8, {8, 28, 28, 3}}}, two(0, {2, 2}), "max_pool: needs floating-point images, got u8[8,28,28,3]"}};
  }
};

struct PoolGeometry {
  std::vector<int64_t> strides = {}, low = {},
                       high = {};  // one a spatial axis; empty: the window's sizes, 0 of padding

  Attrs attrs(const std::vector<int64_t>& window) const {
    const auto or_else = [](const std::vector<int64_t>& given, const std::vector<int64_t>& fallback) {
      return given.empty() ? fallback : given;
    };
    const std::vector<int64_t> zeros(window.size(), 0);
    return {{"window", window},
            {"strides", or_else(strides, window)},
            {"low", or_else(low, zeros)},
            {"high", or_else(high, zeros)}};
  }
};

// The largest element of each window of x [n, spatial.., c], channel by channel; padding never counts.
inline Tensor max_pool(Tensor x, const std::vector<int64_t>& window, const PoolGeometry& options = {},
                       Site at = Site::here()) {
  return apply<MaxPool>({x}, options.attrs(window), at);
}

}  // namespace descent

#include "descent/ops/max_pool_gradient.h"
