#pragma once

#include "descent/ops/index_walk.h"

namespace descent {

struct Permute {
  static constexpr auto name = "permute";
  static constexpr auto summary = "the axes in another order, axis i of the result being axis axes[i] of x: {axes}";
  static constexpr OpClass op_class = OpClass::view;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type& in = args.inputs[0];
    const std::vector<int64_t>& axes = args.attrs.integers("axes");
    std::vector<int64_t> sorted = axes;
    std::ranges::sort(sorted);
    for (size_t i = 0; i < sorted.size(); ++i)
      if (sorted.size() != static_cast<size_t>(in.shape.rank()) || sorted[i] != static_cast<int64_t>(i))
        fail(text(name, ": the axes ", to_text(Shape(axes)), " are not an order of the ", in.shape.rank(), " axes of ",
                  in));
    Shape out;
    for (const int64_t axis : axes) out.push_back(in.shape[static_cast<int>(axis)]);
    return {{in.dtype, out}};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<int64_t>& axes = args.attrs.integers("axes");
    const std::vector<int64_t> strides = dense_strides(args.inputs[0].type.shape);
    for_each_index(args.outputs[0].type.shape, [&](std::span<const int64_t> index, int64_t flat) {
      int64_t from = 0;
      for (size_t i = 0; i < axes.size(); ++i) from += index[i] * strides[axes[i]];
      args.outputs[0].values[flat] = args.inputs[0].values[from];
    });
  }

  static Tensors vjp(const VjpArgs& args) {
    const std::vector<int64_t>& axes = args.attrs.integers("axes");
    std::vector<int64_t> inverse(axes.size());
    for (size_t i = 0; i < axes.size(); ++i) inverse[axes[i]] = static_cast<int64_t>(i);
    return {apply<Permute>({args.cotangents[0]}, {{"axes", inverse}}, args.at)};
  }

  static Samples samples() {
    return {{"transpose", {{{DType::f32, {3, 5}}}}, {{"axes", std::vector<int64_t>{1, 0}}}},
            {"heads", {{{DType::f32, {2, 3, 4, 5}}}}, {{"axes", std::vector<int64_t>{0, 2, 1, 3}}}},
            {"bytes", {{{DType::u8, {3, 5}}, 0, 255}}, {{"axes", std::vector<int64_t>{1, 0}}}},
            {"empty", {{{DType::f32, {0, 4}}}}, {{"axes", std::vector<int64_t>{1, 0}}}},
            {"cycle", {{{DType::f32, {2, 3, 4}}}}, {{"axes", std::vector<int64_t>{2, 0, 1}}}}};
  }
  static Misuses misuse() {
    return {
        {{{DType::f32, {2, 3}}}, {{"axes", std::vector<int64_t>{0, 0}}}, "are not an order of the 2 axes of f32[2,3]"}};
  }
};

inline Tensor permute(Tensor x, std::vector<int64_t> axes, Site at = Site::here()) {
  return apply<Permute>({x}, {{"axes", std::move(axes)}}, at);
}

// The last two axes swapped.
inline Tensor transpose(Tensor x, Site at = Site::here()) {
  if (x.rank() < 2) fail(at, text("transpose: needs at least 2 axes, got ", x.type()));
  std::vector<int64_t> axes(static_cast<size_t>(x.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
  return permute(x, std::move(axes), at);
}

}  // namespace descent
