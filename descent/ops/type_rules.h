// Type rules that several ops share, beside infer_same.
#pragma once

#include "descent/graph/op.h"

namespace descent {

// Every input has the first one's type, floating point, which is the output's.
inline std::vector<Type> infer_floating(const InferArgs& args, std::string_view name) {
  if (!is_floating(args.inputs[0].dtype))
    fail(text(name, ": needs floating-point inputs, got ", args.inputs[0], "; cast it first"));
  return infer_same(args, name);
}

// Every input has the first one's type, one with negative numbers, which is the output's.
inline std::vector<Type> infer_signed(const InferArgs& args, std::string_view name) {
  const DType dtype = args.inputs[0].dtype;
  if (!is_floating(dtype) && dtype != DType::i32)
    fail(text(name, ": ", dtype, " has no negative numbers, got ", args.inputs[0], "; cast it first"));
  return infer_same(args, name);
}

// Two inputs of one type give booleans.
inline std::vector<Type> infer_compared(const InferArgs& args, std::string_view name) {
  return {{DType::boolean, infer_same(args, name)[0].shape}};
}

// An elementwise core op that has a meaning for floating-point numbers only.
template <class Self, int inputs>
struct ElementwiseFloating : Elementwise<Self, inputs> {
  static std::vector<Type> infer(const InferArgs& args) { return infer_floating(args, Self::name); }
};

}  // namespace descent
