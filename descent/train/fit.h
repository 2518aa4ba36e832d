// One call of Trainer::fit(). Internal to train: the door is trainer.h.
#pragma once

#include <chrono>

#include "descent/train/health.h"
#include "descent/train/run_files.h"
#include "descent/train/stopping.h"
#include "descent/train/trainer.h"

namespace descent::train {

// Where a run is: before this batch of this epoch, after so many steps.
struct Position {
  int64_t epoch = 0, batch = 0, step = 0;
};

// Sums over the steps of an epoch.
struct Tally {
  double loss = 0, correct = 0, rows = 0;

  void add(const StepResult& result, int64_t batch_rows);
  Figures figures(bool classes) const;
};

class Fit {
 public:
  Fit(nn::Module& net, const nn::Loss& loss, optim::Optimizer optimizer, const data::Dataset& training,
      const FitOptions& options);
  Report run();

 private:
  using Clock = std::chrono::steady_clock;

  // fit.cpp: the loop
  void show_examples();
  void train_epoch();
  void finish_epoch();
  Figures validate(int64_t epoch, bool& best);
  void keep_as_best(const Figures& figures, int64_t epoch);
  void finish();
  StepResult do_step(const data::Batch& batch, bool replayed);
  StepResult do_recorded_step(const data::Batch& batch, bool replayed);
  int64_t steps_in_all() const { return options_.epochs * batches_.batches_per_epoch(); }
  void check_labels() const;
  bool is_recorded(int64_t step) const;
  void write_record(const StepRecord& record);
  void write_epoch(const EpochFigures& figures);
  void note(const std::string& text);
  Moment moment() const;
  void show_progress();
  bool done() const { return at_.epoch >= options_.epochs || stopping_.should_stop(); }

  // fit_states.cpp: checkpoints, resuming, and what happens when numbers end
  void save();
  void save_if_due(double seconds);
  io::Checkpoint checkpoint();
  std::string manifest();
  void resume();
  void restore_manifest(const std::string& text, const std::string& source);
  void take_snapshot();
  void restore_snapshot();
  [[noreturn]] void diverged();

  nn::Module& net_;
  const FitOptions& options_;
  TrainingStep step_;
  data::Batches batches_;
  Evaluator evaluator_;
  optim::Schedule schedule_;
  EarlyStopping stopping_;
  RunFiles files_;
  HealthWatch health_;
  bool counts_correct_;  // steps tell how many were right

  Position at_;
  Tally tally_;
  Report report_;
  int64_t steps_before_ = 0;  // done before this call
  double seconds_before_ = 0, train_seconds_ = 0, train_samples_ = 0;
  Clock::time_point begin_ = Clock::now(), last_save_ = begin_, last_shown_ = begin_;

  struct Snapshot {
    std::vector<Array> values;  // of step_.states()
    Position at;
    Tally tally;
  } snapshot_;

  struct Best {
    std::vector<Array> values;  // of the net's states
    Figures figures;
    int64_t epoch = 0;
    bool saved = true;
  } best_;
};

}  // namespace descent::train
