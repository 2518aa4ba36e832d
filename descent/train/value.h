// A policy with a value: what to do, and what will come of it, judged together (nn::PolicyAndValue).
#pragma once

#include <optional>
#include <string>

#include "descent/graph/graph.h"
#include "descent/train/metrics.h"

namespace descent::train {

// Outputs [N, classes + 1] and targets i32 [N,2] are of that kind.
bool has_value(const Type& outputs, const Type& targets);

// The part of each that a classification has: scores [N, classes] and labels [N]; others as they are.
struct Choice {
  Tensor scores, labels;
};
Choice choice_of(Tensor outputs, Tensor targets);

struct ChoiceArrays {
  Array scores, labels;
};
ChoiceArrays choice_of(const Array& outputs, const Array& targets);

// Fails naming `source` and the row if a label is no class of a net with such outputs. What came may be unknown, -1.
void check_labels(const Shape& outputs, const Array& targets, const std::string& source);

// Of sequences that end: labels below 0 are padding.
void check_padded_labels(const Shape& outputs, const Array& targets, const std::string& source);

// How often the value's sign says what came, where that is known, and its binary cross entropy.
class ValueMetrics {
 public:
  void add(const Array& outputs, const Array& targets);
  Figures figures() const;  // value_accuracy, value_loss; nothing where nothing was known

 private:
  int64_t known_ = 0, right_ = 0;
  double loss_ = 0;
};

}  // namespace descent::train
