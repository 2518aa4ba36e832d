#pragma once

#include <algorithm>

#include "descent/ops/broadcast.h"
#include "descent/ops/index_walk.h"
#include "descent/ops/reshape.h"

namespace descent {

struct Sum {
  static constexpr auto name = "sum";
  static constexpr auto summary = "the sum over some axes, which disappear: {axes}";
  static constexpr OpClass op_class = OpClass::reduce;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) { return infer_reduced(args, name); }

  static void evaluate(const EvalArgs& args) {
    reduce_each(args, [&](int64_t to, double value) { args.outputs[0].values[to] += value; });
  }

  static Tensors vjp(const VjpArgs& args) {
    const Shape kept = kept_shape(args.inputs[0].shape(), args.attrs.integers("axes"));
    return {broadcast(reshape(args.cotangents[0], kept, args.at), args.inputs[0].shape(), args.at)};
  }

  static Samples samples() {
    return {{"rows", {{{DType::f32, {4, 9}}}}, {{"axes", std::vector<int64_t>{1}}}},
            {"columns", {{{DType::f32, {4, 9}}}}, {{"axes", std::vector<int64_t>{0}}}},
            {"middle", {{{DType::f32, {2, 3, 4}}}}, {{"axes", std::vector<int64_t>{1}}}},
            {"outer and inner", {{{DType::f32, {2, 3, 4}}}}, {{"axes", std::vector<int64_t>{0, 2}}}},
            {"all", {{{DType::f32, {50, 70}}}}, {{"axes", std::vector<int64_t>{0, 1}}}},
            {"size 1", {{{DType::f32, {3, 1}}}}, {{"axes", std::vector<int64_t>{1}}}},
            {"integers", {{{DType::i32, {3, 7}}, -9, 9}}, {{"axes", std::vector<int64_t>{1}}}},
            {"empty", {{{DType::f32, {3, 0}}}}, {{"axes", std::vector<int64_t>{1}}}}};
  }
  static Misuses misuse() {
    return {
        {{{DType::f32, {2}}}, {{"axes", std::vector<int64_t>{1}}}, "sum: axis 1 does not exist; the input has 1 axis"}};
  }
};

// The sum over `axes` (counted from the back when negative). With keep_axes they stay, with size 1.
inline Tensor sum(Tensor x, std::vector<int> axes, bool keep_axes = false, Site at = Site::here()) {
  const std::vector<int64_t> sorted = sorted_axes(axes, x.rank(), Sum::name, at);
  if (sorted.empty()) return x;
  const Tensor reduced = apply<Sum>({x}, {{"axes", sorted}}, at);
  return keep_axes ? reshape(reduced, kept_shape(x.shape(), sorted), at) : reduced;
}

// The sum over every axis.
template <std::same_as<Site> S = Site>  // a template, so that {0} means axes
Tensor sum(Tensor x, S at = Site::here()) {
  return sum(x, all_axes(x.rank()), false, at);
}

// The adjoint of broadcasting: `x` summed down to `shape`.
inline Tensor sum_to(Tensor x, const Shape& shape, Site at) {
  const int lead = x.rank() - shape.rank();
  std::vector<int> axes;
  for (int axis = 0; axis < x.rank(); ++axis)
    if (axis < lead || (shape[axis - lead] == 1 && x.shape()[axis] != 1)) axes.push_back(axis);
  return reshape(sum(x, axes, false, at), shape, at);
}

}  // namespace descent
