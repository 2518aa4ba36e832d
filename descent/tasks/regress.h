// Regression: a number for each example.
#pragma once

#include "descent/tasks/task.h"

namespace descent::tasks {

TaskKind regress_task();

}  // namespace descent::tasks
