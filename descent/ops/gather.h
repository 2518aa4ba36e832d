#pragma once

#include <algorithm>

#include "descent/ops/index_walk.h"

namespace descent {

// Gathering and scattering are each other's gradient; scatter_add.h, included below, defines this.
Tensor scatter_add(Tensor indices, Tensor updates, int64_t rows, Site at);

// Row `index` of `rows`, an index outside being clamped to the first or the last: bad indices cannot reach other
// memory.
inline int64_t clamped_row(double index, int64_t rows) {
  return static_cast<int64_t>(std::clamp(index, 0.0, static_cast<double>(rows - 1)));
}

struct Gather {
  static constexpr auto name = "gather";
  static constexpr auto summary =
      "rows of a table[v, ...] by i32 indices, as indices.shape + [...]; indices outside are clamped";
  static constexpr OpClass op_class = OpClass::index;
  static constexpr int arity = 2;
  static constexpr bool exact = true;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type &table = args.inputs[0], &indices = args.inputs[1];
    if (indices.dtype != DType::i32) fail(text(name, ": the indices must be i32, got ", indices));
    if (table.shape.rank() == 0 || table.shape[0] == 0)
      fail(text(name, ": needs a table with at least one row, got ", table));
    Shape out = indices.shape;
    for (int axis = 1; axis < table.shape.rank(); ++axis) out.push_back(table.shape[axis]);
    return {{table.dtype, out}};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<double>& table = args.inputs[0].values;
    const int64_t rows = args.inputs[0].type.shape[0], width = std::ssize(table) / rows;
    auto out = args.outputs[0].values.begin();
    for (const double index : args.inputs[1].values)
      out = std::copy_n(table.begin() + clamped_row(index, rows) * width, width, out);
  }

  static Tensors vjp(const VjpArgs& args) {
    return {scatter_add(args.inputs[1], args.cotangents[0], args.inputs[0].shape()[0], args.at), Tensor()};
  }

  static Samples samples() {
    return {{"rows", {{{DType::f32, {5, 3}}}, {{DType::i32, {7}}, 0, 5}}, {}},
            {"matrix of indices", {{{DType::f32, {6, 2, 3}}}, {{DType::i32, {2, 4}}, 0, 6}}, {}},
            {"one index", {{{DType::f32, {5, 3}}}, {{DType::i32, {}}, 0, 5}}, {}},
            {"scalars", {{{DType::f32, {5}}}, {{DType::i32, {3, 2}}, 0, 5}}, {}},
            {"integers", {{{DType::i32, {5}}, -9, 9}, {{DType::i32, {6}}, 0, 5}}, {}},
            {"outside", {{{DType::f32, {3, 2}}}, {{DType::i32, {4}}, 0, 0, {-1, 3, 2147483647, -2147483648.0}}}, {}},
            {"no indices", {{{DType::f32, {5, 3}}}, {{DType::i32, {0}}, 0, 5}}, {}},
            {"empty rows", {{{DType::f32, {5, 0}}}, {{DType::i32, {2}}, 0, 5}}, {}}};
  }
  static Misuses misuse() {
    return {
        {{{DType::f32, {5, 3}}, {DType::f32, {7}}}, {}, "gather: the indices must be i32, got f32[7]"},
        {{{DType::f32, {0, 3}}, {DType::i32, {7}}}, {}, "gather: needs a table with at least one row, got f32[0,3]"}};
  }
};

inline Tensor gather(Tensor table, Tensor indices, Site at = Site::here()) {
  return apply<Gather>({table, indices}, {}, at);
}

}  // namespace descent

#include "descent/ops/scatter_add.h"
