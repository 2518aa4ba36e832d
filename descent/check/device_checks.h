// The checks of devices against the reference.
#pragma once

#include "descent/check/accuracy.h"
#include "descent/check/row.h"

namespace descent::check {

// The reference as a device: it expands to core ops and rounds after each. Shows that the errors allowed are enough for
// an honest device, and too small for a wrong one (the check "teeth").
Device rounded_device();

Staged staged_outputs(const Traced& traced);

Verdict check_forward(const Row& row, const Device& device);
Verdict check_backward(const Row& row, const Device& device);
Verdict check_fusion(const Row& row, const Device& device);
Verdict check_donation(const Row& row, const Device& device);
Verdict check_poison(const Row& row, const Device& device);

// Whether there is an output that could replace an input.
bool can_donate(const Row& row);

}  // namespace descent::check
