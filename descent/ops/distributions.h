// What the losses of scores[.., classes] against distributions of the same type share.
#pragma once

#include "descent/ops/composite.h"
#include "descent/ops/labelled.h"
#include "descent/ops/row_exp.h"

namespace descent {

// One number a row.
inline std::vector<Type> infer_distributions(const InferArgs& args, std::string_view name) {
  const Type scores = infer_floating(args, name)[0];
  if (scores.shape.rank() == 0 || scores.shape.back() == 0)
    fail(text(name, ": needs at least one class on the last axis, got ", scores));
  return {{scores.dtype, scores.shape.first(scores.shape.rank() - 1)}};
}

// The sum along each row of cost(log probability, target) where the target is not 0.
template <class Cost>
void evaluate_distributions(const EvalArgs& args, Cost cost) {
  const auto classes = static_cast<size_t>(args.inputs[0].type.shape.back());
  const std::span<const double> scores = args.inputs[0].values, targets = args.inputs[1].values;
  std::vector<double>& out = args.outputs[0].values;
  for (size_t row = 0; row < out.size(); ++row) {
    const std::vector<double> log_p = log_softmax_of(scores.subspan(row * classes, classes));
    for (size_t i = 0; i < classes; ++i)
      if (const double target = targets[row * classes + i]; target != 0) out[row] += cost(log_p[i], target);
  }
}

inline Samples distribution_samples() {
  const auto pair = [](const Shape& shape) {
    return std::vector<SampleInput>{{{DType::f32, shape}, -3, 3}, {{DType::f32, shape}, 0.05, 1}};
  };
  return {{"rows", pair({4, 10}), {}},
          {"positions", pair({2, 3, 5}), {}},
          {"one row", pair({7}), {}},
          {"long", pair({2, 1500}), {}},
          {"one class", pair({3, 1}), {}},
          {"large",
           {{{DType::f32, {1, 3}}, 0, 0, {1000, 990, -1000}}, {{DType::f32, {1, 3}}, 0, 0, {0.25, 0.5, 0}}},
           {},
           false},
          {"impossible",
           {{{DType::f32, {1, 3}}, 0, 0, {1, -HUGE_VAL, 2}}, {{DType::f32, {1, 3}}, 0, 0, {0.25, 0, 0.75}}},
           {},
           false},
          {"empty", pair({0, 4}), {}}};
}

inline Misuses distribution_misuse(std::string_view name) {
  return {
      {{{DType::f32, {4, 10}}, {DType::f32, {4, 9}}}, {}, text(name, ": input 1 is f32[4,9] but input 0 is f32[4,10]")},
      {{{DType::i32, {4, 10}}, {DType::i32, {4, 10}}}, {}, text(name, ": needs floating-point inputs, got i32[4,10]")},
      {{{DType::f32, {}}, {DType::f32, {}}}, {}, text(name, ": needs at least one class on the last axis, got f32[]")}};
}

}  // namespace descent
