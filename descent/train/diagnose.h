// Where a training step's numbers stop being finite.
#pragma once

#include <string>

#include "descent/train/step.h"

namespace descent::train {

// Runs the step's forward pass and gradients on `batch` with the states as they are before it, changing none of them,
// and says where the first number that is infinite or not a number lies, in the order in which a step computes: the
// inputs (with the row), a layer's output, the loss, a parameter's gradient. "" if all are finite.
std::string first_not_finite(TrainingStep& step, const data::Batch& batch);

// The first weight, moment or average that is not finite; "" if all are.
std::string first_not_finite_state(const TrainingStep& step);

}  // namespace descent::train
