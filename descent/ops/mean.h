#pragma once

#include "descent/ops/div.h"
#include "descent/ops/sum.h"

namespace descent {

struct Mean {
  static constexpr auto name = "mean";
  static constexpr auto summary = "the mean over some axes, which disappear: {axes}; NaN over no elements";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    infer_floating(args, name);
    return infer_reduced(args, name);
  }

  static double count(const Shape& shape, std::span<const int64_t> axes) {
    double product = 1;
    for (const int64_t axis : axes) product *= static_cast<double>(shape[static_cast<int>(axis)]);
    return product;
  }

  static void evaluate(const EvalArgs& args) {
    const double elements = count(args.inputs[0].type.shape, args.attrs.integers("axes"));
    std::vector<double>& out = args.outputs[0].values;
    reduce_each(args, [&](int64_t to, double value) { out[to] += value; });
    for (double& value : out) value /= elements;
  }

  static Tensors expand(const ExpandArgs& args) {
    const std::vector<int64_t>& axes = args.attrs.integers("axes");
    const Tensor total = sum(args.inputs[0], {axes.begin(), axes.end()}, false, args.at);
    return {div({total, args.at}, count(args.inputs[0].shape(), axes))};
  }

  static Samples samples() {
    return {{"rows", {{{DType::f32, {4, 9}}}}, {{"axes", std::vector<int64_t>{1}}}},
            {"columns", {{{DType::f32, {4, 9}}}}, {{"axes", std::vector<int64_t>{0}}}},
            {"outer and inner", {{{DType::f32, {2, 3, 4}}}}, {{"axes", std::vector<int64_t>{0, 2}}}},
            {"all", {{{DType::f32, {6, 7}}}}, {{"axes", std::vector<int64_t>{0, 1}}}},
            {"size 1", {{{DType::f32, {3, 1}}}}, {{"axes", std::vector<int64_t>{1}}}},
            {"of nothing", {{{DType::f32, {3, 0}}}}, {{"axes", std::vector<int64_t>{1}}}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {{"axes", std::vector<int64_t>{1}}}}};
  }
  static Misuses misuse() {
    return {
        {{{DType::f32, {2}}}, {{"axes", std::vector<int64_t>{1}}}, "mean: axis 1 does not exist; the input has 1 axis"},
        {{{DType::i32, {2}}}, {{"axes", std::vector<int64_t>{0}}}, "mean: needs floating-point inputs, got i32[2]"}};
  }
};

// The mean over `axes` (counted from the back when negative). With keep_axes they stay, with size 1.
inline Tensor mean(Tensor x, std::vector<int> axes, bool keep_axes = false, Site at = Site::here()) {
  const std::vector<int64_t> sorted = sorted_axes(axes, x.rank(), Mean::name, at);
  const Tensor reduced = apply<Mean>({x}, {{"axes", sorted}}, at);
  return keep_axes ? reshape(reduced, kept_shape(x.shape(), sorted), at) : reduced;
}

// The mean over every axis.
template <std::same_as<Site> S = Site>  // a template, so that {0} means axes
Tensor mean(Tensor x, S at = Site::here()) {
  return mean(x, all_axes(x.rank()), false, at);
}

}  // namespace descent
