#pragma once

#include "descent/ops/composite.h"
#include "descent/ops/log.h"
#include "descent/ops/row_exp.h"

namespace descent {

struct LogSoftmax {
  static constexpr auto name = "log_softmax";
  static constexpr auto summary = "x less the logarithm of the sum of exp(x), along the last axis";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 1;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type& x = args.inputs[0];
    if (x.shape.rank() == 0 || x.shape.back() == 0)
      fail(text(name, ": needs at least one element along the last axis, got ", x));
    return infer_floating(args, name);
  }

  static void evaluate(const EvalArgs& args) {
    const auto columns = static_cast<size_t>(args.inputs[0].type.shape.back());
    const std::vector<double>& x = args.inputs[0].values;
    for (size_t begin = 0; begin < x.size(); begin += columns)
      std::ranges::copy(log_softmax_of(std::span(x).subspan(begin, columns)), args.outputs[0].values.begin() + begin);
  }

  static Tensors expand(const ExpandArgs& args) {
    const RowExp row = row_exp(args.inputs[0], args.at);
    return {row.shifted - log(row.total, args.at)};
  }

  // Keeps the output alone, and does not go through the largest, which cancels.
  static Tensors vjp(const VjpArgs& args) {
    const Tensor g = args.cotangents[0];
    return {g - exp(args.outputs[0], args.at) * sum(g, {-1}, true, args.at)};
  }

  static Samples samples() {
    return {{"rows", {{{DType::f32, {4, 10}}, -3, 3}}, {}},
            {"long", {{{DType::f32, {2, 1500}}, -3, 3}}, {}},
            {"vector", {{{DType::f32, {5}}, -3, 3}}, {}},
            {"one class", {{{DType::f32, {3, 1}}}}, {}},
            {"large", {{{DType::f32, {2, 3}}, 0, 0, {1000, 999, -1000, -5e4, -5e4, -6e4}}}, {}, false},
            {"impossible", {{{DType::f32, {2, 2}}, 0, 0, {1, -HUGE_VAL, NAN, 1}}}, {}, false},
            {"empty", {{{DType::f32, {0, 4}}}}, {}}};
  }
  static Misuses misuse() {
    return {{{{DType::f32, {}}}, {}, "log_softmax: needs at least one element along the last axis, got f32[]"},
            {{{DType::f32, {4, 0}}}, {}, "log_softmax: needs at least one element along the last axis, got f32[4,0]"},
            {{{DType::i32, {2}}}, {}, "log_softmax: needs floating-point inputs, got i32[2]"}};
  }
};

// Along the last axis; safe for logits of any size.
inline Tensor log_softmax(Tensor x, Site at = Site::here()) { return apply<LogSoftmax>({x}, {}, at); }

}  // namespace descent
