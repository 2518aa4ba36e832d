// Classification: which of some classes an example is of.
#pragma once

#include "descent/tasks/task.h"

namespace descent::tasks {

TaskKind classify_task();

}  // namespace descent::tasks
