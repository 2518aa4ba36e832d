#include "descent/train/fit.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "descent/base/text.h"
#include "descent/nn/from_examples.h"
#include "descent/train/interrupt.h"
#include "descent/train/transcripts.h"
#include "descent/train/value.h"

namespace descent::train {

namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Figures& figures) {
  Json out = Json::object();
  for (const auto& [name, value] : figures) out[name] = value;
  return out;
}

double seconds_between(std::chrono::steady_clock::time_point begin, std::chrono::steady_clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

void check(const data::Dataset& training, const FitOptions& options) {
  const auto positive = [](int64_t value, std::string_view what) {
    if (value < 1) throw UsageError(text("fit: ", what, " must be at least 1, got ", value));
  };
  positive(options.epochs, "the number of epochs");
  positive(options.batch_size, "the batch size");
  if (training.size() == 0) fail("fit: the training part has no rows");
  if (!training.targets) fail("fit: the training part has no targets to learn");
  const bool validated = options.validation.size() > 0;
  if (options.patience > 0 && !validated)
    throw UsageError(text("fit: a patience of ", options.patience, " epochs needs a validation part to judge by"));
  if (!options.monitor.empty() && !validated)
    throw UsageError(text("fit: there is no validation part whose '", options.monitor, "' could be watched"));
  if (!(options.average >= 0 && options.average < 1))
    throw UsageError(
        text("fit: the decay of the weights' average must be at least 0 and below 1, got ", options.average));
}

data::BatchOptions batch_options(const FitOptions& options) {
  return {.batch_size = options.batch_size,
          .seed = options.seed,
          .drop_last = options.drop_last,
          .epoch_size = options.epoch_size,
          .augment = options.augment,
          .threads = options.data_threads};
}

// Mixtures have parts of classes as targets.
void check_mixtures(const nn::Loss& loss, const FitOptions& options) {
  const bool signs = loss.name() == nn::Hinge::name || loss.name() == nn::Perceptron::name;
  if (signs && options.augment && options.augment->mixes())
    throw UsageError(text("fit: the loss '", loss.name(), "' takes labels only, but mixup and cutmix make parts of ",
                          "classes; did you mean '", nn::CrossEntropy::name, "'?"));
}

const FitOptions& checked(const data::Dataset& training, const nn::Loss& loss, const FitOptions& options) {
  check(training, options);
  check_mixtures(loss, options);
  return options;
}

std::string monitored(const nn::Loss& loss, const FitOptions& options) {
  if (!options.monitor.empty()) return options.monitor;
  const bool labels = options.validation.targets && options.validation.targets.dtype() == DType::i32;
  const bool known = loss.metric() == "accuracy" ? labels : !labels;
  return loss.metric().empty() || !known ? "loss" : loss.metric();
}

}  // namespace

void Tally::add(const StepResult& result, int64_t batch_rows) {
  loss += result.loss * static_cast<double>(batch_rows);
  correct += result.correct;
  rows += static_cast<double>(batch_rows);
}

Figures Tally::figures(bool classes) const {
  Figures out{{"loss", rows > 0 ? loss / rows : 0}};
  if (classes) out.emplace_back("accuracy", rows > 0 ? correct / rows : 0);
  return out;
}

Fit::Fit(nn::Module& net, const nn::Loss& loss, optim::Optimizer optimizer, const data::Dataset& training,
         const FitOptions& options)
    : net_(net),
      options_(checked(training, loss, options)),
      step_(net, loss, std::move(optimizer), step_options_of(options)),
      batches_(training, batch_options(options)),
      evaluator_(net, loss, {options.precision, 2000, options.unit, options.top_k, options.seed}),
      stopping_(monitored(loss, options), options.patience),
      files_(options.directory),
      counts_correct_(step_.counts_correct(data::target_row_type(training, options.augment))) {
  const int64_t per_epoch = batches_.batches_per_epoch();
  if (options.schedule) schedule_ = options.schedule({options.epochs * per_epoch, per_epoch});
  report_.seed = options.seed;
  report_.precision = nn::use_bf16(options.precision) ? "bf16" : "f32";
}

Report Fit::run() {
  const InterruptGuard guard(options_.catch_signals);
  if (options_.resume) resume();
  show_examples();
  while (!done() && report_.outcome != Outcome::interrupted) {
    train_epoch();
    if (report_.outcome != Outcome::interrupted) finish_epoch();
  }
  finish();
  return std::move(report_);
}

// Layers whose weights come from the data see some of the training rows, spread evenly.
void Fit::show_examples() {
  if (!nn::wants_examples(net_)) return;
  const data::Dataset& training = batches_.data();
  constexpr int64_t most_rows = 5000, most_elements = int64_t{1} << 24;
  const int64_t elements = std::max<int64_t>(1, training.row_type().shape.elements());
  const int64_t count = std::min({most_rows, training.size(), std::max<int64_t>(1, most_elements / elements)});
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < count; ++i) rows.push_back(i * training.size() / count);
  nn::initialise_from_examples(net_, training.select(rows).read_inputs(0, count), options_.seed);
}

void Fit::train_epoch() {
  if (at_.batch == 0) tally_ = {};
  step_.begin_epoch(at_.epoch);
  batches_.start(static_cast<uint64_t>(at_.epoch), at_.batch);
  Clock::time_point begin = Clock::now();
  while (const data::Batch* batch = batches_.next()) {
    if (snapshot_.values.empty() || snapshot_.at.epoch != at_.epoch) {
      step_.prepare(*batch);  // so that all states are there
      if (snapshot_.values.empty()) check_labels();
      take_snapshot();
    }
    const StepResult result = do_step(*batch, false);
    if (!std::isfinite(result.loss)) diverged();
    tally_.add(result, batch->inputs.shape()[0]);
    train_samples_ += static_cast<double>(batch->inputs.shape()[0]);
    ++at_.batch;
    ++at_.step;
    if (stop_requested()) report_.outcome = Outcome::interrupted;
    const Clock::time_point now = Clock::now();
    const bool interrupted = report_.outcome == Outcome::interrupted;
    const bool save_now = interrupted || seconds_between(last_save_, now) >= options_.checkpoint_seconds;
    if (save_now) {
      train_seconds_ += seconds_between(begin, now);
      if (at_.batch < batches_.batches_per_epoch() || interrupted) save();
      begin = Clock::now();
    }
    show_progress();
    if (interrupted) return;
  }
  train_seconds_ += seconds_between(begin, Clock::now());
}

// A loss would only become infinite by a label that is no class of the net.
void Fit::check_labels() const {
  const auto check = [&](const data::Dataset& part, const char* name) {
    if (!part.targets || part.targets.dtype() != DType::i32) return;
    if (step_.loss().name() == nn::Ctc::name) return check_transcripts(step_.outputs(), part.targets, name);
    if (step_.loss().name() == nn::SequenceCrossEntropy::name)
      return check_padded_labels(step_.outputs(), part.targets, name);
    train::check_labels(step_.outputs(), part.targets, name);
  };
  check(batches_.data(), "fit: the training part");
  check(options_.validation, "fit: the validation part");
}

bool Fit::is_recorded(int64_t step) const {
  return options_.record_every > 0 && (step + 1) % options_.record_every == 0;
}

StepResult Fit::do_step(const data::Batch& batch, bool replayed) {
  step_.optimizer().set_learning_rate(step_.optimizer().base_learning_rate() * schedule_(at_.step));
  const StepResult result = is_recorded(at_.step) ? do_recorded_step(batch, replayed) : step_.run(batch);
  if (step_.lookahead() != nullptr) step_.lookahead()->after_step(at_.step + 1, steps_in_all());
  return result;
}

StepResult Fit::do_recorded_step(const data::Batch& batch, bool replayed) {
  const StepRecord record = step_.run_recorded(batch);
  if (!replayed) write_record(record);
  return record.result;
}

void Fit::write_record(const StepRecord& record) {
  for (const std::string& warning : health_.look(record)) {
    report_.warnings.push_back(text("step ", at_.step + 1, ": ", warning));
    note(text("warning: ", report_.warnings.back()));
  }
  if (!files_.active()) return;
  const double rate = step_.optimizer().learning_rate();
  Json line{{"step", at_.step + 1},
            {"epoch", at_.epoch + 1},
            {"loss", record.result.loss},
            {"learning_rate", rate},
            {"gradient_norm", record.gradient_norm}};
  for (const StepRecord::Parameter& each : record.parameters)
    line["parameters"][each.name] = {
        {"learning_rate", rate}, {"gradient_norm", each.gradient_norm}, {"update_ratio", each.update_ratio}};
  for (const StepRecord::Units& each : record.units) line["dead_units"][each.layer] = each.dead;
  files_.record(line.dump());
}

void Fit::finish_epoch() {
  EpochFigures epoch{.epoch = at_.epoch + 1};
  epoch.train = tally_.figures(counts_correct_);
  epoch.learning_rate = step_.optimizer().learning_rate();
  epoch.validation = validate(epoch.epoch, epoch.best);
  epoch.seconds = seconds_before_ + seconds_between(begin_, Clock::now());
  write_epoch(epoch);
  report_.train = epoch.train;
  report_.history.push_back(epoch);
  at_ = {at_.epoch + 1, 0, at_.step};
  if (options_.progress) options_.progress->epoch(moment(), epoch);
  save_if_due(done() ? 0 : options_.checkpoint_seconds / 10);
}

Figures Fit::validate(int64_t epoch, bool& best) {
  if (options_.validation.size() == 0) return {};
  std::optional<optim::ExponentialMovingAverage::Swapped> averaged;
  if (step_.average() != nullptr) averaged.emplace(*step_.average());
  const Figures figures = evaluator_(options_.validation).figures;
  best = stopping_.observe(figures, epoch);
  schedule_.observe(figure(figures, "loss").value());
  if (best) keep_as_best(figures, epoch);
  report_.validation = figures;
  return figures;
}

void Fit::keep_as_best(const Figures& figures, int64_t epoch) {
  const std::vector<nn::StatePtr> states = nn::all_states(net_);
  best_.values.resize(states.size());
  for (size_t i = 0; i < states.size(); ++i) {
    if (!best_.values[i]) best_.values[i] = Array(states[i]->type());
    std::ranges::copy(states[i]->array().bytes(), best_.values[i].bytes().begin());
  }
  best_.figures = figures;
  best_.epoch = epoch;
  best_.saved = false;
}

void Fit::write_epoch(const EpochFigures& epoch) {
  if (!files_.active()) return;
  Json line{{"epoch", epoch.epoch},
            {"steps", at_.step},
            {"seconds", epoch.seconds},
            {"learning_rate", epoch.learning_rate},
            {"train", to_json(epoch.train)}};
  if (!epoch.validation.empty()) line["validation"] = to_json(epoch.validation);
  files_.record(line.dump());
}

// What the net is left with: the best weights, or the averages, or the last ones.
void Fit::finish() {
  if (report_.outcome != Outcome::interrupted) {
    if (at_.epoch < options_.epochs) report_.outcome = Outcome::stopped_early;
    const std::vector<nn::StatePtr> states = nn::all_states(net_);
    if (options_.keep_best && !best_.values.empty()) {
      for (size_t i = 0; i < states.size(); ++i) states[i]->assign(best_.values[i]);
      report_.validation = best_.figures;
      report_.best_epoch = best_.epoch;
    } else if (step_.average() != nullptr) {
      step_.average()->swap();
    }
  }
  files_.flush();
  report_.epochs = at_.epoch;
  report_.steps = at_.step;
  report_.seconds = seconds_before_ + seconds_between(begin_, Clock::now());
  report_.samples_per_second = train_seconds_ > 0 ? train_samples_ / train_seconds_ : 0;
  report_.weights_sha256 = io::weights_sha256(weights_of(net_));
}

void Fit::note(const std::string& text) {
  if (options_.progress) options_.progress->note(text);
}

Moment Fit::moment() const {
  Moment out{.epoch = at_.epoch, .epochs = options_.epochs, .batch = at_.batch, .step = at_.step};
  out.batches = batches_.batches_per_epoch();
  out.loss = tally_.rows > 0 ? tally_.loss / tally_.rows : 0;
  if (counts_correct_ && tally_.rows > 0) out.accuracy = tally_.correct / tally_.rows;
  out.learning_rate = step_.learning_rate();
  const double elapsed = seconds_between(begin_, Clock::now());
  const auto steps = static_cast<double>(at_.step - steps_before_);
  if (steps > 0) {
    out.samples_per_second = train_samples_ / elapsed;
    out.seconds_left = elapsed / steps * static_cast<double>(options_.epochs * out.batches - at_.step);
  }
  return out;
}

void Fit::show_progress() {
  constexpr std::chrono::milliseconds tick{100};
  if (!options_.progress || Clock::now() - last_shown_ < tick) return;
  last_shown_ = Clock::now();
  options_.progress->step(moment());
}

}  // namespace descent::train
