#include "descent/optim/average.h"

#include <algorithm>

#include "descent/ops/add.h"
#include "descent/ops/cast.h"
#include "descent/ops/div.h"
#include "descent/ops/minimum.h"
#include "descent/ops/mul.h"
#include "descent/ops/sub.h"

namespace descent::optim {

ExponentialMovingAverage::ExponentialMovingAverage(double decay, Site at)
    : decay_(decay), step_(std::make_shared<nn::State>("average.step", Array(DType::i32, {}))) {
  if (!(decay >= 0 && decay < 1))
    throw UsageError(at, text("the decay of a moving average must be at least 0 and below 1, got ", decay));
}

nn::StatePtr ExponentialMovingAverage::average_of(const nn::ParameterPtr& parameter) {
  const auto known = std::ranges::find(pairs_, parameter, &Pair::parameter);
  if (known != pairs_.end()) return known->average;
  pairs_.push_back(
      {parameter, std::make_shared<nn::State>(parameter->name() + ".average", parameter->array().clone())});
  return pairs_.back().average;
}

void ExponentialMovingAverage::update(nn::Pass& pass) {
  const nn::Pass::Scope scope(pass, "average");
  const Tensor done = pass.read(step_), step = cast(done, DType::f32);
  pass.assign(step_, done + 1);
  const Tensor decay = minimum((1 + step) / (10 + step), decay_);
  const std::vector<nn::Pass::Touched> touched = pass.touched();  // a copy: reading averages adds to it
  for (const nn::ParameterPtr& parameter : pass.parameters()) {
    const auto at = std::ranges::find(touched, nn::StatePtr(parameter), &nn::Pass::Touched::state);
    if (at == touched.end() || !at->after) continue;
    const nn::StatePtr average = average_of(parameter);
    pass.assign(average, decay * pass.read(average) + (1 - decay) * at->after);
  }
}

void ExponentialMovingAverage::swap() {
  for (const Pair& pair : pairs_) {
    const Array values = pair.parameter->array().clone();
    pair.parameter->assign(pair.average->array());
    pair.average->assign(values);
  }
}

std::vector<nn::StatePtr> ExponentialMovingAverage::states() const {
  std::vector<nn::StatePtr> out{step_};
  for (const Pair& pair : pairs_) out.push_back(pair.average);
  return out;
}

}  // namespace descent::optim
