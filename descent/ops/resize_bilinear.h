#pragma once

#include <cmath>

#include "descent/ops/abs.h"
#include "descent/ops/add.h"
#include "descent/ops/clamp.h"
#include "descent/ops/maximum.h"
#include "descent/ops/mul.h"
#include "descent/ops/resample.h"
#include "descent/ops/sub.h"

namespace descent {

struct ResizeBilinear {
  static constexpr auto name = "resize_bilinear";
  static constexpr auto summary =
      "images of other sizes, between pixels by straight lines, pixels being squares with their centres at 1/2: "
      "{sizes}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) { return infer_resampled(args, name); }

  static void evaluate(const EvalArgs& args) {
    evaluate_resampled(args, [](int64_t place, int64_t element, int64_t out, int64_t in) {
      const double scale = static_cast<double>(in) / static_cast<double>(out);
      const double centre =
          std::clamp((static_cast<double>(place) + 0.5) * scale - 0.5, 0.0, static_cast<double>(in - 1));
      return std::max(0.0, 1 - std::abs(centre - static_cast<double>(element)));
    });
  }

  static Tensors expand(const ExpandArgs& args) {
    Tensor x = args.inputs[0];
    const std::vector<int64_t>& sizes = args.attrs.integers("sizes");
    for (int axis = 1; axis + 1 < x.rank(); ++axis) {
      const int64_t in = x.shape()[axis], out = sizes[axis - 1];
      if (in == out) continue;
      const MatrixPlaces at(x.graph(), out, in, args.at);
      const Tensor spot = (at.row + 0.5) * (static_cast<double>(in) / static_cast<double>(out)) - 0.5;
      const Tensor centre = in == 1 ? spot * 0 : clamp(spot, 0, static_cast<double>(in - 1), args.at);
      x = matrix_along(x, axis, maximum(1 - abs(centre - at.column, args.at), 0), args.at);
    }
    return {x};
  }

  static Samples samples() {
    const auto to = [](std::vector<int64_t> sizes) { return Attrs{{"sizes", std::move(sizes)}}; };
    return {
        {"twice", {{{DType::f32, {2, 3, 4, 3}}}}, to({6, 8})},   {"uneven", {{{DType::f32, {1, 4, 3, 2}}}}, to({5, 7})},
        {"smaller", {{{DType::f32, {1, 7, 5, 2}}}}, to({3, 5})}, {"of one", {{{DType::f32, {2, 1, 1, 3}}}}, to({2, 3})},
        {"one axis", {{{DType::f32, {2, 3, 2}}}}, to({5})},      {"empty", {{{DType::f32, {0, 3, 2, 2}}}}, to({6, 4})}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {1, 4, 3, 2}}},
             {{"sizes", std::vector<int64_t>{4, 0}}},
             "resize_bilinear: cannot make 0 of the 3 on axis 2 of f32[1,4,3,2]"},
            {{{DType::f32, {1, 4, 3, 2}}},
             {{"sizes", std::vector<int64_t>{4}}},
             "needs 2 sizes for f32[1,4,3,2], got [4]"}};
  }
};

// x [n, spatial.., c] with these spatial sizes.
inline Tensor resize_bilinear(Tensor x, std::vector<int64_t> sizes, Site at = Site::here()) {
  return apply<ResizeBilinear>({x}, {{"sizes", std::move(sizes)}}, at);
}

}  // namespace descent
