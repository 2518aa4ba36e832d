// What the losses and metrics of scores[.., classes] against labels i32[..] share. A label is never looked up: each row
// is compared with its label, so that everything stays one pass along rows.
#pragma once

#include <cmath>
#include <limits>

#include "descent/ops/equal.h"
#include "descent/ops/iota.h"
#include "descent/ops/max.h"
#include "descent/ops/reshape.h"
#include "descent/ops/where.h"

namespace descent {

// One number a row, of the scores' element type.
inline std::vector<Type> infer_labelled(const InferArgs& args, std::string_view name) {
  const Type &scores = args.inputs[0], &labels = args.inputs[1];
  if (!is_floating(scores.dtype) || scores.shape.rank() == 0 || scores.shape.back() == 0)
    fail(text(name, ": needs floating scores with at least one class on the last axis, got ", scores));
  const Type wanted{DType::i32, scores.shape.first(scores.shape.rank() - 1)};
  if (labels != wanted) fail(text(name, ": scores ", scores, " take labels ", wanted, ", got ", labels));
  return {{scores.dtype, wanted.shape}};
}

// `x`[..] as [.., 1], beside the classes.
inline Tensor beside_classes(Tensor x, Site at) {
  Shape shape = x.shape();
  shape.push_back(1);
  return reshape(x, shape, at);
}

// The class's number in each place of scores[.., classes], i32.
inline Tensor class_index(Tensor scores, Site at) {
  return iota(scores.graph(), scores.shape(), scores.rank() - 1, DType::i32, at);
}

// True in each row's place of its label; a label that is no class makes a row without any.
inline Tensor label_mask(Tensor scores, Tensor labels, Site at) {
  return equal(class_index(scores, at), beside_classes(labels, at));
}

inline constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

// The largest of `scores` where `mask` holds, [.., 1]; minus infinity in a row without any.
inline Tensor max_where(Tensor mask, Tensor scores, Site at) {
  return max(where(mask, scores, minus_infinity), {-1}, true, at);
}

// The meaning of an op of scores and labels: formula(row of scores, label) for each row.
template <class Formula>
void evaluate_labelled(const EvalArgs& args, Formula formula) {
  const auto classes = static_cast<size_t>(args.inputs[0].type.shape.back());
  const std::span<const double> scores = args.inputs[0].values;
  std::vector<double>& out = args.outputs[0].values;
  for (size_t row = 0; row < out.size(); ++row)
    out[row] = formula(scores.subspan(row * classes, classes), static_cast<int64_t>(args.inputs[1].values[row]));
}

// The score of the label, or minus infinity if it is no class: the meaning, in double.
inline double label_score(std::span<const double> row, int64_t label) {
  const bool known = label >= 0 && label < static_cast<int64_t>(row.size());
  return known ? row[static_cast<size_t>(label)] : minus_infinity;
}

// What every op of scores and labels must reject.
inline Misuses labelled_misuse(std::string_view name, const Attrs& attrs) {
  return {{{{DType::f32, {4, 10}}, {DType::i32, {5}}},
           attrs,
           text(name, ": scores f32[4,10] take labels i32[4], got i32[5]")},
          {{{DType::f32, {4, 10}}, {DType::f32, {4}}},
           attrs,
           text(name, ": scores f32[4,10] take labels i32[4], got f32[4]")},
          {{{DType::f32, {4, 1}}, {DType::i32, {4, 1}}},
           attrs,
           text(name, ": scores f32[4,1] take labels i32[4], got i32[4,1]")},
          {{{DType::f32, {}}, {DType::i32, {}}}, attrs, "at least one class on the last axis, got f32[]"}};
}

}  // namespace descent
