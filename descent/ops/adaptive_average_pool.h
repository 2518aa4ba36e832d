#pragma once

#include "descent/ops/add.h"
#include "descent/ops/div.h"
#include "descent/ops/floor.h"
#include "descent/ops/less.h"
#include "descent/ops/mul.h"
#include "descent/ops/resample.h"
#include "descent/ops/sub.h"
#include "descent/ops/sum_pool.h"
#include "descent/ops/where.h"

namespace descent {

// Place o of `out` is the mean of the elements from floor(o in / out) to below ceil((o + 1) in / out).
struct AdaptiveAveragePool {
  static constexpr auto name = "adaptive_average_pool";
  static constexpr auto summary = "images averaged down to given sizes, over windows as even as can be: {sizes}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) { return infer_resampled(args, name); }

  static void evaluate(const EvalArgs& args) {
    evaluate_resampled(args, [](int64_t place, int64_t element, int64_t out, int64_t in) {
      const int64_t begin = place * in / out, end = ((place + 1) * in + out - 1) / out;
      return element >= begin && element < end ? 1.0 / static_cast<double>(end - begin) : 0.0;
    });
  }

  static Tensors expand(const ExpandArgs& args) {
    Tensor x = args.inputs[0];
    const std::vector<int64_t>& sizes = args.attrs.integers("sizes");
    std::vector<int64_t> window;
    bool even = true;
    for (int axis = 1; axis + 1 < x.rank(); ++axis) {
      window.push_back(std::max<int64_t>(1, x.shape()[axis] / sizes[axis - 1]));
      even = even && x.shape()[axis] % sizes[axis - 1] == 0;
    }
    if (even) return {average_pool(x, window, {}, true, args.at)};
    for (int axis = 1; axis + 1 < x.rank(); ++axis) x = along(x, axis, sizes[axis - 1], args.at);
    return {x};
  }

  static Samples samples() {
    const auto to = [](std::vector<int64_t> sizes) { return Attrs{{"sizes", std::move(sizes)}}; };
    return {{"even", {{{DType::f32, {2, 6, 4, 3}}}}, to({3, 2})},
            {"global", {{{DType::f32, {2, 3, 5, 3}}}}, to({1, 1})},
            {"uneven", {{{DType::f32, {1, 7, 5, 2}}}}, to({3, 4})},
            {"uneven and larger", {{{DType::f32, {1, 3, 2, 2}}}}, to({5, 2})},
            {"uneven axis", {{{DType::f32, {2, 7, 2}}}}, to({3})},
            {"empty", {{{DType::f32, {0, 6, 4, 3}}}}, to({3, 2})}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {1, 4, 3, 2}}},
             {{"sizes", std::vector<int64_t>{4, 0}}},
             "adaptive_average_pool: cannot make 0 of the 3 on axis 2 of f32[1,4,3,2]"}};
  }

 private:
  static Tensor along(Tensor x, int axis, int64_t out, Site at) {
    const auto in = static_cast<double>(x.shape()[axis]), places = static_cast<double>(out);
    if (x.shape()[axis] == out) return x;
    const MatrixPlaces place(x.graph(), out, x.shape()[axis], at);
    // Whole numbers divided, rounded down; half of one keeps the quotients off the whole numbers they might miss.
    const Tensor begin = floor((place.row * in + 0.5) / places, at);
    const Tensor end = floor((place.row * in + (in + places - 0.5)) / places, at);
    const Tensor inside = where(less(place.column, end), 1 / (end - begin), 0);
    return matrix_along(x, axis, where(less(place.column, begin), 0, inside), at);
  }
};

// x [n, spatial.., c] with these spatial sizes.
inline Tensor adaptive_average_pool(Tensor x, std::vector<int64_t> sizes, Site at = Site::here()) {
  return apply<AdaptiveAveragePool>({x}, {{"sizes", std::move(sizes)}}, at);
}

}  // namespace descent
