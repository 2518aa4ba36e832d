// One training step: forward, loss, gradients and updates as one compiled function of a batch.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "descent/data/batches.h"
#include "descent/nn/function.h"
#include "descent/nn/losses.h"
#include "descent/nn/module.h"
#include "descent/optim/average.h"
#include "descent/optim/lookahead.h"
#include "descent/optim/minimize.h"

namespace descent::train {

struct StepOptions {
  nn::Precision precision = nn::Precision::automatic;
  uint64_t seed = 0;  // of initial values, dropout and the like
  optim::Regularization regularization = {};
  optim::Clip clip = {};
  double average = 0;  // decay of the moving average of weights; 0: none
  std::optional<optim::LookaheadOptions> lookahead = {};
  bool profile = false;  // time each kernel
};

struct StepResult {
  double loss = 0;     // the mean over the batch
  double correct = 0;  // examples whose class was right, of sequences the part of each; 0 for numbers
};

// What a step tells of the layers' health, besides its result.
struct StepRecord {
  StepResult result;
  double gradient_norm = 0;  // Euclidean, of all gradients together, before clipping
  struct Parameter {
    std::string name;
    double gradient_norm = 0;
    double update_ratio = 0;  // norm of the step over norm of the parameter: about 1e-3 is usual
  };
  std::vector<Parameter> parameters;
  struct Units {
    std::string layer;
    double dead = 0;  // the part of a ReLU's units that gave 0 for every example of the batch
  };
  std::vector<Units> units;
};

class TrainingStep {
 public:
  // Refers to the net: it must outlive the step.
  TrainingStep(nn::Module& net, nn::Loss loss, optim::Optimizer optimizer, StepOptions options);
  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  // Compiles for batches like this one; makes the net's parameters and the optimiser's moments if they are not there.
  void prepare(const data::Batch& batch);

  // Whether results tell how many examples were right, for targets of this type (one row's): labels, or, under cross
  // entropy, distributions, whose label is the likeliest class.
  bool counts_correct(const Type& target_row) const;

  // The step's graph for batches of these types, before any pass.
  nn::Function::Traced traced(const Type& inputs, const Type& targets) const;

  // The shape of the net's outputs for the batch last prepared.
  const Shape& outputs() const { return outputs_; }

  // Sets which parameters are trained in this epoch (see Parameter::epochs); compiles anew where that has changed.
  void begin_epoch(int64_t epoch);

  // Updates the weights. Allocates nothing once batches of this shape were seen.
  StepResult run(const data::Batch& batch);

  // The same update, measured.
  StepRecord run_recorded(const data::Batch& batch);

  optim::Optimizer& optimizer() { return optimizer_; }
  const std::string& optimizer_name() const { return optimizer_.name(); }
  double learning_rate() const { return optimizer_.learning_rate(); }
  optim::ExponentialMovingAverage* average() { return average_ ? &*average_ : nullptr; }
  optim::Lookahead* lookahead() { return lookahead_ ? &*lookahead_ : nullptr; }
  nn::Module& net() { return net_; }
  const nn::Loss& loss() const { return loss_; }
  const StepOptions& options() const { return options_; }
  nn::RandomStates& random() { return random_; }

  // Of each kernel of run(), with the option `profile`.
  std::vector<Executable::StepTime> step_times() const { return plain_.step_times(); }

  // Everything that a step reads and writes: the net's states, the optimiser's, the average's, the random numbers';
  // and what lookahead keeps.
  std::vector<nn::StatePtr> states() const;

 private:
  Tensors trace(nn::Pass& pass, std::span<const Tensor> in, bool recorded);
  void record_dead_units(nn::Pass& pass, Tensors& results);
  nn::FunctionOptions function_options() {
    return {.training = true,
            .precision = options_.precision,
            .seed = options_.seed,
            .random = &random_,
            .profile = options_.profile};
  }

  nn::Module& net_;
  nn::Loss loss_;
  optim::Optimizer optimizer_;
  StepOptions options_;
  nn::RandomStates random_;
  std::optional<optim::ExponentialMovingAverage> average_;
  std::optional<optim::Lookahead> lookahead_;
  nn::Function plain_, recorded_;
  Shape outputs_;
  std::vector<std::string> parameter_names_, unit_names_;  // of the recorded results
};

// How many rows have the right class, as an f32 scalar; no tensor if the targets are no labels i32 [N]. `threshold` is
// for a single output.
Tensor correct_count(Tensor outputs, Tensor targets, double threshold);

}  // namespace descent::train
