#include "descent/train/step.h"

#include "descent/ops/ops.h"
#include "descent/train/evaluate.h"
#include "descent/train/value.h"

namespace descent::train {

namespace {

Type row_type(const Type& batch) { return {batch.dtype, batch.shape.without(0)}; }

}  // namespace

Tensor correct_count(Tensor outputs, Tensor targets, double threshold) {
  if (targets.dtype() != DType::i32) return {};
  const Choice choice = choice_of(outputs, targets);
  outputs = choice.scores;
  targets = choice.labels;
  const bool single = outputs.rank() == 0 || outputs.shape().back() == 1;
  if (!single) {
    if (outputs.rank() != targets.rank() + 1) return {};
    const Tensor right = sum(top_k_correct(outputs, targets));
    const auto places = static_cast<double>(targets.shape().without(0).elements());
    return targets.rank() > 1 ? right * (1 / places) : right;
  }
  const Tensor predicted = cast(less(threshold, reshape(outputs, targets.shape())), DType::i32);
  return sum(cast(equal(predicted, targets), DType::f32));
}

TrainingStep::TrainingStep(nn::Module& net, nn::Loss loss, optim::Optimizer optimizer, StepOptions options)
    : net_(net),
      loss_(std::move(loss)),
      optimizer_(std::move(optimizer)),
      options_(options),
      random_(options.seed),
      plain_([this](nn::Pass& pass, std::span<const Tensor> in) { return trace(pass, in, false); }, function_options()),
      recorded_([this](nn::Pass& pass, std::span<const Tensor> in) { return trace(pass, in, true); },
                function_options()) {
  if (options.average > 0) average_.emplace(options.average);
  if (options.lookahead) lookahead_.emplace(*options.lookahead);
}

bool TrainingStep::counts_correct(const Type& target_row) const {
  // Where the characters stand is not told; and of sequences that end, how many places there are.
  if (loss_.name() == nn::Ctc::name || loss_.name() == nn::SequenceCrossEntropy::name) return false;
  if (target_row.dtype == DType::i32) return true;
  return loss_.name() == nn::CrossEntropy::name && target_row.shape.rank() == 1;
}

// Results: loss, correct (or the loss again); recorded: the gradients' norm, two numbers a parameter, one a ReLU.
Tensors TrainingStep::trace(nn::Pass& pass, std::span<const Tensor> in, bool recorded) {
  const Tensor outputs = net_(in[0], pass);
  outputs_ = outputs.shape();
  const Tensor loss = loss_(outputs, in[1]);
  const optim::Minimized minimized = optim::minimize(pass, loss, optimizer_,
                                                     {.regularization = options_.regularization,
                                                      .clip = options_.clip,
                                                      .gradient_norm = recorded,
                                                      .per_parameter = recorded});
  if (average_) average_->update(pass);
  const bool mixed = in[1].dtype() != DType::i32 && in[1].rank() > 0 && counts_correct(row_type(in[1].type()));
  const bool counted = counts_correct(row_type(in[1].type()));
  const Tensor correct =
      counted ? correct_count(outputs, mixed ? argmax(in[1]) : in[1], class_threshold(loss_)) : Tensor();
  Tensors results{loss, correct ? correct : loss};
  if (!recorded) return results;
  parameter_names_.clear();
  results.push_back(minimized.gradient_norm);
  for (const optim::Minimized::Parameter& each : minimized.parameters) {
    parameter_names_.push_back(each.parameter->name());
    results.push_back(each.gradient_norm);
    results.push_back(each.update_ratio);
  }
  record_dead_units(pass, results);
  return results;
}

void TrainingStep::record_dead_units(nn::Pass& pass, Tensors& results) {
  unit_names_.clear();
  for (const nn::Pass::TracedLayer& layer : pass.layers()) {
    if (layer.module->describe() != "ReLU" || layer.output.rank() < 2) continue;
    std::vector<int> examples;
    for (int axis = 0; axis + 1 < layer.output.rank(); ++axis) examples.push_back(axis);
    const Tensor dead = less_equal(max(layer.output, examples), 0.0);
    unit_names_.push_back(layer.path);
    results.push_back(mean(cast(dead, DType::f32)));
  }
}

void TrainingStep::prepare(const data::Batch& batch) {
  const Type types[] = {batch.inputs.type(), batch.targets.type()};
  plain_.prepare(types);
  if (lookahead_) lookahead_->follow(nn::all_states(net_));
}

void TrainingStep::begin_epoch(int64_t epoch) {
  bool changed = false;
  for (const nn::ParameterPtr& parameter : nn::all_parameters(net_)) {
    if (parameter->epochs == 0) continue;
    const bool trained = epoch < parameter->epochs;
    changed = changed || parameter->trainable != trained;
    parameter->trainable = trained;
  }
  if (!changed) return;
  plain_.clear();
  recorded_.clear();
}

nn::Function::Traced TrainingStep::traced(const Type& inputs, const Type& targets) const {
  const Type types[] = {inputs, targets};
  return plain_.trace(types);
}

namespace {

StepResult result_of(std::span<const Array> results, bool counted) {
  return {results[0].item(), counted ? results[1].item() : 0};
}

}  // namespace

StepResult TrainingStep::run(const data::Batch& batch) {
  return result_of(plain_({batch.inputs, batch.targets}), counts_correct(row_type(batch.targets.type())));
}

StepRecord TrainingStep::run_recorded(const data::Batch& batch) {
  const std::span<const Array> results = recorded_({batch.inputs, batch.targets});
  StepRecord record{result_of(results, counts_correct(row_type(batch.targets.type()))), results[2].item(), {}, {}};
  size_t next = 3;
  for (const std::string& name : parameter_names_) {
    record.parameters.push_back({name, results[next].item(), results[next + 1].item()});
    next += 2;
  }
  for (const std::string& layer : unit_names_) record.units.push_back({layer, results[next++].item()});
  return record;
}

std::vector<nn::StatePtr> TrainingStep::states() const {
  std::vector<nn::StatePtr> out = nn::all_states(net_);
  const auto append = [&](const std::vector<nn::StatePtr>& more) { out.insert(out.end(), more.begin(), more.end()); };
  append(optimizer_.states());
  if (average_) append(average_->states());
  if (lookahead_) append(lookahead_->states());
  append({random_.key, random_.counter});
  return out;
}

}  // namespace descent::train
