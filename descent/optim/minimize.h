// Descent on a loss, as part of a step's graph.
#pragma once

#include "descent/optim/optimizer.h"

namespace descent::optim {

// Penalties on the parameters that decay: l1 * sum|w| + l2 / 2 * sum(w^2) is added to what is minimised, though not to
// the loss that is reported.
struct Regularization {
  double l1 = 0, l2 = 0;
};

// 0 means none. By value: each element of a gradient is kept between -value and value. By norm: if the Euclidean norm
// of all gradients together is above `norm`, they are scaled down to it (Pascanu, Mikolov and Bengio 2013). Value
// first.
struct Clip {
  double value = 0, norm = 0;
};

struct MinimizeOptions {
  Regularization regularization = {};
  Clip clip = {};
  bool gradient_norm = false;                     // whether to compute Minimized::gradient_norm
  bool per_parameter = false;                     // whether to compute Minimized::parameters
  std::vector<nn::ParameterPtr> parameters = {};  // by default all that the pass has touched
};

struct Minimized {
  Tensor gradient_norm;  // f32 scalar: of all gradients together, before clipping
  struct Parameter {
    nn::ParameterPtr parameter;
    Tensor gradient_norm;  // before clipping
    Tensor update_ratio;   // norm of the step over norm of the parameter
  };
  std::vector<Parameter> parameters;
};

// Takes the gradients of `loss` (one number) with respect to the trainable parameters of the pass, clips them, and
// joins the optimiser's updates to the step. Fails if there is no trainable parameter, or the loss is not one number.
Minimized minimize(nn::Pass& pass, Tensor loss, Optimizer& optimizer, const MinimizeOptions& options = {},
                   Site at = Site::here());

}  // namespace descent::optim
