// Choosing one of several by their scores.
#pragma once

#include <cstdint>
#include <span>

#include "descent/data/random.h"

namespace descent::tasks {

struct Sampling {
  double temperature = 1;  // what scores are divided by: below 1 the likely become likelier; 0: the best is taken
  int64_t top_k = 0;       // only the k best can be drawn; 0: all
};

// The place of the chosen one, with the probability that the softmax of the scores gives it. Of equal scores the first
// is the best. Fails if options or scores make no sense: a negative temperature, no score, one that is NaN.
int64_t choose(std::span<const float> scores, const Sampling& sampling, data::RandomStream& random);

}  // namespace descent::tasks
