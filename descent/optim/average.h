// A moving average of the weights (Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992),
// often a better net than the last one.
#pragma once

#include <memory>
#include <vector>

#include "descent/nn/pass.h"

namespace descent::optim {

// Each step, average = d * average + (1 - d) * parameter, with d = min(decay, (1 + t) / (10 + t)) in step t, so that
// the first steps do not weigh for ever. Its states are PARAMETER.average and average.step.
class ExponentialMovingAverage {
 public:
  explicit ExponentialMovingAverage(double decay = 0.999, Site at = Site::here());

  // Joins the averaging to the step, after minimize(): of every parameter that the pass assigns.
  void update(nn::Pass& pass);

  // Exchanges the parameters' values with their averages; twice changes nothing. Use Swapped, or forget nothing.
  void swap();

  // While one lives, the net computes with the averages: { Swapped averaged(average); evaluate(net); }
  class Swapped {
   public:
    explicit Swapped(ExponentialMovingAverage& average) : average_(average) { average_.swap(); }
    ~Swapped() { average_.swap(); }
    Swapped(const Swapped&) = delete;
    Swapped& operator=(const Swapped&) = delete;

   private:
    ExponentialMovingAverage& average_;
  };

  // What is kept, for checkpoints.
  std::vector<nn::StatePtr> states() const;

 private:
  nn::StatePtr average_of(const nn::ParameterPtr& parameter);

  double decay_;
  nn::StatePtr step_;
  struct Pair {
    nn::ParameterPtr parameter;
    nn::StatePtr average;
  };
  std::vector<Pair> pairs_;
};

}  // namespace descent::optim
