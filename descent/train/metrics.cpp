#include "descent/train/metrics.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "descent/base/text.h"

namespace descent::train {

std::optional<double> figure(const Figures& figures, std::string_view name) {
  const auto at = std::ranges::find(figures, name, &Figures::value_type::first);
  return at == figures.end() ? std::nullopt : std::optional(at->second);
}

bool larger_is_better(std::string_view metric) {
  static constexpr std::string_view smaller[] = {"loss", "mae", "rmse", "perplexity", "cer", "wer", "sentence_error"};
  return std::ranges::find(smaller, metric) == std::end(smaller);
}

ConfusionMatrix::ConfusionMatrix(int64_t classes)
    : classes_(classes), counts_(static_cast<size_t>(classes * classes)) {}

void ConfusionMatrix::add(int64_t label, int64_t predicted, int64_t count) {
  counts_[static_cast<size_t>(label * classes_ + predicted)] += count;
}

int64_t ConfusionMatrix::labels(int64_t c) const {
  int64_t sum = 0;
  for (int64_t p = 0; p < classes_; ++p) sum += at(c, p);
  return sum;
}

int64_t ConfusionMatrix::predictions(int64_t c) const {
  int64_t sum = 0;
  for (int64_t l = 0; l < classes_; ++l) sum += at(l, c);
  return sum;
}

int64_t ConfusionMatrix::total() const {
  int64_t sum = 0;
  for (const int64_t count : counts_) sum += count;
  return sum;
}

namespace {

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

double ConfusionMatrix::accuracy() const {
  int64_t right = 0;
  for (int64_t c = 0; c < classes_; ++c) right += at(c, c);
  return ratio(static_cast<double>(right), static_cast<double>(total()));
}

double ConfusionMatrix::precision(int64_t c) const {
  return ratio(static_cast<double>(at(c, c)), static_cast<double>(predictions(c)));
}

double ConfusionMatrix::recall(int64_t c) const {
  return ratio(static_cast<double>(at(c, c)), static_cast<double>(labels(c)));
}

double ConfusionMatrix::f1(int64_t c) const {
  return ratio(2 * static_cast<double>(at(c, c)), static_cast<double>(labels(c) + predictions(c)));
}

double ConfusionMatrix::macro(double (ConfusionMatrix::*of)(int64_t) const) const {
  double sum = 0, count = 0;
  for (int64_t c = 0; c < classes_; ++c) {
    if (labels(c) + predictions(c) == 0) continue;
    sum += (this->*of)(c);
    ++count;
  }
  return ratio(sum, count);
}

ClassificationMetrics::ClassificationMetrics(int64_t classes, double threshold, int64_t top_k)
    : confusion_(std::max<int64_t>(classes, 2)), threshold_(threshold), top_k_(top_k) {}

namespace {

// How many classes come before the label: those with a larger score, and equal ones with a lower number. NaN scores
// come before it.
int64_t place_of(std::span<const float> scores, int64_t label) {
  int64_t before = 0;
  for (int64_t c = 0; c < static_cast<int64_t>(scores.size()); ++c)
    before += c != label && !(scores[c] < scores[label]) && (scores[c] != scores[label] || c < label);
  return before;
}

int64_t largest(std::span<const float> scores) {
  return std::max_element(scores.begin(), scores.end()) - scores.begin();
}

int64_t columns_of(const Array& outputs) { return outputs.shape().rank() > 1 ? outputs.shape().back() : 1; }

}  // namespace

void ClassificationMetrics::add(const Array& scores, const Array& labels) {
  const int64_t rows = labels.elements(), columns = columns_of(scores);
  if (scores.elements() != rows * columns || (columns != 1 && columns != confusion_.classes()))
    fail(text("metrics: scores ", scores.type(), " and labels ", labels.type(), " do not fit ", confusion_.classes(),
              " classes"));
  const std::span<const float> values = scores.as<float>();
  const std::span<const int32_t> truths = labels.as<int32_t>();
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t label = truths[row];
    if (label < 0 || label >= confusion_.classes())
      fail(text("metrics: row ", row, " has the label ", label, ", beyond the ", confusion_.classes(), " classes"));
    const std::span<const float> own = values.subspan(row * columns, columns);
    const int64_t predicted = columns == 1 ? (own[0] > threshold_ ? 1 : 0) : largest(own);
    confusion_.add(label, predicted);
    if (top_k_ > 0) in_top_k_ += columns == 1 ? (top_k_ > 1 || predicted == label) : place_of(own, label) < top_k_;
  }
}

double ClassificationMetrics::top_k_accuracy() const {
  return ratio(static_cast<double>(in_top_k_), static_cast<double>(confusion_.total()));
}

Figures ClassificationMetrics::figures() const {
  Figures out{{"accuracy", accuracy()}};
  if (top_k_ > 0) out.emplace_back(text("top_", top_k_, "_accuracy"), top_k_accuracy());
  out.emplace_back("precision", confusion_.macro(&ConfusionMatrix::precision));
  out.emplace_back("recall", confusion_.macro(&ConfusionMatrix::recall));
  out.emplace_back("f1", confusion_.macro(&ConfusionMatrix::f1));
  return out;
}

void RegressionMetrics::add(const Array& outputs, const Array& targets) {
  const int64_t columns = columns_of(targets);
  if (outputs.elements() != targets.elements())
    fail(text("metrics: outputs ", outputs.type(), " and targets ", targets.type(), " differ in size"));
  columns_.resize(static_cast<size_t>(columns));
  const std::span<const float> values = outputs.as<float>(), truths = targets.as<float>();
  for (int64_t row = 0; row * columns < targets.elements(); ++row) {
    ++rows_;
    for (int64_t c = 0; c < columns; ++c) {
      const double truth = truths[row * columns + c], error = values[row * columns + c] - truth;
      Column& column = columns_[c];
      column.absolute += std::abs(error);
      column.squared += error * error;
      const double from_mean = truth - column.mean;
      column.mean += from_mean / static_cast<double>(rows_);
      column.spread += from_mean * (truth - column.mean);
    }
  }
}

double RegressionMetrics::mae() const {
  double sum = 0;
  for (const Column& column : columns_) sum += column.absolute;
  return unit_ * ratio(sum, static_cast<double>(rows_ * static_cast<int64_t>(columns_.size())));
}

double RegressionMetrics::rmse() const {
  double sum = 0;
  for (const Column& column : columns_) sum += column.squared;
  return unit_ * std::sqrt(ratio(sum, static_cast<double>(rows_ * static_cast<int64_t>(columns_.size()))));
}

double RegressionMetrics::r2() const {
  double sum = 0;
  for (const Column& column : columns_)
    sum += column.spread > 0 ? 1 - column.squared / column.spread : (column.squared == 0 ? 1 : 0);
  return ratio(sum, static_cast<double>(columns_.size()));
}

Figures RegressionMetrics::figures() const { return {{"mae", mae()}, {"rmse", rmse()}, {"r2", r2()}}; }

}  // namespace descent::train
