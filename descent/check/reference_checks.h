// The checks that need no device; each throws or returns what it found.
#pragma once

#include <set>

#include "descent/check/gradient_check.h"

namespace descent::check {

Verdict check_types(const Row& row);
Verdict check_expansion(const Row& row, const Mistake& mistake = {});
Verdict check_own_gradient(const Row& row);
Verdict check_misuse(const OpDef& op, const Misuse& misuse);

// Which checks have shown, in some row, that they refuse mistakes.
struct Teeth {
  Verdict verdict;             // a check that let a mistake pass
  bool forward = false;        // in a result, against a device that computes correctly
  std::set<size_t> gradients;  // in the gradients of these inputs

  Teeth& operator+=(const Teeth& other);
};

// Makes mistakes in the row's result and in its gradients, one at a time. A mistake that changes nothing (the result is
// empty, all zero, all equal) shows nothing.
Teeth find_teeth(const Row& row);

// What the table lacks to say something about the op: no samples, no sample in which an error would be noticed, a
// gradient that no sample checks, an input whose gradient is 0 in every sample.
Verdict check_coverage(const OpDef& op);

}  // namespace descent::check
