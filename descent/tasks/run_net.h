// Shared by training a run and loading it. Internal to tasks.
#pragma once

#include "descent/tasks/run.h"

namespace descent::tasks {

// The recipe's layers, behind the layer that normalises their input if there is one.
std::shared_ptr<nn::Module> make_run_net(const Recipe& recipe, const Preprocess& preprocess);

// What errors of numbers are multiplied by, to be in the unit of the target's column.
double error_unit(const Preprocess& preprocess);

}  // namespace descent::tasks
