#pragma once

#include "descent/ops/index_walk.h"
#include "descent/ops/reshape.h"

namespace descent {

// Slicing and padding are each other's gradient; pad.h, included below, defines this.
Tensor pad(Tensor x, std::vector<int64_t> low, std::vector<int64_t> high, double value, Site at);

struct Slice {
  static constexpr auto name = "slice";
  static constexpr auto summary =
      "on each axis the elements begin, begin + step ... before end: {begin, end, step}, step > 0";
  static constexpr OpClass op_class = OpClass::view;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type& in = args.inputs[0];
    const auto &begin = args.attrs.integers("begin"), &end = args.attrs.integers("end"),
               &step = args.attrs.integers("step");
    const auto rank = static_cast<size_t>(in.shape.rank());
    if (begin.size() != rank || end.size() != rank || step.size() != rank)
      fail(text(name, ": needs a begin, an end and a step for each of the ", rank, " axes of ", in, ", got ",
                begin.size(), ", ", end.size(), " and ", step.size()));
    Shape out;
    for (int axis = 0; axis < in.shape.rank(); ++axis) {
      const int64_t from = begin[axis], to = end[axis], size = in.shape[axis];
      if (from < 0 || to < from || to > size)
        fail(text(name, ": ", from, " to ", to, " is not a part of axis ", axis, " of ", in, ", whose size is ", size));
      if (step[axis] < 1) fail(text(name, ": the step on axis ", axis, " is ", step[axis], "; it must be at least 1"));
      out.push_back((to - from + step[axis] - 1) / step[axis]);
    }
    return {{in.dtype, out}};
  }

  static void evaluate(const EvalArgs& args) {
    const auto &begin = args.attrs.integers("begin"), &step = args.attrs.integers("step");
    const std::vector<int64_t> strides = dense_strides(args.inputs[0].type.shape);
    for_each_index(args.outputs[0].type.shape, [&](std::span<const int64_t> index, int64_t flat) {
      int64_t from = 0;
      for (size_t i = 0; i < begin.size(); ++i) from += (begin[i] + index[i] * step[i]) * strides[i];
      args.outputs[0].values[flat] = args.inputs[0].values[from];
    });
  }

  // `x` with step - 1 zeros behind each element of the axis.
  static Tensor spaced(Tensor x, int axis, int64_t step, Site at) {
    if (step == 1) return x;
    const Shape shape = x.shape();
    int64_t inner = 1;
    for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
    int64_t outer = 1;
    for (int i = 0; i <= axis; ++i) outer *= shape[i];
    const Tensor gaps = pad(reshape(x, Shape{outer, inner}, at), {0, 0}, {0, (step - 1) * inner}, 0, at);
    return reshape(gaps, shape.with(axis, shape[axis] * step), at);
  }

  // Each element of the cotangent goes back to where it was read, among zeros.
  static Tensors vjp(const VjpArgs& args) {
    const std::vector<int64_t>&begin = args.attrs.integers("begin"), &step = args.attrs.integers("step");
    const Shape& shape = args.inputs[0].shape();
    Tensor g = args.cotangents[0];
    for (int axis = 0; axis < shape.rank(); ++axis) g = spaced(g, axis, step[axis], args.at);
    std::vector<int64_t> kept, high;  // the gaps behind the last element may reach beyond the end
    for (int axis = 0; axis < shape.rank(); ++axis) {
      kept.push_back(std::min(g.shape()[axis], shape[axis] - begin[axis]));
      high.push_back(shape[axis] - begin[axis] - kept.back());
    }
    if (Shape(kept) != g.shape()) {
      const auto rank = static_cast<size_t>(shape.rank());
      const std::vector<int64_t> zeros(rank, 0), ones(rank, 1);
      g = apply<Slice>({g}, {{"begin", zeros}, {"end", kept}, {"step", ones}}, args.at);
    }
    return {pad(g, begin, high, 0, args.at)};
  }

  static Samples samples() {
    using Ints = std::vector<int64_t>;
    const auto part = [](Ints begin, Ints end, Ints step) {
      return Attrs{{"begin", std::move(begin)}, {"end", std::move(end)}, {"step", std::move(step)}};
    };
    return {{"rows", {{{DType::f32, {5, 4}}}}, part({1, 0}, {4, 4}, {1, 1})},
            {"columns", {{{DType::f32, {5, 4}}}}, part({0, 1}, {5, 3}, {1, 1})},
            {"steps", {{{DType::f32, {7, 8}}}}, part({1, 0}, {6, 8}, {2, 3})},
            {"steps to the edge", {{{DType::f32, {2, 7, 3}}}}, part({0, 3, 0}, {2, 7, 3}, {1, 2, 2})},
            {"one element", {{{DType::f32, {3, 4}}}}, part({2, 1}, {3, 2}, {1, 1})},
            {"integers", {{{DType::i32, {9}}, -9, 9}}, part({1}, {8}, {3})},
            {"nothing", {{{DType::f32, {3, 4}}}}, part({1, 0}, {1, 4}, {1, 1})}};
  }
  static Misuses misuse() {
    using Ints = std::vector<int64_t>;
    const Type x{DType::f32, {3, 4}};
    return {{{x},
             {{"begin", Ints{0, 2}}, {"end", Ints{3, 5}}, {"step", Ints{1, 1}}},
             "slice: 2 to 5 is not a part of axis 1 of f32[3,4], whose size is 4"},
            {{x}, {{"begin", Ints{0, 0}}, {"end", Ints{3, 4}}, {"step", Ints{0, 1}}}, "slice: the step on axis 0 is 0"},
            {{x},
             {{"begin", Ints{0}}, {"end", Ints{3}}, {"step", Ints{1}}},
             "for each of the 2 axes of f32[3,4], got 1, 1 and 1"}};
  }
};

// One begin and end for each axis, 0 <= begin <= end <= size; steps of 1 unless given.
inline Tensor slice(Tensor x, std::vector<int64_t> begin, std::vector<int64_t> end, std::vector<int64_t> step = {},
                    Site at = Site::here()) {
  if (step.empty()) step.assign(begin.size(), 1);
  return apply<Slice>({x}, {{"begin", std::move(begin)}, {"end", std::move(end)}, {"step", std::move(step)}}, at);
}

// begin to end of one axis (counted from the back when negative), all of the others.
inline Tensor slice_axis(Tensor x, int axis, int64_t begin, int64_t end, int64_t step = 1, Site at = Site::here()) {
  const int normal = normal_axis(axis, x.rank(), Slice::name, at);
  std::vector<int64_t> begins(static_cast<size_t>(x.rank()), 0), ends = x.shape().to_vector(), steps(begins.size(), 1);
  begins[normal] = begin;
  ends[normal] = end;
  steps[normal] = step;
  return slice(x, std::move(begins), std::move(ends), std::move(steps), at);
}

}  // namespace descent

#include "descent/ops/pad.h"
