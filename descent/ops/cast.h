#pragma once

#include "descent/graph/op.h"

namespace descent {

struct Cast {
  static constexpr auto name = "cast";
  static constexpr auto summary =
      "x in another element type: {to}; to a smaller float it rounds to even, to an integer toward zero";
  static constexpr OpClass op_class = OpClass::elementwise;
  static constexpr int arity = 1;
  static constexpr auto scalar_op = ScalarOp::cast;
  static constexpr bool exact = true;

  static std::vector<Type> infer(const InferArgs& args) { return {{args.attrs.dtype("to"), args.inputs[0].shape}}; }
  static void evaluate(const EvalArgs& args) {
    args.outputs[0].values = args.inputs[0].values;
  }  // rounded by the interpreter

  static Tensors vjp(const VjpArgs& args) {
    const DType from = args.inputs[0].dtype();
    if (!is_floating(from) || !is_floating(args.outputs[0].dtype())) return {Tensor()};
    return {apply<Cast>({args.cotangents[0]}, {{"to", from}}, args.at)};
  }

  static Samples samples() {
    return {{"to f32", {{{DType::f32, {3, 5}}}}, {{"to", DType::f32}}},
            {"to bf16", {{{DType::f32, {40}}, -3, 3}}, {{"to", DType::bf16}}, false},
            {"to i32", {{{DType::f32, {40}}, -9, 9}}, {{"to", DType::i32}}, false},
            {"to bool", {{{DType::f32, {3}}, 0, 0, {0, -2, 0.5}}}, {{"to", DType::boolean}}, false},
            {"from i32", {{{DType::i32, {40}}, -9, 9}}, {{"to", DType::f32}}},
            {"from u32", {{{DType::u32, {3}}, 0, 0, {0, 4294967040.0, 2147483648.0}}}, {{"to", DType::f32}}},
            {"from u8", {{{DType::u8, {40}}, 0, 255}}, {{"to", DType::f32}}},
            {"from bool", {{{DType::boolean, {4}}, 0, 2}}, {{"to", DType::f32}}}};
  }
};

// `x` itself if it has that dtype already.
inline Tensor cast(Tensor x, DType to, Site at = Site::here()) {
  return x.dtype() == to ? x : apply<Cast>({x}, {{"to", to}}, at);
}

}  // namespace descent
