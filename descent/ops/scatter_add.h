#pragma once

#include "descent/ops/gather.h"

namespace descent {

struct ScatterAdd {
  static constexpr auto name = "scatter_add";
  static constexpr auto summary =
      "a table[rows, ...] of zeros with updates[i] added to row indices[i]: {rows}; indices outside are clamped";
  static constexpr OpClass op_class = OpClass::index;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type &indices = args.inputs[0], &updates = args.inputs[1];
    const int64_t rows = args.attrs.integer("rows");
    if (indices.dtype != DType::i32) fail(text(name, ": the indices must be i32, got ", indices));
    if (rows < 1) fail(text(name, ": needs at least one row to add to, got ", rows));
    const int lead = indices.shape.rank();
    if (updates.shape.rank() < lead || updates.shape.first(lead) != indices.shape)
      fail(text(name, ": the updates' shape must begin with the indices' shape, got ", updates, " for ", indices));
    Shape out{rows};
    for (int axis = lead; axis < updates.shape.rank(); ++axis) out.push_back(updates.shape[axis]);
    return {{updates.dtype, out}};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<double>&indices = args.inputs[0].values, &updates = args.inputs[1].values;
    const int64_t rows = args.attrs.integer("rows"), width = std::ssize(args.outputs[0].values) / rows;
    for (int64_t i = 0; i < std::ssize(indices); ++i) {
      double* row = args.outputs[0].values.data() + clamped_row(indices[i], rows) * width;
      for (int64_t j = 0; j < width; ++j) row[j] += updates[i * width + j];
    }
  }

  static Tensors vjp(const VjpArgs& args) { return {Tensor(), gather(args.cotangents[0], args.inputs[0], args.at)}; }

  static Samples samples() {
    const Attrs five{{"rows", int64_t{5}}};
    return {{"rows", {{{DType::i32, {7}}, 0, 5}, {{DType::f32, {7, 3}}}}, five},
            {"one row", {{{DType::i32, {40}}, 0, 1}, {{DType::f32, {40, 3}}}}, {{"rows", int64_t{1}}}},
            {"matrix of indices", {{{DType::i32, {2, 4}}, 0, 5}, {{DType::f32, {2, 4, 3}}}}, five},
            {"one index", {{{DType::i32, {}}, 0, 5}, {{DType::f32, {3}}}}, five},
            {"scalars", {{{DType::i32, {9}}, 0, 5}, {{DType::f32, {9}}}}, five},
            {"integers", {{{DType::i32, {9}}, 0, 5}, {{DType::i32, {9}}, -9, 9}}, five},
            {"outside", {{{DType::i32, {4}}, 0, 0, {-1, 5, 2147483647, 2}}, {{DType::f32, {4, 2}}}}, five},
            {"no indices", {{{DType::i32, {0}}, 0, 5}, {{DType::f32, {0, 3}}}}, five}};
  }
  static Misuses misuse() {
    const Type indices{DType::i32, {7}};
    return {{{{DType::f32, {7}}, {DType::f32, {7, 3}}},
             {{"rows", int64_t{5}}},
             "scatter_add: the indices must be i32, got f32[7]"},
            {{indices, {DType::f32, {6, 3}}},
             {{"rows", int64_t{5}}},
             "must begin with the indices' shape, got f32[6,3] for i32[7]"},
            {{indices, {DType::f32, {7, 3}}},
             {{"rows", int64_t{0}}},
             "scatter_add: needs at least one row to add to, got 0"}};
  }
};

// Rows that no index names stay 0; rows named twice get both updates.
inline Tensor scatter_add(Tensor indices, Tensor updates, int64_t rows, Site at = Site::here()) {
  return apply<ScatterAdd>({indices, updates}, {{"rows", rows}}, at);
}

}  // namespace descent
