// How long a whole training step takes: batch, forward, backward, update.
#pragma once

#include "descent/runtime/backend.h"
#include "descent/train/trainer.h"

namespace descent::train {

struct StepTiming {
  int64_t steps = 0, batch_size = 0;
  double median_seconds = 0, best_seconds = 0;
  double data_share = 0;                           // of the time, in which the step waited for its batch
  double samples_per_second = 0;                   // by the median
  double gflops = 0;                               // of the matrix products, per second, by the median
  std::vector<Executable::StepTime> kernels = {};  // where the time goes, if asked for
};

struct TimingOptions {
  double seconds = 2;    // about this long, after a tenth of it to warm up
  bool kernels = false;  // time each kernel, which costs a little
};

// Trains the net on the data for that long, as fit() with these options would, and times each step from the call for
// its batch to its loss.
StepTiming time_steps(nn::Module& net, const nn::Loss& loss, const optim::Optimizer& optimizer,
                      const data::Dataset& training, const FitOptions& fit, const TimingOptions& options = {});

}  // namespace descent::train
