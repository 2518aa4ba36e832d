#pragma once

#include "descent/ops/index_walk.h"

namespace descent {

struct Flip {
  static constexpr auto name = "flip";
  static constexpr auto summary = "x with some axes running backwards: {axes}";
  static constexpr OpClass op_class = OpClass::view;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type& in = args.inputs[0];
    for (const int64_t axis : args.attrs.integers("axes")) normal_axis(static_cast<int>(axis), in.shape.rank(), name);
    return {in};
  }

  static void evaluate(const EvalArgs& args) {
    const Shape& shape = args.inputs[0].type.shape;
    const std::vector<int64_t>& axes = args.attrs.integers("axes");
    for_each_index(shape, [&](std::span<const int64_t> index, int64_t flat) {
      int64_t from = 0;
      for (int axis = 0; axis < shape.rank(); ++axis) {
        const bool flipped = std::ranges::find(axes, axis) != axes.end();
        from = from * shape[axis] + (flipped ? shape[axis] - 1 - index[axis] : index[axis]);
      }
      args.outputs[0].values[flat] = args.inputs[0].values[from];
    });
  }

  static Tensors vjp(const VjpArgs& args) { return {apply<Flip>({args.cotangents[0]}, args.attrs, args.at)}; }

  static Samples samples() {
    return {{"rows", {{{DType::f32, {3, 5}}}}, {{"axes", std::vector<int64_t>{0}}}},
            {"outer and inner", {{{DType::f32, {2, 3, 4}}}}, {{"axes", std::vector<int64_t>{0, 2}}}},
            {"integers", {{{DType::i32, {7}}, -9, 9}}, {{"axes", std::vector<int64_t>{0}}}},
            {"empty", {{{DType::f32, {0, 4}}}}, {{"axes", std::vector<int64_t>{0, 1}}}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2, 3}}},
             {{"axes", std::vector<int64_t>{2}}},
             "flip: axis 2 does not exist; the input has 2 axes"}};
  }
};

// Axes are counted from the back when negative.
inline Tensor flip(Tensor x, std::vector<int> axes, Site at = Site::here()) {
  const std::vector<int64_t> sorted = sorted_axes(axes, x.rank(), Flip::name, at);
  return sorted.empty() ? x : apply<Flip>({x}, {{"axes", sorted}}, at);
}

}  // namespace descent
