// Which validation was the best, and when further ones are not worth waiting for.
#pragma once

#include <optional>
#include <string>

#include "descent/train/metrics.h"

namespace descent::train {

class EarlyStopping {
 public:
  // Watches the figure called `metric`; stops after `patience` validations in a row without a new best, 0: never.
  EarlyStopping(std::string metric, int64_t patience) : metric_(std::move(metric)), patience_(patience) {}

  // True if this validation is the best so far. Fails if it has no such figure, naming those that it has.
  bool observe(const Figures& validation, int64_t epoch);

  bool should_stop() const { return patience_ > 0 && memory_.waited >= patience_; }
  const std::string& metric() const { return metric_; }

  // For checkpoints.
  struct Memory {
    std::optional<double> best = {};
    int64_t best_epoch = 0, waited = 0;
  };
  const Memory& memory() const { return memory_; }
  void restore(const Memory& memory) { memory_ = memory; }

 private:
  std::string metric_;
  int64_t patience_;
  Memory memory_;
};

}  // namespace descent::train
