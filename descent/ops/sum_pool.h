#pragma once

#include "descent/ops/broadcast.h"
#include "descent/ops/max_pool.h"
#include "descent/ops/mul.h"

namespace descent {

// Defined in sum_pool_gradient.h, included below.
Tensor sum_pool_gradient(Tensor g, std::vector<int64_t> sizes, const Attrs& attrs, Site at);

// What a window's sum is divided by: {mean: none, window (its size), or inside (how many of its elements are inside)}.
class PoolDivisor {
 public:
  PoolDivisor(const Attrs& attrs, const Windows& windows, std::string_view name) : kind_(attrs.string("mean")) {
    if (kind_ != "none" && kind_ != "window" && kind_ != "inside")
      fail(text(name, ": 'mean' is none, window or inside, got '", kind_, "'"));
    counts_.assign(static_cast<size_t>(product_of(windows.out)),
                   kind_ == "none" ? 1.0 : static_cast<double>(product_of(windows.size)));
    if (kind_ != "inside") return;
    std::ranges::fill(counts_, 0);
    for_each_tap(windows, [&](int64_t place, int64_t, int64_t) { counts_[static_cast<size_t>(place)] += 1; });
  }
  double at(int64_t place) const { return counts_[static_cast<size_t>(place)]; }

 private:
  std::string kind_;
  std::vector<double> counts_;
};

// The samples of sum_pool and its gradient: the second input type is made by `input`.
inline Samples sum_pool_samples(Shape (*input)(const PoolCase&), bool with_sizes) {
  Samples out;
  static constexpr const char* kinds[] = {"inside", "window", "none"};
  size_t kind = 0;
  for (const PoolCase& each : pool_cases()) {
    Attrs attrs = each.attrs();
    attrs.set("mean", std::string(kinds[kind++ % 3]));
    if (with_sizes) attrs.set("sizes", spatial_sizes(each.x));
    out.push_back({each.name, {{{DType::f32, input(each)}}}, attrs});
  }
  return out;
}

struct SumPool {
  static constexpr auto name = "sum_pool";
  static constexpr auto summary =
      "the sum or mean of each window of images: {window, strides, low, high, mean: none, window or inside}";
  static constexpr OpClass op_class = OpClass::index;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type& x = args.inputs[0];
    const Windows windows = pool_windows(args.attrs, x, name);
    if (const std::string& mean = args.attrs.string("mean"); mean != "none" && mean != "window" && mean != "inside")
      fail(text(name, ": 'mean' is none, window or inside, got '", mean, "'"));
    return {{x.dtype, image_shape(x.shape[0], windows.out, x.shape.back())}};
  }

  static void evaluate(const EvalArgs& args) {
    const Type& type = args.inputs[0].type;
    const Windows windows = pool_windows(args.attrs, type, name);
    const PoolDivisor divisor(args.attrs, windows, name);
    const int64_t channels = type.shape.back(), elements = product_of(windows.image), places = product_of(windows.out);
    for_each_tap(windows, [&](int64_t place, int64_t element, int64_t) {
      for (int64_t n = 0; n < type.shape[0]; ++n)
        for (int64_t c = 0; c < channels; ++c)
          args.outputs[0].values[(n * places + place) * channels + c] +=
              args.inputs[0].values[(n * elements + element) * channels + c] / divisor.at(place);
    });
  }

  static Tensors vjp(const VjpArgs& args) {
    return {sum_pool_gradient(args.cotangents[0], spatial_sizes(args.inputs[0].shape()), args.attrs, args.at)};
  }

  static Samples samples() {
    return sum_pool_samples([](const PoolCase& each) { return each.x; }, false);
  }
  static Misuses misuse() {
    Attrs attrs = PoolCase{"", {}, {2, 2}, {2, 2}, {0, 0}, {0, 0}}.attrs();
    attrs.set("mean", std::string("most"));
    return {{{{DType::f32, {8, 28, 28, 3}}}, attrs, "sum_pool: 'mean' is none, window or inside, got 'most'"},
            {{{DType::f32, {8, 1, 28, 3}}}, attrs, "sum_pool: the window spans 2 on axis 1 of f32[8,1,28,3]"}};
  }
};

inline Tensor sum_pool(Tensor x, const std::vector<int64_t>& window, const PoolGeometry& options = {},
                       Site at = Site::here()) {
  return apply<SumPool>({x}, options.attrs(window).set("mean", std::string("none")), at);
}

// The mean of each window; of its elements inside the image, or of all, padding counting as 0.
inline Tensor average_pool(Tensor x, const std::vector<int64_t>& window, const PoolGeometry& options = {},
                           bool count_padding = false, Site at = Site::here()) {
  return apply<SumPool>({x}, options.attrs(window).set("mean", std::string(count_padding ? "window" : "inside")), at);
}

}  // namespace descent

#include "descent/ops/sum_pool_gradient.h"
