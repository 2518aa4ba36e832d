// Metrics: how good predictions are, in the field's usual figures.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "descent/core/array.h"

namespace descent::train {

// Named figures in the order in which they are shown: {"loss", 0.07}, {"accuracy", 0.984}.
using Figures = std::vector<std::pair<std::string, double>>;

std::optional<double> figure(const Figures& figures, std::string_view name);

// True for an accuracy, an F1 or an R2; false for losses and errors.
bool larger_is_better(std::string_view metric);

// How often each class was predicted for each label. A class without labels or without predictions has precision,
// recall and F1 of 0 where their divisor is 0.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int64_t classes);

  void add(int64_t label, int64_t predicted, int64_t count = 1);

  int64_t classes() const { return classes_; }
  int64_t at(int64_t label, int64_t predicted) const { return counts_[label * classes_ + predicted]; }
  int64_t labels(int64_t c) const;       // rows that are of class c
  int64_t predictions(int64_t c) const;  // rows that were taken for class c
  int64_t total() const;

  double accuracy() const;
  double precision(int64_t c) const;  // of the rows taken for c, the part that is c
  double recall(int64_t c) const;     // of the rows that are c, the part that was taken for c
  double f1(int64_t c) const;         // their harmonic mean

  // The mean of a figure over the classes that occur as labels or predictions.
  double macro(double (ConfusionMatrix::*of)(int64_t) const) const;

 private:
  int64_t classes_;
  std::vector<int64_t> counts_;
};

// Scores against labels. Several classes: the largest score wins, the first of equal ones. One score an example: class
// 1 if it is above the threshold.
class ClassificationMetrics {
 public:
  explicit ClassificationMetrics(int64_t classes, double threshold = 0, int64_t top_k = 0);

  // Scores f32 [N,K] (or [N,1], [N]) and labels i32 [N]; fails unless they fit together and to the classes.
  void add(const Array& scores, const Array& labels);

  double accuracy() const { return confusion_.accuracy(); }
  double top_k_accuracy() const;  // the label is among the k largest scores
  const ConfusionMatrix& confusion() const { return confusion_; }

  // accuracy, top_K_accuracy if asked for, and the macro means of precision, recall and F1.
  Figures figures() const;

 private:
  ConfusionMatrix confusion_;
  double threshold_;
  int64_t top_k_, in_top_k_ = 0;
};

// Outputs against numbers, each output column for itself; the figures are means over the columns.
class RegressionMetrics {
 public:
  // Errors are multiplied by `unit`: the training deviation, where targets were standardised by it.
  explicit RegressionMetrics(double unit = 1) : unit_(unit) {}

  // f32 [N,K], or [N] for one column.
  void add(const Array& outputs, const Array& targets);

  double mae() const;   // mean absolute error
  double rmse() const;  // root of the mean squared error
  double r2() const;    // 1 - squared error / variance; a constant column counts 1 if it was met exactly, else 0

  Figures figures() const;  // mae, rmse, r2

 private:
  struct Column {
    double absolute = 0, squared = 0;  // summed errors
    double mean = 0, spread = 0;       // of the targets: mean, and summed squares around it (Welford 1962)
  };
  double unit_;
  int64_t rows_ = 0;
  std::vector<Column> columns_;
};

}  // namespace descent::train
