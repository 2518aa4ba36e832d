// What a run tells while it goes on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "descent/train/metrics.h"

namespace descent::train {

// How far a run is.
struct Moment {
  int64_t epoch = 0, epochs = 0;   // done, of all
  int64_t batch = 0, batches = 0;  // done in this epoch, of all
  int64_t step = 0;                // done in the run
  double loss = 0;                 // the mean over this epoch so far
  double accuracy = -1;            // likewise; below 0: there is none
  double learning_rate = 0;
  double samples_per_second = 0;
  double seconds_left = 0;  // at this speed
};

// The end of an epoch.
struct EpochFigures {
  int64_t epoch = 0;         // from 1
  Figures train = {};        // means over the epoch's own steps, dropout and all
  Figures validation = {};   // empty without a validation part
  double learning_rate = 0;  // of its last step
  double seconds = 0;        // since the run began, earlier parts of a resumed run included
  bool best = false;         // the best validation so far
};

class Progress {
 public:
  virtual ~Progress() = default;
  virtual void step(const Moment&) {}  // now and then, some ten times a second
  virtual void epoch(const Moment&, const EpochFigures&) {}
  virtual void note(const std::string&) {}  // a warning, or what else a person should read
};

// On standard error: in a terminal one changing line with a bar, and a line an epoch; elsewhere plain lines, an epoch
// each, and some in between when epochs are long.
std::shared_ptr<Progress> progress_on_stderr();

}  // namespace descent::train
