// What a training step becomes when it is compiled.
#pragma once

#include <map>
#include <string>

#include "descent/compile/program.h"
#include "descent/train/step.h"

namespace descent::train {

struct StepInspection {
  Program program;
  std::map<std::string, std::string> stages;  // what each stage of the compiler made, as text, by its name
  int64_t flops = 0;                          // of the matrix products of one step, 2 a multiply-add
  int64_t state_bytes = 0;                    // parameters, moments, averages and the like
  int64_t parameter_bytes = 0;                // the parameters' part of them
};

// Compiles the step for batches of these types, and runs nothing. With `stages` their text is kept.
StepInspection inspect_step(TrainingStep& step, const Type& inputs, const Type& targets, bool stages = false);

}  // namespace descent::train
