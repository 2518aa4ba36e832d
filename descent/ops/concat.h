#pragma once

#include "descent/ops/slice.h"

namespace descent {

struct Concat {
  static constexpr auto name = "concat";
  static constexpr auto summary = "the inputs one behind the other along an axis: {axis}";
  static constexpr OpClass op_class = OpClass::view;
  static constexpr int arity = -1;

  static std::vector<Type> infer(const InferArgs& args) {
    Type out = args.inputs[0];
    const int axis = normal_axis(static_cast<int>(args.attrs.integer("axis")), out.shape.rank(), name);
    for (size_t i = 1; i < args.inputs.size(); ++i) {
      const Type& in = args.inputs[i];
      const bool fits = in.dtype == out.dtype && in.shape.rank() == out.shape.rank() &&
                        in.shape.with(axis, 0) == out.shape.with(axis, 0);
      if (!fits)
        fail(text(name, ": input ", i, " is ", in, " but input 0 is ", args.inputs[0], "; only axis ", axis,
                  " may differ"));
      out.shape[axis] += in.shape[axis];
    }
    return {out};
  }

  // With the axes before and behind `axis` merged, input i gives each row of the output its next piece.
  static void evaluate(const EvalArgs& args) {
    const Shape& shape = args.outputs[0].type.shape;
    const auto axis = static_cast<int>(args.attrs.integer("axis"));
    const int64_t rows = shape.first(axis).elements();
    auto out = args.outputs[0].values.begin();
    for (int64_t row = 0; row < rows; ++row)
      for (const Dense& in : args.inputs) {
        const int64_t piece = std::ssize(in.values) / rows;
        out = std::copy_n(in.values.begin() + row * piece, piece, out);
      }
  }

  static Tensors vjp(const VjpArgs& args) {
    const auto axis = static_cast<int>(args.attrs.integer("axis"));
    Tensors out;
    int64_t begin = 0;
    for (const Tensor& input : args.inputs) {
      const int64_t end = begin + input.shape()[axis];
      out.push_back(slice_axis(args.cotangents[0], axis, begin, end, 1, args.at));
      begin = end;
    }
    return out;
  }

  static Samples samples() {
    const auto along = [](int64_t axis) { return Attrs{{"axis", axis}}; };
    return {{"rows", {{{DType::f32, {2, 4}}}, {{DType::f32, {3, 4}}}}, along(0)},
            {"columns", {{{DType::f32, {3, 2}}}, {{DType::f32, {3, 1}}}, {{DType::f32, {3, 4}}}}, along(1)},
            {"middle", {{{DType::f32, {2, 1, 3}}}, {{DType::f32, {2, 2, 3}}}}, along(1)},
            {"one input", {{{DType::f32, {2, 3}}}}, along(0)},
            {"integers", {{{DType::i32, {2}}, -9, 9}, {{DType::i32, {3}}, -9, 9}}, along(0)},
            {"with nothing", {{{DType::f32, {2, 3}}}, {{DType::f32, {0, 3}}}}, along(0)},
            {"empty", {{{DType::f32, {0, 3}}}, {{DType::f32, {0, 2}}}}, along(1)}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {3, 5}}, {DType::f32, {2, 4}}},
             {{"axis", int64_t{0}}},
             "concat: input 1 is f32[2,4] but input 0 is f32[3,5]; only axis 0 may differ"},
            {{{DType::f32, {}}, {DType::f32, {}}},
             {{"axis", int64_t{0}}},
             "concat: axis 0 does not exist; the input has 0 axes"}};
  }
};

// Along `axis`, counted from the back when negative. One tensor is itself.
inline Tensor concat(std::span<const Tensor> inputs, int axis, Site at = Site::here()) {
  if (inputs.empty() || !inputs[0]) fail(at, "concat: needs at least one tensor");
  if (inputs.size() == 1) return inputs[0];
  const int64_t normal = normal_axis(axis, inputs[0].rank(), Concat::name, at);
  return apply(op_def<Concat>(), inputs, {{"axis", normal}}, at)[0];
}
inline Tensor concat(std::initializer_list<Tensor> inputs, int axis, Site at = Site::here()) {
  return concat(std::span(inputs.begin(), inputs.size()), axis, at);
}

}  // namespace descent
