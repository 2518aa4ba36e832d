// Whether a line (a plane ...) separates two classes: what a net without hidden layers can learn, and what it cannot.
#pragma once

#include <string>

#include "descent/core/array.h"
#include "descent/tasks/run.h"

namespace descent::tasks {

enum class Separable { yes, no, unknown };

// Inputs f32 [N,F], labels i32 [N] of two classes: is there w, b with w x + b > 0 exactly for class 1? Decided by
// linear programming (the classes are inseparable exactly if their convex hulls meet), and either answer is checked:
// yes by the plane itself, no by a point in both hulls. `unknown` if rounding spoils the check.
Separable linearly_separable(const Array& inputs, const Array& labels);

// A sentence for a run that cannot get all right: the net is linear, the table is small and has two classes, some
// training rows are wrong, and no hyperplane separates them. Else "".
std::string separability_note(const Experiment& experiment, const train::Figures& training);

}  // namespace descent::tasks
