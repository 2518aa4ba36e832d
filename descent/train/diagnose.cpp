#include "descent/train/diagnose.h"

#include <cmath>
#include <optional>

#include "descent/base/text.h"
#include "descent/grad/gradient.h"

namespace descent::train {

namespace {

// The index of the first element that is not finite.
std::optional<int64_t> not_finite(const Array& array) {
  if (!is_floating(array.dtype())) return std::nullopt;
  for (int64_t i = 0; i < array.elements(); ++i)
    if (!std::isfinite(array.at(i))) return i;
  return std::nullopt;
}

std::string value_text(double value) { return std::isnan(value) ? "NaN" : value > 0 ? "infinity" : "-infinity"; }

std::string blame(const std::string& what, const Array& array, int64_t index) {
  return text(what, " (", value_text(array.at(index)), ")");
}

// The numbers of one step under their names, in the order of computing.
struct Probe {
  std::vector<std::string> names;
  Tensors trace(TrainingStep& step, nn::Pass& pass, std::span<const Tensor> in);
};

std::string layer_text(const nn::Pass::TracedLayer& layer) {
  return text("the output of ", layer.path.empty() ? "the net" : layer.path, " (", layer.module->describe(), ")");
}

Tensors Probe::trace(TrainingStep& step, nn::Pass& pass, std::span<const Tensor> in) {
  names.clear();
  const Tensor loss = step.loss()(step.net()(in[0], pass), in[1]);
  Tensors results;
  const auto add = [&](std::string name, Tensor tensor) {
    names.push_back(std::move(name));
    results.push_back(tensor);
  };
  for (const nn::Pass::TracedLayer& layer : pass.layers())
    if (layer.module->children().empty()) add(layer_text(layer), layer.output);
  add(text("the loss (", step.loss().name(), ")"), loss);
  Tensors weights;
  for (const nn::ParameterPtr& parameter : pass.parameters()) weights.push_back(pass.read(parameter));
  const Tensors all = gradients(loss, weights);
  for (size_t i = all.size(); i-- > 0;)  // gradients are computed from the last layer to the first
    add(text("the gradient of ", pass.parameters()[i]->name()), all[i]);
  return results;
}

}  // namespace

std::string first_not_finite_state(const TrainingStep& step) {
  for (const nn::StatePtr& state : step.states())
    if (const auto at = not_finite(state->array()))
      return blame(text("the update of ", state->name(), " in the step before"), state->array(), *at);
  return "";
}

std::string first_not_finite(TrainingStep& step, const data::Batch& batch) {
  if (const auto at = not_finite(batch.inputs)) {
    const int64_t row = *at / (batch.inputs.elements() / batch.inputs.shape()[0]);
    return blame(text("the inputs, row ", row, " of the batch"), batch.inputs, *at);
  }
  Probe probe;
  nn::RandomStates random = step.random();  // the same states: the masks of this very step
  const Array counter = random.counter->array().clone();
  nn::Function function(
      [&](nn::Pass& pass, std::span<const Tensor> in) { return probe.trace(step, pass, in); },
      {.training = true, .precision = step.options().precision, .seed = step.options().seed, .random = &random});
  const std::span<const Array> results = function({batch.inputs, batch.targets});
  random.counter->assign(counter);
  for (size_t i = 0; i < results.size(); ++i)
    if (const auto at = not_finite(results[i])) return blame(probe.names[i], results[i], *at);
  return "";
}

}  // namespace descent::train
