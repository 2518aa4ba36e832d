// The hidden layers of a dense net as numbers that can be varied: how many there are and how wide they are.
#pragma once

#include <cstdint>
#include <vector>

#include "descent/tasks/examples.h"

namespace descent::tasks {

// The dense part of a recipe's layers: from the first linear layer behind which there are only linear layers,
// activations, dropout and norms, to the last linear layer, which makes the outputs.
class HiddenLayers {
 public:
  // Fails with UsageError at the recipe's line where there is no hidden one.
  explicit HiddenLayers(const Recipe& recipe);

  // The recipe with `depth` hidden layers of `width` units, each as the first is (its activation, dropout and so on);
  // what stands before and behind them stays.
  Recipe recipe(int64_t depth, int64_t width) const;

  // How many parameters that net has, on examples prepared like this.
  int64_t parameters(const Preprocess& preprocess, int64_t depth, int64_t width) const;

  // The width with which it has as near to `budget` parameters as can be; the smaller of two. Fails with UsageError
  // where one unit a layer is too much.
  int64_t width_for(const Preprocess& preprocess, int64_t depth, int64_t budget) const;

 private:
  std::vector<nn::Settings> layers(int64_t depth, int64_t width) const;

  Recipe recipe_;
  std::vector<nn::Settings> before_, layer_, after_;  // the outputs' layer is the first of `after_`
};

}  // namespace descent::tasks
