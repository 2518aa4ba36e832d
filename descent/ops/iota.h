#pragma once

#include "descent/ops/index_walk.h"

namespace descent {

struct Iota {
  static constexpr auto name = "iota";
  static constexpr auto summary = "the index along an axis, 0, 1, 2 ..., of each element: {shape, axis, dtype}";
  static constexpr OpClass op_class = OpClass::leaf;
  static constexpr int arity = 0;
  static constexpr auto no_gradient = "it has no inputs";

  static std::vector<Type> infer(const InferArgs& args) {
    const Type out{args.attrs.dtype("dtype"), args.attrs.shape("shape")};
    normal_axis(static_cast<int>(args.attrs.integer("axis")), out.shape.rank(), name);
    return {out};
  }

  static void evaluate(const EvalArgs& args) {
    const auto axis = static_cast<size_t>(args.attrs.integer("axis"));
    for_each_index(args.outputs[0].type.shape, [&](std::span<const int64_t> index, int64_t flat) {
      args.outputs[0].values[flat] = static_cast<double>(index[axis]);
    });
  }

  static Samples samples() {
    const auto over = [](std::vector<int64_t> shape, int64_t axis, DType dtype) {
      return Attrs{{"shape", std::move(shape)}, {"axis", axis}, {"dtype", dtype}};
    };
    return {{"rows", {}, over({3, 5}, 0, DType::i32)},
            {"columns", {}, over({3, 5}, 1, DType::f32)},
            {"middle", {}, over({2, 3, 4}, 1, DType::i32)},
            {"empty", {}, over({0, 4}, 1, DType::i32)}};
  }
  static Misuses misuse() {
    return {{{},
             {{"shape", std::vector<int64_t>{3}}, {"axis", int64_t{1}}, {"dtype", DType::i32}},
             "iota: axis 1 does not exist; the input has 1 axis"}};
  }
};

inline Tensor iota(Graph& graph, const Shape& shape, int axis, DType dtype = DType::i32, Site at = Site::here()) {
  const int64_t normal = normal_axis(axis, shape.rank(), Iota::name, at);
  return {graph,
          {graph.add(op_def<Iota>(), {}, {{"shape", shape.to_vector()}, {"axis", normal}, {"dtype", dtype}}, at), 0}};
}

}  // namespace descent
