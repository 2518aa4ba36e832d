#pragma once

#include <cmath>

#include "descent/ops/concat.h"
#include "descent/ops/cos.h"
#include "descent/ops/exp.h"
#include "descent/ops/iota.h"
#include "descent/ops/mul.h"
#include "descent/ops/sin.h"

namespace descent {

// How far feature `i` of `half` has turned at a position, in radians: slower from feature to feature, by `base` in all.
inline double rotation_angle(double position, int64_t i, int64_t half, double base) {
  return position * std::pow(base, -static_cast<double>(i) / static_cast<double>(half));
}

// The same of all features, f32 [.., half], of positions i32 [..].
inline Tensor rotation_angles(Tensor positions, int64_t half, double base, Site at) {
  Shape shape = positions.shape();
  shape.push_back(1);
  const Tensor places = reshape(cast(positions, DType::f32, at), shape, at);
  const Tensor features = iota(positions.graph(), Shape{half}, 0, DType::f32, at);
  const Tensor speeds = exp(mul({features, at}, {-std::log(base) / static_cast<double>(half), at}), at);
  return mul({places, at}, {speeds, at});
}

// What sinusoids() and rotary() ask of their positions and base.
inline void check_rotation(const Type& positions, int64_t features, double base, std::string_view name) {
  if (positions.dtype != DType::i32) fail(text(name, ": the positions must be i32, got ", positions));
  if (features < 2 || features % 2 != 0)
    fail(text(name, ": the number of features must be even and at least 2, got ", features));
  if (!(base > 1)) fail(text(name, ": the base must be above 1, got ", base));
}

// Vaswani et al., "Attention is all you need", 2017. There sines and cosines take turns; here the first half of the
// features are the sines and the second the cosines, which is the same to a layer that learns what to make of them.
struct Sinusoids {
  static constexpr auto name = "sinusoids";
  static constexpr auto summary =
      "sin, then cos, of i32 positions times base^(-i / (features / 2)), as positions.shape + [features]: {features, "
      "base}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;
  static constexpr auto no_gradient = "positions are integers";

  static std::vector<Type> infer(const InferArgs& args) {
    const int64_t features = args.attrs.integer("features");
    check_rotation(args.inputs[0], features, args.attrs.number("base"), name);
    Shape out = args.inputs[0].shape;
    out.push_back(features);
    return {{DType::f32, out}};
  }

  static void evaluate(const EvalArgs& args) {
    const int64_t half = args.attrs.integer("features") / 2;
    auto out = args.outputs[0].values.begin();
    for (const double position : args.inputs[0].values) {
      for (int64_t i = 0; i < half; ++i)
        *out++ = std::sin(rotation_angle(position, i, half, args.attrs.number("base")));
      for (int64_t i = 0; i < half; ++i)
        *out++ = std::cos(rotation_angle(position, i, half, args.attrs.number("base")));
    }
  }

  static Tensors expand(const ExpandArgs& args) {
    const Tensor angles =
        rotation_angles(args.inputs[0], args.attrs.integer("features") / 2, args.attrs.number("base"), args.at);
    return {concat({sin(angles, args.at), cos(angles, args.at)}, -1, args.at)};
  }

  static Samples samples() {
    const auto with = [](int64_t features) { return Attrs{{"features", features}, {"base", 1e4}}; };
    return {{"a row", {{{DType::i32, {20}}, 0, 50}}, with(8)},
            {"matrix", {{{DType::i32, {2, 3}}, 0, 50}}, with(6)},
            {"backwards", {{{DType::i32, {5}}, -20, 0}}, with(4)},
            {"one position", {{{DType::i32, {}}, 0, 50}}, with(2)},
            {"empty", {{{DType::i32, {0}}}}, with(4)}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {3}}},
             {{"features", int64_t{4}}, {"base", 1e4}},
             "sinusoids: the positions must be i32, got f32[3]"},
            {{{DType::i32, {3}}},
             {{"features", int64_t{5}}, {"base", 1e4}},
             "sinusoids: the number of features must be even and at least 2, got 5"},
            {{{DType::i32, {3}}}, {{"features", int64_t{4}}, {"base", 1.0}}, "the base must be above 1, got 1"}};
  }
};

// Positions i32 [..] give f32 [.., features].
inline Tensor sinusoids(Tensor positions, int64_t features, double base = 1e4, Site at = Site::here()) {
  return apply<Sinusoids>({positions}, {{"features", features}, {"base", base}}, at);
}

}  // namespace descent
