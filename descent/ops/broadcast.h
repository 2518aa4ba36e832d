#pragma once

#include "descent/ops/index_walk.h"

namespace descent {

// Broadcasting and summing are each other's gradient; sum.h, included below, defines this.
Tensor sum_to(Tensor x, const Shape& shape, Site at);

// NumPy's rule: shapes are aligned at their last axis; a size of 1 (or a missing axis) repeats.
struct Broadcast {
  static constexpr auto name = "broadcast";
  static constexpr auto summary = "x repeated along its axes of size 1 and along new leading axes: {shape}";
  static constexpr OpClass op_class = OpClass::view;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    const Shape to = args.attrs.shape("shape");
    if (broadcast_shapes(args.inputs[0].shape, to, name) != to)
      fail(text(name, ": ", args.inputs[0], " does not broadcast to ", to));
    return {{args.inputs[0].dtype, to}};
  }

  static void evaluate(const EvalArgs& args) {
    const Dense& in = args.inputs[0];
    const Shape& shape = args.outputs[0].type.shape;
    for_each_index(shape,
                   [&, lead = shape.rank() - in.type.shape.rank()](std::span<const int64_t> index, int64_t flat) {
                     int64_t from = 0;
                     for (int axis = 0; axis < in.type.shape.rank(); ++axis) {
                       const int64_t size = in.type.shape[axis];
                       from = from * size + (size == 1 ? 0 : index[axis + lead]);
                     }
                     args.outputs[0].values[flat] = in.values[from];
                   });
  }

  static Tensors vjp(const VjpArgs& args) { return {sum_to(args.cotangents[0], args.inputs[0].shape(), args.at)}; }

  static Samples samples() {
    return {{"row", {{{DType::f32, {4}}}}, {{"shape", std::vector<int64_t>{3, 4}}}},
            {"column", {{{DType::f32, {3, 1}}}}, {{"shape", std::vector<int64_t>{2, 3, 4}}}},
            {"scalar", {{{DType::f32, {}}}}, {{"shape", std::vector<int64_t>{2, 2}}}},
            {"integers", {{{DType::i32, {3, 1}}, -9, 9}}, {{"shape", std::vector<int64_t>{3, 4}}}},
            {"empty", {{{DType::f32, {1}}}}, {{"shape", std::vector<int64_t>{0}}}}};
  }
  static Misuses misuse() {
    return {
        {{{DType::f32, {3}}}, {{"shape", std::vector<int64_t>{4}}}, "broadcast: shapes [3] and [4] do not broadcast"}};
  }
};

// `x` itself if it has that shape already.
inline Tensor broadcast(Tensor x, const Shape& shape, Site at = Site::here()) {
  return x.shape() == shape ? x : apply<Broadcast>({x}, {{"shape", shape.to_vector()}}, at);
}

}  // namespace descent

#include "descent/ops/sum.h"
