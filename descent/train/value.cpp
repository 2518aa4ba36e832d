#include "descent/train/value.h"

#include <algorithm>
#include <cmath>

#include "descent/ops/ops.h"
#include "descent/train/evaluate.h"

namespace descent::train {

namespace {

// The first `columns` of a matrix.
template <class T>
Array first_columns(const Array& matrix, int64_t columns, Shape shape) {
  const int64_t rows = matrix.shape()[0], all = matrix.shape()[1];
  Array out(matrix.dtype(), shape);
  const std::span<const T> from = matrix.as<T>();
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(from.begin() + row * all, columns, out.as<T>().begin() + row * columns);
  return out;
}

}  // namespace

bool has_value(const Type& outputs, const Type& targets) {
  return targets.dtype == DType::i32 && targets.shape.rank() == 2 && targets.shape[1] == 2 &&
         outputs.shape.rank() == 2 && outputs.shape[1] > 2;
}

Choice choice_of(Tensor outputs, Tensor targets) {
  if (!has_value(outputs.type(), targets.type())) return {outputs, targets};
  const int64_t rows = targets.shape()[0], classes = outputs.shape()[1] - 1;
  return {slice_axis(outputs, 1, 0, classes), reshape(slice_axis(targets, 1, 0, 1), Shape{rows})};
}

ChoiceArrays choice_of(const Array& outputs, const Array& targets) {
  if (!has_value(outputs.type(), targets.type())) return {outputs, targets};
  const int64_t rows = targets.shape()[0], classes = outputs.shape()[1] - 1;
  return {first_columns<float>(outputs, classes, {rows, classes}), first_columns<int32_t>(targets, 1, {rows})};
}

void check_labels(const Shape& outputs, const Array& targets, const std::string& source) {
  const int64_t classes = class_count(outputs);
  if (!has_value({DType::f32, outputs}, targets.type())) return data::check_labels(targets, classes, source);
  data::check_labels(first_columns<int32_t>(targets, 1, {targets.shape()[0]}), classes - 1, source);
}

void check_padded_labels(const Shape& outputs, const Array& targets, const std::string& source) {
  const std::span<const int32_t> labels = targets.as<int32_t>();
  const auto beyond = std::ranges::find_if(labels, [&](int32_t label) { return label >= outputs.back(); });
  if (beyond != labels.end())
    fail(text(source, ": label ", *beyond, " in row ", (beyond - labels.begin()) / targets.shape().back(),
              " is out of range: there are ", outputs.back(), " classes (0 to ", outputs.back() - 1, ")"));
}

void ValueMetrics::add(const Array& outputs, const Array& targets) {
  if (!has_value(outputs.type(), targets.type())) return;
  const std::span<const float> values = outputs.as<float>();
  const std::span<const int32_t> outcomes = targets.as<int32_t>();
  const auto columns = static_cast<size_t>(outputs.shape()[1]);
  for (size_t row = 0; 2 * row < outcomes.size(); ++row) {
    const int32_t outcome = outcomes[2 * row + 1];
    if (outcome < 0) continue;
    ++known_;
    const double logit = values[(row + 1) * columns - 1], against = outcome == 1 ? -logit : logit;
    right_ += (logit > 0) == (outcome == 1);
    loss_ += std::max(against, 0.0) + std::log1p(std::exp(-std::abs(logit)));
  }
}

Figures ValueMetrics::figures() const {
  if (known_ == 0) return {};
  const auto known = static_cast<double>(known_);
  return {{"value_accuracy", static_cast<double>(right_) / known}, {"value_loss", loss_ / known}};
}

}  // namespace descent::train
