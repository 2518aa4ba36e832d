#pragma once

#include "descent/ops/cast.h"
#include "descent/ops/equal.h"
#include "descent/ops/iota.h"
#include "descent/ops/reshape.h"

namespace descent {

// A label outside 0 .. classes - 1 gives a row of zeros.
struct OneHot {
  static constexpr auto name = "one_hot";
  static constexpr auto summary = "a new last axis with 1 at the label and 0 elsewhere: {classes, dtype}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;
  static constexpr auto no_gradient = "labels are integers";

  static std::vector<Type> infer(const InferArgs& args) {
    const Type& labels = args.inputs[0];
    const int64_t classes = args.attrs.integer("classes");
    if (labels.dtype != DType::i32) fail(text(name, ": needs labels of type i32, got ", labels));
    if (classes < 1) fail(text(name, ": needs at least one class, got ", classes));
    if (labels.shape.rank() == Shape::max_rank) fail(text(name, ": ", labels, " has no room for another axis"));
    Type out{args.attrs.dtype("dtype"), labels.shape};
    out.shape.push_back(classes);
    return {out};
  }

  static void evaluate(const EvalArgs& args) {
    const int64_t classes = args.attrs.integer("classes");
    const std::vector<double>& labels = args.inputs[0].values;
    for (size_t i = 0; i < labels.size(); ++i)
      if (labels[i] >= 0 && labels[i] < static_cast<double>(classes))
        args.outputs[0].values[i * classes + static_cast<size_t>(labels[i])] = 1;
  }

  static Tensors expand(const ExpandArgs& args) {
    Shape shape = args.inputs[0].shape();
    shape.push_back(1);
    const Tensor labels = reshape(args.inputs[0], shape, args.at);
    shape[shape.rank() - 1] = args.attrs.integer("classes");
    const Tensor index = iota(args.inputs[0].graph(), shape, shape.rank() - 1, DType::i32, args.at);
    return {cast(equal(index, labels), args.attrs.dtype("dtype"), args.at)};
  }

  static Samples samples() {
    return {{"labels", {{{DType::i32, {7}}, 0, 5}}, {{"classes", int64_t{5}}, {"dtype", DType::f32}}},
            {"positions", {{{DType::i32, {2, 3}}, 0, 4}}, {{"classes", int64_t{4}}, {"dtype", DType::boolean}}},
            {"scalar", {{{DType::i32, {}}, 0, 3}}, {{"classes", int64_t{3}}, {"dtype", DType::f32}}},
            {"out of range",
             {{{DType::i32, {4}}, 0, 0, {-1, 3, 2, 1000}}},
             {{"classes", int64_t{3}}, {"dtype", DType::f32}}},
            {"empty", {{{DType::i32, {0}}, 0, 3}}, {{"classes", int64_t{3}}, {"dtype", DType::f32}}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {4}}},
             {{"classes", int64_t{3}}, {"dtype", DType::f32}},
             "one_hot: needs labels of type i32, got f32[4]"},
            {{{DType::i32, {4}}},
             {{"classes", int64_t{0}}, {"dtype", DType::f32}},
             "one_hot: needs at least one class, got 0"}};
  }
};

// labels i32[..] to dtype[.., classes].
inline Tensor one_hot(Tensor labels, int64_t classes, DType dtype = DType::f32, Site at = Site::here()) {
  return apply<OneHot>({labels}, {{"classes", classes}, {"dtype", dtype}}, at);
}

}  // namespace descent
