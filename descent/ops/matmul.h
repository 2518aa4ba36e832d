#pragma once

#include "descent/ops/broadcast.h"
#include "descent/ops/cast.h"
#include "descent/ops/permute.h"

namespace descent {

struct Matmul {
  static constexpr auto name = "matmul";
  static constexpr auto summary = "a[..., m, k] times b[..., k, n], leading axes equal: {to: dtype of the result}";
  static constexpr OpClass op_class = OpClass::contraction;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type &a = args.inputs[0], &b = args.inputs[1];
    const auto both = [&] { return text("lhs ", a, ", rhs ", b); };
    if (a.dtype != b.dtype || !is_floating(a.dtype))
      fail(text(name, ": needs two inputs of one floating type: ", both()));
    const int rank = a.shape.rank();
    if (rank < 2 || rank != b.shape.rank()) fail(text(name, ": needs two inputs of equal rank, at least 2: ", both()));
    for (int axis = 0; axis < rank - 2; ++axis)
      if (a.shape[axis] != b.shape[axis]) fail(text(name, ": leading sizes differ on axis ", axis, ": ", both()));
    if (a.shape[rank - 1] != b.shape[rank - 2])
      fail(text(name, ": inner sizes differ: lhs ", a, " axis ", rank - 1, " is ", a.shape[rank - 1], ", rhs ", b,
                " axis ", rank - 2, " is ", b.shape[rank - 2]));
    return {{args.attrs.has("to") ? args.attrs.dtype("to") : a.dtype, a.shape.with(rank - 1, b.shape[rank - 1])}};
  }

  static void evaluate(const EvalArgs& args) {
    const Shape &a = args.inputs[0].type.shape, &b = args.inputs[1].type.shape;
    const int64_t rows = a[a.rank() - 2], inner = a.back(), columns = b.back();
    const int64_t batch = rows * inner == 0 ? 0 : a.elements() / (rows * inner);
    for (int64_t i = 0; i < batch; ++i) {
      const double* lhs = args.inputs[0].values.data() + i * rows * inner;
      const double* rhs = args.inputs[1].values.data() + i * inner * columns;
      double* out = args.outputs[0].values.data() + i * rows * columns;
      for (int64_t m = 0; m < rows; ++m)
        for (int64_t k = 0; k < inner; ++k)
          for (int64_t n = 0; n < columns; ++n) out[m * columns + n] += lhs[m * inner + k] * rhs[k * columns + n];
    }
  }

  static int64_t multiply_adds(std::span<const Type> inputs, const Attrs&) {
    return inputs[0].shape.elements() * inputs[1].shape.back();
  }

  // d(a b) = da b + a db, so a gets g b^T and b gets a^T g, accumulated in the dtype of the input.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor a = args.inputs[0], b = args.inputs[1];
    Tensor g = args.cotangents[0];
    if (g.dtype() != a.dtype()) g = cast(g, a.dtype(), args.at);
    return {apply<Matmul>({g, transpose(b, args.at)}, {}, args.at),
            apply<Matmul>({transpose(a, args.at), g}, {}, args.at)};
  }

  static Samples samples() {
    return {{"small", {{{DType::f32, {3, 4}}}, {{DType::f32, {4, 5}}}}, {}},
            {"wide", {{{DType::f32, {37, 65}}}, {{DType::f32, {65, 50}}}}, {}},
            {"batched", {{{DType::f32, {2, 3, 4, 5}}}, {{DType::f32, {2, 3, 5, 6}}}}, {}},
            {"one row", {{{DType::f32, {1, 70}}}, {{DType::f32, {70, 3}}}}, {}},
            {"inner 1", {{{DType::f32, {5, 1}}}, {{DType::f32, {1, 6}}}}, {}},
            {"bf16 to f32", {{{DType::bf16, {9, 20}}}, {{DType::bf16, {20, 7}}}}, {{"to", DType::f32}}},
            {"of nothing", {{{DType::f32, {3, 0}}}, {{DType::f32, {0, 5}}}}, {}},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {4, 5}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2, 3}}, {DType::f32, {4, 5}}},
             {},
             "matmul: inner sizes differ: lhs f32[2,3] axis 1 is 3, rhs f32[4,5] axis 0 is 4"},
            {{{DType::f32, {2, 3}}, {DType::bf16, {3, 4}}},
             {},
             "matmul: needs two inputs of one floating type: lhs f32[2,3], rhs bf16[3,4]"},
            {{{DType::f32, {3}}, {DType::f32, {3}}},
             {},
             "matmul: needs two inputs of equal rank, at least 2: lhs f32[3], rhs f32[3]"},
            {{{DType::f32, {2, 3, 4}}, {DType::f32, {5, 4, 6}}},
             {},
             "matmul: leading sizes differ on axis 0: lhs f32[2,3,4], rhs f32[5,4,6]"}};
  }
};

// The matrix product over the last two axes; leading axes broadcast by NumPy's rule. A vector is not a matrix: reshape.
inline Tensor matmul(Tensor a, Tensor b, Site at = Site::here()) {
  if (a.rank() < 2 || b.rank() < 2) return apply<Matmul>({a, b}, {}, at);  // states the rule
  const Shape lead = broadcast_shapes(a.shape().first(a.rank() - 2), b.shape().first(b.rank() - 2), Matmul::name, at);
  const auto led = [&](Tensor x) {
    Shape shape = lead;
    shape.push_back(x.shape()[x.rank() - 2]);
    shape.push_back(x.shape().back());
    return broadcast(x, shape, at);
  };
  return apply<Matmul>({led(a), led(b)}, {}, at);
}

}  // namespace descent
