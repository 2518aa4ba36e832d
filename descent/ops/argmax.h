#pragma once

#include <cmath>

#include "descent/ops/index_walk.h"
#include "descent/ops/reshape.h"

namespace descent {

struct Argmax {
  static constexpr auto name = "argmax";
  static constexpr auto summary =
      "the index of the largest element along an axis, which disappears, the first where several are: "
      "{axis}; a NaN counts as larger than any number";
  static constexpr OpClass op_class = OpClass::reduce;
  static constexpr int arity = 1;
  static constexpr bool exact = true;
  static constexpr auto no_gradient = "an index has no derivative";

  static std::vector<Type> infer(const InferArgs& args) {
    const Type& in = args.inputs[0];
    const int axis = normal_axis(static_cast<int>(args.attrs.integer("axis")), in.shape.rank(), name);
    if (in.shape[axis] == 0)
      fail(text(name, ": there is no largest element along axis ", axis, " of ", in, ", which is empty"));
    return {{DType::i32, in.shape.without(axis)}};
  }

  static void evaluate(const EvalArgs& args) {
    const Dense& in = args.inputs[0];
    const auto axis = static_cast<int>(args.attrs.integer("axis"));
    const int64_t size = in.type.shape[axis], inner = dense_strides(in.type.shape)[axis];
    for (int64_t to = 0; to < std::ssize(args.outputs[0].values); ++to) {
      const int64_t base = to / inner * inner * size + to % inner;
      int64_t best = 0;
      for (int64_t i = 1; i < size; ++i) {
        const double largest = in.values[base + best * inner], value = in.values[base + i * inner];
        if (value > largest || (std::isnan(value) && !std::isnan(largest))) best = i;
      }
      args.outputs[0].values[to] = static_cast<double>(best);
    }
  }

  static Samples samples() {
    const auto along = [](int64_t axis) { return Attrs{{"axis", axis}}; };
    return {
        {"rows", {{{DType::f32, {4, 37}}}}, along(1)},
        {"columns", {{{DType::f32, {9, 4}}}}, along(0)},
        {"middle", {{{DType::f32, {2, 7, 3}}}}, along(1)},
        {"vector", {{{DType::f32, {300}}}}, along(0)},
        {"size 1", {{{DType::f32, {3, 1}}}}, along(1)},
        {"integers", {{{DType::i32, {4, 9}}, -9, 9}}, along(1)},
        {"ties", {{{DType::f32, {2, 4}}, 0, 0, {1, 3, 3, 2, -5, -5, -5, -5}}}, along(1)},
        {"edge",
         {{{DType::f32, {4, 3}}, 0, 0, {1, NAN, NAN, -HUGE_VAL, -HUGE_VAL, -HUGE_VAL, NAN, HUGE_VAL, 2, 0, -0.0, 0}}},
         along(1)},
        {"empty", {{{DType::f32, {0, 4}}}}, along(1)}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2}}}, {{"axis", int64_t{1}}}, "argmax: axis 1 does not exist; the input has 1 axis"},
            {{{DType::f32, {3, 0}}},
             {{"axis", int64_t{1}}},
             "argmax: there is no largest element along axis 1 of f32[3,0]"}};
  }
};

// Along one axis, counted from the back when negative; the result is i32. With keep_axis it stays, with size 1.
inline Tensor argmax(Tensor x, int axis = -1, bool keep_axis = false, Site at = Site::here()) {
  const int normal = normal_axis(axis, x.rank(), Argmax::name, at);
  const Tensor index = apply<Argmax>({x}, {{"axis", int64_t{normal}}}, at);
  return keep_axis ? reshape(index, x.shape().with(normal, 1), at) : index;
}

}  // namespace descent
