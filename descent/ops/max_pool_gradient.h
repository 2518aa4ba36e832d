#pragma once

#include "descent/ops/max_pool.h"

namespace descent {

Tensor take_taps(Tensor x, Tensor taps, const Attrs& attrs, Site at);

// The type and the windows of a gradient by `taps`: both ops below walk the same elements.
struct TapWalk {
  Windows windows;
  int64_t examples, channels, elements, places;

  // Calls visit(index into the image, index into the result) for every window's chosen element; a tap that is none of
  // its window's elements inside the image chooses nothing.
  template <class Visit>
  void for_each(const std::vector<double>& taps, Visit visit) const {
    for_each_tap(windows, [&](int64_t place, int64_t element, int64_t tap) {
      for (int64_t n = 0; n < examples; ++n)
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t at = (n * places + place) * channels + c;
          if (taps[static_cast<size_t>(at)] == static_cast<double>(tap))
            visit((n * elements + element) * channels + c, at);
        }
    });
  }
};

inline TapWalk tap_walk(const Attrs& attrs, const Type& image, const Type& taps, std::string_view name) {
  const Windows windows = pool_windows(attrs, image, name);
  const Shape wanted = image_shape(image.shape[0], windows.out, image.shape.back());
  if (taps != Type{DType::u8, wanted})
    fail(text(name, ": the taps of ", image, " are ", Type{DType::u8, wanted}, ", got ", taps));
  return {windows, image.shape[0], image.shape.back(), product_of(windows.image), product_of(windows.out)};
}

// The taps of a sample: some element of the window, inside the image or not.
inline SampleInput sample_taps(const PoolCase& each) {
  return {{DType::u8, each.result()}, 0, static_cast<double>(product_of(each.window))};
}

struct MaxPoolGradient {
  static constexpr auto name = "max_pool_gradient";
  static constexpr auto summary =
      "g added to the elements that max_pool chose: {sizes of the image, window, strides, low, high}";
  static constexpr OpClass op_class = OpClass::index;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type &g = args.inputs[0], &taps = args.inputs[1];
    check_image(g, name);
    const Type image{g.dtype, image_shape(g.shape[0], args.attrs.integers("sizes"), g.shape.back())};
    tap_walk(args.attrs, image, taps, name);
    if (g.shape != taps.shape) fail(text(name, ": the gradient ", g, " and the taps ", taps, " differ in shape"));
    return {image};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<double>& g = args.inputs[0].values;
    tap_walk(args.attrs, args.outputs[0].type, args.inputs[1].type, name)
        .for_each(args.inputs[1].values, [&](int64_t to, int64_t from) { args.outputs[0].values[to] += g[from]; });
  }

  static Tensors vjp(const VjpArgs& args) {
    return {take_taps(args.cotangents[0], args.inputs[1], args.attrs, args.at), Tensor()};
  }

  static Samples samples() {
    Samples out;
    for (const PoolCase& each : pool_cases()) {
      Attrs attrs = each.attrs();
      attrs.set("sizes", spatial_sizes(each.x));
      out.push_back({each.name, {{{DType::f32, each.result()}}, sample_taps(each)}, attrs});
    }
    return out;
  }
  static Misuses misuse() {
    Attrs attrs = PoolCase{"", {}, {2, 2}, {2, 2}, {0, 0}, {0, 0}}.attrs();
    attrs.set("sizes", std::vector<int64_t>{8, 8});
    return {{{{DType::f32, {2, 4, 4, 3}}, {DType::u8, {2, 4, 3, 3}}},
             attrs,
             "max_pool_gradient: the taps of f32[2,8,8,3] are u8[2,4,4,3], got u8[2,4,3,3]"}};
  }
};

inline Tensor max_pool_gradient(Tensor g, Tensor taps, std::vector<int64_t> sizes, const Attrs& attrs, Site at) {
  return apply<MaxPoolGradient>({g, taps}, pool_geometry(attrs).set("sizes", std::move(sizes)), at);
}

}  // namespace descent

#include "descent/ops/take_taps.h"
