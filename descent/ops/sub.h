#pragma once

#include "descent/ops/add.h"
#include "descent/ops/neg.h"

namespace descent {

struct Sub : ElementwiseComposite<Sub, 2> {
  static constexpr auto name = "sub";
  static constexpr auto summary = "a - b";

  static std::vector<Type> infer(const InferArgs& args) { return infer_signed(args, name); }
  static double scalar(double a, double b) { return a - b; }
  static Tensors expand(const ExpandArgs& args) {
    return {add({args.inputs[0], args.at}, neg(args.inputs[1], args.at))};
  }

  static Samples samples() {
    return {{"matrix", {{{DType::f32, {3, 5}}}, {{DType::f32, {3, 5}}}}, {}},
            {"integers", {{{DType::i32, {7}}, -9, 9}, {{DType::i32, {7}}, -9, 9}}, {}},
            {"edge",
             {{{DType::f32, {3}}, 0, 0, {HUGE_VAL, HUGE_VAL, NAN}}, {{DType::f32, {3}}, 0, 0, {1, HUGE_VAL, 1}}},
             {},
             false},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2}}, {DType::f32, {3}}}, {}, "sub: input 1 is f32[3] but input 0 is f32[2]"},
            {{{DType::u8, {2}}, {DType::u8, {2}}}, {}, "sub: u8 has no negative numbers, got u8[2]"}};
  }
};

inline Tensor sub(Operand a, Operand b) {
  const OperandPair pair(a, b, "sub");
  return apply<Sub>({pair.lhs, pair.rhs}, {}, pair.at);
}
inline Tensor operator-(Operand a, Operand b) { return sub(a, b); }

}  // namespace descent
