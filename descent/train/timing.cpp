#include "descent/train/timing.h"

#include <algorithm>
#include <chrono>

#include "descent/train/inspect.h"

namespace descent::train {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Epoch after epoch of whole batches.
class Supply {
 public:
  Supply(const data::Dataset& data, const FitOptions& fit)
      : batches_(data, {.batch_size = std::min(fit.batch_size, data.size()),
                        .seed = fit.seed,
                        .drop_last = true,
                        .augment = fit.augment,
                        .threads = fit.data_threads}) {}

  const data::Batch& next() {
    const data::Batch* batch = batches_.next();
    if (batch == nullptr) {
      batches_.start(epoch_++);
      batch = batches_.next();
    }
    return *batch;
  }
  int64_t batch_size() const { return batches_.options().batch_size; }

 private:
  data::Batches batches_;
  uint64_t epoch_ = 0;
};

struct Timed {
  std::vector<double> steps;  // seconds each
  double waited = 0, all = 0;
};

Timed timed(TrainingStep& step, Supply& supply, double seconds) {
  Timed out;
  out.steps.reserve(1 << 20);
  const Clock::time_point begin = Clock::now();
  while (out.steps.empty() || (out.all < seconds && out.steps.size() < out.steps.capacity())) {
    const Clock::time_point start = Clock::now();
    const data::Batch& batch = supply.next();
    out.waited += seconds_since(start);
    step.run(batch);
    out.steps.push_back(seconds_since(start));
    out.all = seconds_since(begin);
  }
  return out;
}

}  // namespace

StepTiming time_steps(nn::Module& net, const nn::Loss& loss, const optim::Optimizer& optimizer,
                      const data::Dataset& training, const FitOptions& fit, const TimingOptions& options) {
  StepOptions step_options = step_options_of(fit);
  step_options.profile = options.kernels;
  TrainingStep step(net, loss, optimizer, step_options);
  Supply supply(training, fit);
  const data::Batch& first = supply.next();
  const int64_t flops = inspect_step(step, first.inputs.type(), first.targets.type()).flops;
  timed(step, supply, options.seconds / 10);
  Timed measured = timed(step, supply, options.seconds);
  std::vector<double>& seconds = measured.steps;
  std::ranges::sort(seconds);
  StepTiming out{.steps = static_cast<int64_t>(seconds.size()), .batch_size = supply.batch_size()};
  out.median_seconds = seconds[seconds.size() / 2];
  out.best_seconds = seconds.front();
  out.data_share = measured.waited / measured.all;
  out.samples_per_second = static_cast<double>(supply.batch_size()) / out.median_seconds;
  out.gflops = static_cast<double>(flops) / out.median_seconds / 1e9;
  if (options.kernels) out.kernels = step.step_times();
  return out;
}

}  // namespace descent::train
