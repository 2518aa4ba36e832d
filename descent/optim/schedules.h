// Schedules: what the optimiser's base learning rate is multiplied by in each step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "descent/nn/settings.h"

namespace descent::optim {

// A handle; copies share what it remembers. All but on_plateau are functions of the step alone.
class Schedule {
 public:
  struct Rule {
    virtual ~Rule() = default;
    virtual double factor(int64_t step) const = 0;
    virtual void observe(double) {}
    virtual std::vector<double> memory() const { return {}; }
    virtual void restore(std::span<const double>) {}
  };

  Schedule();  // constant
  Schedule(std::string describe, std::function<double(int64_t step)> factor);
  Schedule(std::string describe, std::shared_ptr<Rule> rule);

  // The factor in the step after `step` steps have been done (0 for the first).
  double operator()(int64_t step) const { return rule_->factor(step); }

  // Tells it the metric of a validation; only on_plateau listens.
  void observe(double metric) { rule_->observe(metric); }

  // What it remembers, for checkpoints. restore() fails unless it is what memory() of the same schedule gave.
  std::vector<double> memory() const { return rule_->memory(); }
  void restore(std::span<const double> memory);

  const std::string& describe() const { return describe_; }

 private:
  std::string describe_;
  std::shared_ptr<Rule> rule_;
};

namespace schedule {

Schedule constant();

// Times `factor` after each `every` steps.
Schedule steps(int64_t every, double factor = 0.1);

// Times `factor` over each `every` steps, a little in each.
Schedule exponential(double factor, int64_t every = 1);

// From 1 in a straight line, or along half a cosine (Loshchilov and Hutter 2017), to `last` after `total` steps.
Schedule linear(int64_t total, double last = 0);
Schedule cosine(int64_t total, double last = 0);

// Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017: cosines one after the other, the
// first `first` steps long, each `multiplier` times as long as the one before.
Schedule warm_restarts(int64_t first, double multiplier = 1, double last = 0);

// Smith and Topin, "Super-convergence", 2018: up from 1 / start_divisor to 1 over the first part of `total` steps, then
// down to 1 / start_divisor / final_divisor, both along cosines. The base learning rate is the peak.
struct OneCycle {
  double rising = 0.3;  // the part of the steps
  double start_divisor = 25, final_divisor = 1e4;
};
Schedule one_cycle(int64_t total, OneCycle options = {});

// In straight lines from `start` up to 1 over the first part of `total` steps, then down to `last` at their end.
struct Triangle {
  double rising = 0.3;  // the part of the steps
  double start = 0, last = 0;
};
Schedule triangle(int64_t total, Triangle options = {});

// The first `steps` steps in equal increases up to where `then` begins; after them `then`, from its own step 0.
Schedule warm_up(int64_t steps, Schedule then);

// Times `factor` when `patience` validations in a row have brought no metric better than the best by `threshold` of it.
struct Plateau {
  double factor = 0.1;
  int64_t patience = 10;
  double threshold = 1e-4;
  double minimum = 0;             // the factor does not fall below it
  bool larger_is_better = false;  // true for an accuracy, false for a loss
};
Schedule on_plateau(Plateau options = {});

}  // namespace schedule

// How long a run is, in steps: recipes count in epochs.
struct RunLength {
  int64_t total_steps = 1, steps_per_epoch = 1;
};

// The table. Durations are in epochs; a cosine and the like last to the end of the run. Every kind takes `warm_up`, the
// epochs of a linear warm-up before it.
using ScheduleMaker = std::function<Schedule(const RunLength&)>;
std::span<const nn::Kind<ScheduleMaker>> schedule_kinds();
Schedule make_schedule(std::string_view kind, const nn::Settings& settings, const RunLength& run);

}  // namespace descent::optim
