#pragma once

#include "descent/graph/op.h"

namespace descent {

struct Reshape {
  static constexpr auto name = "reshape";
  static constexpr auto summary = "the same elements in row-major order, in another shape: {shape}";
  static constexpr OpClass op_class = OpClass::view;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    const Shape to = args.attrs.shape("shape");
    if (to.elements() != args.inputs[0].shape.elements())
      fail(text(name, ": ", args.inputs[0], " has ", args.inputs[0].shape.elements(), " elements, ", to, " has ",
                to.elements()));
    return {{args.inputs[0].dtype, to}};
  }
  static void evaluate(const EvalArgs& args) { args.outputs[0].values = args.inputs[0].values; }

  static Tensors vjp(const VjpArgs& args) {
    return {apply<Reshape>({args.cotangents[0]}, {{"shape", args.inputs[0].shape().to_vector()}}, args.at)};
  }

  static Samples samples() {
    return {{"split", {{{DType::f32, {6, 4}}}}, {{"shape", std::vector<int64_t>{2, 3, 4}}}},
            {"empty", {{{DType::f32, {0, 4}}}}, {{"shape", std::vector<int64_t>{2, 0}}}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2, 3}}}, {{"shape", std::vector<int64_t>{7}}}, "f32[2,3] has 6 elements, [7] has 7"}};
  }
};

// At most one size may be -1: it is what remains. `x` itself if it has that shape already.
inline Tensor reshape(Tensor x, std::vector<int64_t> sizes, Site at = Site::here()) {
  int64_t known = 1, *open = nullptr;
  for (int64_t& size : sizes) {
    if (size != -1)
      known *= size;
    else if (open != nullptr)
      fail(at, "reshape: only one size may be -1");
    else
      open = &size;
  }
  if (open != nullptr) *open = known == 0 ? 0 : x.shape().elements() / known;
  return x.shape() == Shape(sizes) ? x : apply<Reshape>({x}, {{"shape", sizes}}, at);
}
// A template, so that braces mean the overload above.
template <std::same_as<Shape> S>
Tensor reshape(Tensor x, const S& shape, Site at = Site::here()) {
  return reshape(x, shape.to_vector(), at);
}

}  // namespace descent
