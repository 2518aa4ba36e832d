// Choosing one of several by their scores.
#pragma once

#include <cstdint>
#include <span>

#include "descent/data/random.h"

namespace descent::tasks {

struct Sampling {
  double temperature = 1;  // what scores are divided by: below 1 the likely become likelier; 0: the best is taken
  int64_t top_k = 0;       // only the k best can be drawn; 0: all
  double top_p = 1;        // only the best that have this probability together, at least one (Holtzman et al., "The
                           // curious case of neural text degeneration", 2020), the temperature already in it
};

// The place of the chosen one, with the probability that the softmax of the scores gives it among those that can be
// drawn. Of equal scores the first is the best. Fails if options or scores make no sense: a negative temperature, a
// top_p outside (0, 1], no score, one that is NaN, none that is above minus infinity.
int64_t choose(std::span<const float> scores, const Sampling& sampling, data::RandomStream& random);

}  // namespace descent::tasks
