// Weights that return, now and then, to slow ones that follow them.
#pragma once

#include <cstdint>
#include <vector>

#include "descent/base/error.h"
#include "descent/nn/state.h"

namespace descent::optim {

// What the slow weights keep of themselves at each return is keep * p^power, where p is the part of the run that is
// done: constant with power 0, as in Zhang, Lucas, Hinton and Ba, "Lookahead optimizer: k steps forward, 1 step back",
// 2019; growing as in Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024 (keep 0.95^5, power 3, every 5).
struct LookaheadOptions {
  int64_t every = 5;  // steps between two returns
  double keep = 0.5, power = 0;
};

// After each `every` steps, slow = k * slow + (1 - k) * weights, and weights = slow, where k is what is kept. All
// states of the net follow, running means and variances too. It works on the states between steps, so a step is
// compiled without it. What it keeps are the states NAME.slow.
class Lookahead {
 public:
  // Fails unless every is at least 1, keep from 0 to 1, and power at least 0.
  explicit Lookahead(LookaheadOptions options, Site at = Site::here());

  // Which f32 states; once, before the first step. The slow values start where they are.
  void follow(const std::vector<nn::StatePtr>& states);

  // After `steps` steps of `total` in all. Allocates nothing. Behind the last one the weights are the slow ones.
  void after_step(int64_t steps, int64_t total);

  // What is kept, for checkpoints.
  std::vector<nn::StatePtr> states() const;

 private:
  struct Pair {
    nn::StatePtr fast, slow;
  };

  LookaheadOptions options_;
  std::vector<Pair> pairs_;
};

}  // namespace descent::optim
