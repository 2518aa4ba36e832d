#pragma once

#include "descent/ops/concat.h"

namespace descent {

// A tensor's parts as slices, with a gradient of its own: that of each slice would be as large as the whole, and all of
// them would be added.
struct Split {
  static constexpr auto name = "split";
  static constexpr auto summary = "equal parts along an axis, one output each: {axis, parts}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;
  static constexpr bool exact = true;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type& x = args.inputs[0];
    const int axis = normal_axis(static_cast<int>(args.attrs.integer("axis")), x.shape.rank(), name);
    const int64_t parts = args.attrs.integer("parts");
    if (parts < 1 || x.shape[axis] % parts != 0)
      fail(text(name, ": axis ", axis, " of ", x, " cannot be parted into ", parts, " equal parts"));
    const Type part{x.dtype, x.shape.with(axis, x.shape[axis] / parts)};
    return std::vector<Type>(static_cast<size_t>(parts), part);
  }

  // With the axes before and behind `axis` merged, each row of the input gives a piece to each output.
  static void evaluate(const EvalArgs& args) {
    const auto axis = static_cast<int>(args.attrs.integer("axis"));
    const int64_t rows = args.inputs[0].type.shape.first(axis).elements();
    auto from = args.inputs[0].values.begin();
    for (int64_t row = 0; row < rows; ++row)
      for (Dense& out : args.outputs) {
        const int64_t piece = std::ssize(out.values) / rows;
        std::copy_n(from, piece, out.values.begin() + row * piece);
        from += piece;
      }
  }

  static Tensors expand(const ExpandArgs& args) {
    const auto axis = static_cast<int>(args.attrs.integer("axis"));
    const int64_t parts = args.attrs.integer("parts"), size = args.inputs[0].shape()[axis] / parts;
    Tensors out;
    for (int64_t i = 0; i < parts; ++i)
      out.push_back(slice_axis(args.inputs[0], axis, i * size, (i + 1) * size, 1, args.at));
    return out;
  }

  static Tensors vjp(const VjpArgs& args) {
    Tensors parts;
    for (size_t i = 0; i < args.outputs.size(); ++i) {
      const Tensor part = args.outputs[i];
      parts.push_back(args.cotangents[i] ? args.cotangents[i]
                                         : broadcast(constant_like(part, 0, args.at), part.shape(), args.at));
    }
    return {concat(parts, static_cast<int>(args.attrs.integer("axis")), args.at)};
  }

  static Samples samples() {
    const auto along = [](int64_t axis, int64_t parts) { return Attrs{{"axis", axis}, {"parts", parts}}; };
    return {
        {"rows", {{{DType::f32, {6, 4}}}}, along(0, 3)},         {"columns", {{{DType::f32, {3, 4}}}}, along(1, 2)},
        {"middle", {{{DType::f32, {2, 6, 3}}}}, along(1, 3)},    {"one part", {{{DType::f32, {2, 3}}}}, along(1, 1)},
        {"integers", {{{DType::i32, {6}}, -9, 9}}, along(0, 6)}, {"of nothing", {{{DType::f32, {0, 4}}}}, along(0, 2)},
        {"empty", {{{DType::f32, {0, 4}}}}, along(1, 2)}};
  }
  static Misuses misuse() {
    return {
        {{{DType::f32, {3, 5}}},
         {{"axis", int64_t{1}}, {"parts", int64_t{2}}},
         "split: axis 1 of f32[3,5] cannot be parted into 2 equal parts"},
        {{{DType::f32, {3}}}, {{"axis", int64_t{0}}, {"parts", int64_t{0}}}, "cannot be parted into 0 equal parts"}};
  }
};

// Equal parts along `axis`, counted from the back when negative.
inline Tensors split(Tensor x, int axis, int64_t parts, Site at = Site::here()) {
  const int64_t normal = normal_axis(axis, x.rank(), Split::name, at);
  return apply(op_def<Split>(), std::span(&x, 1), {{"axis", normal}, {"parts", parts}}, at);
}

}  // namespace descent
