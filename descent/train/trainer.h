// The training loop: epochs of batches, validation, checkpoints, early stopping, exact resume. There is one; tasks bring
// data, nets and losses to it.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>

#include "descent/data/batches.h"
#include "descent/nn/function.h"
#include "descent/nn/losses.h"
#include "descent/nn/module.h"
#include "descent/optim/minimize.h"
#include "descent/optim/schedules.h"

namespace descent::train {

// What an evaluation gives: "loss" and what the loss names as its metric ("accuracy", "rmse" ...), by name.
using Scores = std::map<std::string, double>;

struct Progress {
  int64_t epoch = 0, epochs = 0;     // from 0
  int64_t batch = 0, batches = 0;    // done in this epoch, of all
  int64_t step = 0;                  // done in the run
  double loss = 0;                   // mean over the epoch so far
  double metric = 0;                 // likewise (accuracy), NaN if the loss has none
  double samples_per_second = 0;
  double seconds_left = 0;
  std::optional<Scores> validation = {};  // at the end of an epoch
};

struct FitOptions {
  int64_t epochs = 10;
  int64_t batch_size = 128;
  data::Dataset validation = {};           // no rows: none
  uint64_t seed = 0;                       // of initial values, dropout, the order of the examples, augmentation
  nn::Precision precision = nn::Precision::automatic;
  std::function<optim::Schedule(optim::RunLength)> schedule = {};
  optim::MinimizeOptions minimize = {};
  double average = 0;                      // decay of a moving average of the weights; 0: none
  std::optional<data::AugmentOptions> augment = {};
  int data_threads = 1;
  int64_t patience = 0;                    // epochs without a better validation before the run stops; 0: never
  std::filesystem::path directory = {};    // of checkpoints and metrics.jsonl; empty: none are written
  double checkpoint_seconds = 60;          // at most this long between two, beside one at the end of each epoch
  bool resume = false;                     // go on from the directory's newest good checkpoint
  int64_t record_every = 100;              // steps between two lines of metrics.jsonl with each layer's gradients
  std::function<void(const Progress&)> progress = {};
};

struct Report {
  int64_t epochs = 0, steps = 0;           // done, resumed ones included
  double seconds = 0;                      // of this call
  double samples_per_second = 0;
  bool stopped_early = false, interrupted = false;
  Scores train, validation, best;          // of the last epoch; of the best epoch's validation
  std::string precision;
};

// Thrown at the first loss that is not a number: the step, the layer where it first appeared, what to try.
class Diverged : public Error {
 public:
  using Error::Error;
};

// Asks every running fit() to finish its step, save and return (a handler of SIGINT may call it).
void request_stop();

class Trainer {
 public:
  Trainer(nn::ModulePtr net, nn::Loss loss, optim::Optimizer optimizer);
  template <std::derived_from<nn::Module> T>
  Trainer(T net, nn::Loss loss, optim::Optimizer optimizer)
      : Trainer(std::make_shared<T>(std::move(net)), std::move(loss), std::move(optimizer)) {}

  Report fit(const data::Dataset& train, const FitOptions& options);

  // Over all rows, in large batches, without dropout.
  Scores evaluate(const data::Dataset& data, nn::Precision precision = nn::Precision::automatic);

  // The net's outputs f32 [N, ...] for inputs [N, ...].
  Array predict(const Array& inputs, nn::Precision precision = nn::Precision::automatic);

  // The program of fit()'s step on full batches; `observe` sees each stage of its making.
  Program compiled(const data::Dataset& train, const FitOptions& options, std::function<void(std::string_view, const std::string&)> observe);

  nn::Module& net() { return *net_; }
  const nn::Loss& loss() const { return loss_; }

  // Every state of the net by name (parameters, normalisation).
  std::vector<std::pair<std::string, Array>> weights() const;

  // Makes the net's states for inputs of this type and fills them. Fails if one is missing or of another type.
  void load(const std::vector<std::pair<std::string, Array>>& tensors, const Type& input);

 private:
  nn::ModulePtr net_;
  nn::Loss loss_;
  optim::Optimizer optimizer_;
};

}  // namespace descent::train
