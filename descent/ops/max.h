#pragma once

#include <cmath>

#include "descent/ops/cast.h"
#include "descent/ops/div.h"
#include "descent/ops/maximum.h"
#include "descent/ops/sum.h"

namespace descent {

struct Max {
  static constexpr auto name = "max";
  static constexpr auto summary = "the largest element over some axes, which disappear: {axes}; NaN where there is one";
  static constexpr OpClass op_class = OpClass::reduce;
  static constexpr int arity = 1;
  static constexpr bool exact = true;

  static std::vector<Type> infer(const InferArgs& args) {
    const std::vector<Type> out = infer_reduced(args, name);
    for (const int64_t axis : args.attrs.integers("axes"))
      if (args.inputs[0].shape[static_cast<int>(axis)] == 0)
        fail(text(name, ": there is no largest element over axis ", axis, " of ", args.inputs[0], ", which is empty"));
    return out;
  }

  static void evaluate(const EvalArgs& args) {
    std::vector<double>& out = args.outputs[0].values;
    std::ranges::fill(out, -HUGE_VAL);
    reduce_each(args, [&](int64_t to, double value) { out[to] = Maximum::scalar(out[to], value); });
  }

  // Elements that share the largest value share its cotangent.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor x = args.inputs[0], g = args.cotangents[0];
    const std::vector<int64_t>& axes = args.attrs.integers("axes");
    const Shape kept = kept_shape(x.shape(), axes);
    const Tensor is_largest = cast(equal(x, reshape(args.outputs[0], kept, args.at)), x.dtype(), args.at);
    const Tensor count = sum(is_largest, {axes.begin(), axes.end()}, true, args.at);
    return {is_largest * (reshape(g, kept, args.at) / count)};
  }

  static Samples samples() {
    return {{"rows", {{{DType::f32, {4, 9}}}}, {{"axes", std::vector<int64_t>{1}}}},
            {"columns", {{{DType::f32, {4, 9}}}}, {{"axes", std::vector<int64_t>{0}}}},
            {"outer and inner", {{{DType::f32, {2, 3, 4}}}}, {{"axes", std::vector<int64_t>{0, 2}}}},
            {"all",
             {{{DType::f32, {50, 70}}}},
             {{"axes", std::vector<int64_t>{0, 1}}},
             false},  // too dense: some are near ties
            {"size 1", {{{DType::f32, {3, 1}}}}, {{"axes", std::vector<int64_t>{1}}}},
            {"integers", {{{DType::i32, {3, 7}}, -9, 9}}, {{"axes", std::vector<int64_t>{1}}}},
            {"ties",
             {{{DType::f32, {2, 4}}, 0, 0, {1, 3, 3, 2, -5, -5, -5, -5}}},
             {{"axes", std::vector<int64_t>{1}}},
             false},
            {"edge",
             {{{DType::f32, {3, 3}}, 0, 0, {1, NAN, 2, -HUGE_VAL, -HUGE_VAL, -HUGE_VAL, 1, HUGE_VAL, 2}}},
             {{"axes", std::vector<int64_t>{1}}},
             false},
            {"empty", {{{DType::f32, {0, 4}}}}, {{"axes", std::vector<int64_t>{1}}}}};
  }
  static Misuses misuse() {
    return {
        {{{DType::f32, {2}}}, {{"axes", std::vector<int64_t>{1}}}, "max: axis 1 does not exist; the input has 1 axis"},
        {{{DType::f32, {3, 0}}},
         {{"axes", std::vector<int64_t>{1}}},
         "max: there is no largest element over axis 1 of f32[3,0]"}};
  }
};

// The largest over `axes` (counted from the back when negative). With keep_axes they stay, with size 1.
inline Tensor max(Tensor x, std::vector<int> axes, bool keep_axes = false, Site at = Site::here()) {
  const std::vector<int64_t> sorted = sorted_axes(axes, x.rank(), Max::name, at);
  if (sorted.empty()) return x;
  const Tensor reduced = apply<Max>({x}, {{"axes", sorted}}, at);
  return keep_axes ? reshape(reduced, kept_shape(x.shape(), sorted), at) : reduced;
}

// The largest of all elements.
template <std::same_as<Site> S = Site>  // a template, so that {0} means axes
Tensor max(Tensor x, S at = Site::here()) {
  return max(x, all_axes(x.rank()), false, at);
}

}  // namespace descent
