#pragma once

#include "descent/ops/add.h"
#include "descent/ops/neg.h"
#include "descent/ops/sinusoids.h"
#include "descent/ops/sub.h"

namespace descent {

// Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021: the product of two vectors that
// were turned so depends on how far apart their positions are. A feature's partner is the one half of the features
// behind it (as in GPT-NeoX), so that halves are read in one piece.
struct Rotary {
  static constexpr auto name = "rotary";
  static constexpr auto summary =
      "x[.., T, features], features i and i + features / 2 of row t turned by positions[t] * base^(-i / (features / "
      "2)): "
      "{base}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type &x = args.inputs[0], &positions = args.inputs[1];
    if (!is_floating(x.dtype) || x.shape.rank() < 2)
      fail(text(name, ": needs a floating-point input of rows and features, got ", x));
    check_rotation(positions, x.shape.back(), args.attrs.number("base"), name);
    if (positions.shape != Shape{x.shape[x.shape.rank() - 2]})
      fail(text(name, ": the positions of ", x, " must be i32[", x.shape[x.shape.rank() - 2], "], got ", positions));
    return {x};
  }

  static void evaluate(const EvalArgs& args) {
    const Shape& shape = args.inputs[0].type.shape;
    const int64_t features = shape.back(), half = features / 2, rows = shape[shape.rank() - 2];
    const std::vector<double>&x = args.inputs[0].values, &positions = args.inputs[1].values;
    for (int64_t row = 0; row * features < std::ssize(x); ++row)
      for (int64_t i = 0; i < half; ++i) {
        const double angle = rotation_angle(positions[row % rows], i, half, args.attrs.number("base"));
        const int64_t a = row * features + i, b = a + half;
        args.outputs[0].values[a] = x[a] * std::cos(angle) - x[b] * std::sin(angle);
        args.outputs[0].values[b] = x[b] * std::cos(angle) + x[a] * std::sin(angle);
      }
  }

  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0];
    const int64_t features = x.shape().back(), half = features / 2;
    const Tensor angles = rotation_angles(args.inputs[1], half, args.attrs.number("base"), args.at);
    const Tensor c = cast(cos(angles, args.at), x.dtype(), args.at), s = cast(sin(angles, args.at), x.dtype(), args.at);
    const Tensor a = slice_axis(x, -1, 0, half, 1, args.at), b = slice_axis(x, -1, half, features, 1, args.at);
    return {concat({a * c - b * s, b * c + a * s}, -1, args.at)};
  }

  // The transpose of a turn is the turn back.
  static Tensors vjp(const VjpArgs& args) {
    return {apply<Rotary>({args.cotangents[0], neg(args.inputs[1], args.at)}, args.attrs, args.at), Tensor()};
  }

  static Samples samples() {
    const Attrs attrs{{"base", 1e4}};
    return {{"rows", {{{DType::f32, {5, 6}}}, {{DType::i32, {5}}, 0, 50}}, attrs},
            {"heads", {{{DType::f32, {2, 3, 7, 8}}}, {{DType::i32, {7}}, 0, 50}}, attrs},
            {"one row", {{{DType::f32, {2, 1, 4}}}, {{DType::i32, {1}}, 30, 31}}, attrs},
            {"one pair", {{{DType::f32, {4, 2}}}, {{DType::i32, {4}}, -9, 9}}, attrs},
            {"empty", {{{DType::f32, {0, 3, 4}}}, {{DType::i32, {3}}, 0, 50}}, attrs}};
  }
  static Misuses misuse() {
    const Attrs attrs{{"base", 1e4}};
    return {{{{DType::f32, {5, 7}}, {DType::i32, {5}}}, attrs, "must be even and at least 2, got 7"},
            {{{DType::f32, {5, 6}}, {DType::i32, {6}}},
             attrs,
             "rotary: the positions of f32[5,6] must be i32[5], got i32[6]"},
            {{{DType::i32, {5, 6}}, {DType::i32, {5}}}, attrs, "rows and features, got i32[5,6]"}};
  }
};

// x[.., T, features] with positions i32[T].
inline Tensor rotary(Tensor x, Tensor positions, double base = 1e4, Site at = Site::here()) {
  return apply<Rotary>({x, positions}, {{"base", base}}, at);
}

}  // namespace descent
