// The training loop: epochs of batches, validation, checkpoints, early stopping, exact resume. There is one; tasks
// bring data, nets and losses to it.
//
//   train::Trainer trainer{net, nn::cross_entropy, optim::AdamW{.learning_rate = 1e-3}};
//   train::Report report = trainer.fit(digits.train, {.epochs = 10, .validation = digits.test});
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "descent/io/safetensors.h"
#include "descent/optim/schedules.h"
#include "descent/train/evaluate.h"
#include "descent/train/progress.h"
#include "descent/train/step.h"

namespace descent::train {

struct FitOptions {
  int64_t epochs = 10;
  int64_t batch_size = 128;
  int64_t epoch_size = 0;         // examples of an epoch, where several share one pass (data/batches.h); 0: all
  data::Dataset validation = {};  // judged after each epoch; no rows: none
  uint64_t seed = 0;              // of initial values, dropout, the order of the examples, augmentation
  nn::Precision precision = nn::Precision::automatic;
  std::function<optim::Schedule(const optim::RunLength&)> schedule = {};  // none: constant
  optim::Regularization regularization = {};
  optim::Clip clip = {};
  double average = 0;  // decay of a moving average of the weights, which is then what is judged and kept; 0: none
  std::optional<optim::LookaheadOptions> lookahead = {};

  std::string monitor = {};  // the validation's figure that tells the best epoch; by default the loss's metric
  int64_t patience = 0;      // epochs without a new best before the run stops; 0: never
  bool keep_best = true;     // at the end the net has the weights of the best validation, if there were any

  std::optional<data::AugmentOptions> augment = {};
  int data_threads = 1;    // in the background
  bool drop_last = false;  // leave out an epoch's last, smaller batch

  double unit = 1;    // of errors of numbers: the deviation that the targets were divided by
  int64_t top_k = 0;  // see EvaluateOptions

  int64_t record_every = 100;            // steps between two records of the layers' gradients; 0: none
  std::filesystem::path directory = {};  // for metrics.jsonl and checkpoints (see run_files.h); empty: none are written
  bool resume = false;  // go on from the directory's newest good checkpoint, as if the run had never stopped; without
                        // one, begin
  double checkpoint_seconds = 30;  // at most this long between two checkpoints; epochs that take a tenth of it are
                                   // followed by one, too
  bool catch_signals = true;       // SIGINT and SIGTERM end the run after the step, saved; a second one at once
  std::shared_ptr<Progress> progress = progress_on_stderr();  // none: silent
};

// The part of the options that a step is made of.
StepOptions step_options_of(const FitOptions& options);

enum class Outcome { finished, stopped_early, interrupted };
std::string to_text(Outcome outcome);

struct Report {
  Outcome outcome = Outcome::finished;
  int64_t epochs = 0, steps = 0;  // done, those of earlier parts of a resumed run included
  double seconds = 0;             // likewise
  double samples_per_second = 0;  // while training, of this call
  uint64_t seed = 0;
  std::string precision;              // "f32" or "bf16": of matrix products
  Figures train;                      // means over the last epoch's own steps
  Figures validation;                 // of the weights that the net now has; empty without a validation part
  int64_t best_epoch = 0;             // whose weights these are, from 1; 0 if they are the last
  std::vector<EpochFigures> history;  // of this call
  std::vector<std::string> warnings;  // about the gradients' health
  std::string weights_sha256;         // of the net's states by name
};

// The loss, or a weight, is no finite number any more. The sentence says in which step, where it first appeared, and
// what to try; the net has the weights from before that step, and the checkpoints are older.
class Diverged : public Error {
 public:
  using Error::Error;
};

class Trainer {
 public:
  // Refers to the net: it must outlive the trainer.
  Trainer(nn::Module& net, nn::Loss loss, optim::Optimizer optimizer)
      : net_(net), loss_(std::move(loss)), optimizer_(std::move(optimizer)) {}

  // Trains on the data. The same data, options and number of threads give the same weights, bit for bit, however often
  // the run was stopped and resumed. Fails with Diverged, or with one sentence if options and data do not fit or a
  // checkpoint cannot be written or read.
  Report fit(const data::Dataset& training, const FitOptions& options = {});

  Evaluation evaluate(const data::Dataset& data, EvaluateOptions options = {}) {
    return train::evaluate(net_, loss_, data, options);
  }

  nn::Module& net() { return net_; }
  const nn::Loss& loss() const { return loss_; }
  optim::Optimizer& optimizer() { return optimizer_; }

 private:
  nn::Module& net_;
  nn::Loss loss_;
  optim::Optimizer optimizer_;
};

// The net's states by name, in the order in which they were made: its weights as files hold them.
io::NamedArrays weights_of(const nn::Module& net);

// Fills states from arrays of the same names. Fails naming the first that is missing or of another type; `source` says
// where the arrays come from. `exactly`: more arrays than states fail, too.
void fill_states(const std::vector<nn::StatePtr>& states, const io::NamedArrays& arrays, const std::string& source,
                 bool exactly = true);

}  // namespace descent::train
