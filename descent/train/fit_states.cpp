// Checkpoints of a run, going on from them, and finding the step where numbers end.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "descent/base/text.h"
#include "descent/train/diagnose.h"
#include "descent/train/fit.h"

namespace descent::train {

namespace {

using Json = nlohmann::ordered_json;

bool all_finite(const Array& array) {
  if (array.dtype() != DType::f32) return true;
  // A sum of products with 0 is 0 unless one of them is infinite or NaN.
  float sum = 0;
  for (const float value : array.as<float>()) sum += value * 0.0f;
  return sum == 0;
}

// JSON has no infinities; a figure that is one need not be remembered.
Figures finite(Figures figures) {
  std::erase_if(figures, [](const auto& each) { return !std::isfinite(each.second); });
  return figures;
}

Json lookahead_json(const std::optional<optim::LookaheadOptions>& options) {
  return options ? Json{options->every, options->keep, options->power} : Json();
}

// What must be the same for the numbers to be the same; a run is not resumed with other settings.
Json settings_of(const FitOptions& options, const data::Batches& batches, const TrainingStep& step) {
  return {{"epochs", options.epochs},
          {"batch_size", options.batch_size},
          {"epoch_size", options.epoch_size},
          {"seed", options.seed},
          {"rows", batches.data().size()},
          {"validation_rows", options.validation.size()},
          {"drop_last", options.drop_last},
          {"average", options.average},
          {"lookahead", lookahead_json(options.lookahead)},
          {"record_every", options.record_every},
          {"precision", nn::use_bf16(options.precision) ? "bf16" : "f32"},
          {"optimizer", step.optimizer_name()}};
}

}  // namespace

// --- checkpoints ---

std::string Fit::manifest() {
  const EarlyStopping::Memory& stopping = stopping_.memory();
  Json out{{"settings", settings_of(options_, batches_, step_)},
           {"epoch", at_.epoch},
           {"batch", at_.batch},
           {"step", at_.step},
           {"seconds", seconds_before_ + std::chrono::duration<double>(Clock::now() - begin_).count()},
           {"tally", {tally_.loss, tally_.correct, tally_.rows}},
           {"schedule", schedule_.memory()},
           {"best", stopping.best ? Json(*stopping.best) : Json()},
           {"best_epoch", stopping.best_epoch},
           {"waited", stopping.waited},
           {"train", finite(report_.train)},
           {"validation", finite(report_.validation)},
           {"metrics_bytes", files_.flush()}};
  return out.dump();
}

io::Checkpoint Fit::checkpoint() {
  io::Checkpoint out;
  for (const nn::StatePtr& state : step_.states()) out.tensors.emplace_back(state->name(), state->array());
  out.manifest = manifest();
  return out;
}

// The best weights first: a checkpoint never tells of a best that is not on the disk.
void Fit::save() {
  last_save_ = Clock::now();
  for (const nn::StatePtr& state : step_.states())
    if (!all_finite(state->array())) diverged();
  if (!files_.active()) return;
  if (!best_.saved) {
    io::Checkpoint best;
    const std::vector<nn::StatePtr> states = nn::all_states(net_);
    for (size_t i = 0; i < states.size(); ++i) best.tensors.emplace_back(states[i]->name(), best_.values[i]);
    best.manifest = Json{{"epoch", best_.epoch}, {"validation", finite(best_.figures)}}.dump();
    files_.save_best(best);
    best_.saved = true;
  }
  files_.save_last(checkpoint());
  take_snapshot();
  last_save_ = Clock::now();
}

void Fit::save_if_due(double seconds) {
  if (std::chrono::duration<double>(Clock::now() - last_save_).count() >= seconds) save();
}

// --- resuming ---

void Fit::resume() {
  const std::optional<io::LoadedCheckpoint> loaded = files_.load_last();
  if (!loaded) {
    files_.truncate_records(0);
    return note("there is no checkpoint yet: the run begins anew");
  }
  for (const std::string& reason : loaded->passed_over) note(text("passed over: ", reason));
  batches_.start(0);
  step_.begin_epoch(0);
  step_.prepare(*batches_.next());  // makes the states that are to be filled
  fill_states(step_.states(), loaded->checkpoint.tensors, loaded->path.string());
  restore_manifest(loaded->checkpoint.manifest, loaded->path.string());
  if (stopping_.memory().best) {
    const io::Checkpoint best = files_.load_best();
    const Json told = Json::parse(best.manifest);
    best_ = {{}, told.at("validation").get<Figures>(), told.at("epoch").get<int64_t>(), true};
    for (const auto& [name, array] : best.tensors) best_.values.push_back(array);
  }
  note(text("going on from ", loaded->path.string(), ": epoch ", at_.epoch + 1, ", step ", at_.step));
}

void Fit::restore_manifest(const std::string& source, const std::string& file) {
  try {
    const Json in = Json::parse(source);
    const Json now = settings_of(options_, batches_, step_);
    for (const auto& [key, value] : in.at("settings").items())
      if (now.contains(key) && now.at(key) != value)
        throw UsageError(text(file, ": the run was trained with ", key, " ", value.dump(), ", so it cannot go on with ",
                              now.at(key).dump()));
    at_ = {in.at("epoch").get<int64_t>(), in.at("batch").get<int64_t>(), in.at("step").get<int64_t>()};
    steps_before_ = at_.step;
    seconds_before_ = in.at("seconds").get<double>();
    const auto sums = in.at("tally").get<std::vector<double>>();
    tally_ = {sums.at(0), sums.at(1), sums.at(2)};
    schedule_.restore(in.at("schedule").get<std::vector<double>>());
    EarlyStopping::Memory stopping{{}, in.at("best_epoch").get<int64_t>(), in.at("waited").get<int64_t>()};
    if (!in.at("best").is_null()) stopping.best = in.at("best").get<double>();
    stopping_.restore(stopping);
    report_.train = in.at("train").get<Figures>();
    report_.validation = in.at("validation").get<Figures>();
    files_.truncate_records(in.at("metrics_bytes").get<uint64_t>());
  } catch (const nlohmann::json::exception& problem) {
    fail(text(file, ": the checkpoint's manifest cannot be used: ", problem.what()));
  }
}

// --- when numbers end ---

void Fit::take_snapshot() {
  const std::vector<nn::StatePtr> states = step_.states();
  snapshot_.values.resize(states.size());
  for (size_t i = 0; i < states.size(); ++i) {
    if (!snapshot_.values[i]) snapshot_.values[i] = Array(states[i]->type());
    std::ranges::copy(states[i]->array().bytes(), snapshot_.values[i].bytes().begin());
  }
  snapshot_.at = at_;
  snapshot_.tally = tally_;
}

void Fit::restore_snapshot() {
  const std::vector<nn::StatePtr> states = step_.states();
  for (size_t i = 0; i < states.size(); ++i) states[i]->assign(snapshot_.values[i]);
  at_ = snapshot_.at;
  tally_ = snapshot_.tally;
}

// A step is a function of the states and its batch, so the steps since the last snapshot can be done once more, up to
// the one before the loss (or, when saving, a weight) was no number. There it is looked for.
void Fit::diverged() {
  const int64_t bad = at_.step;
  note(text("step ", bad + 1, ": the loss is not a finite number; looking for the place where that began"));
  if (!snapshot_.values.empty()) restore_snapshot();
  batches_.start(static_cast<uint64_t>(at_.epoch), at_.batch);
  const data::Batch* batch = batches_.next();
  for (; batch != nullptr && at_.step < bad; batch = batches_.next(), ++at_.batch, ++at_.step) {
    if (!first_not_finite_state(step_).empty()) break;
    do_step(*batch, true);
  }
  std::string where = first_not_finite_state(step_);
  if (where.empty() && batch != nullptr) where = first_not_finite(step_, *batch);
  const std::string rate = fmt::format("{:.4g}", step_.optimizer().learning_rate());  // kept as f32: no more digits
  const bool saved = files_.active() && files_.load_last();
  throw Diverged(
      text("step ", bad + 1, " (epoch ", at_.epoch + 1, "): the loss is not a finite number",
           where.empty() ? std::string() : text("; it began in ", where), "; the learning rate was ", rate,
           ": try a tenth of it, or clip the gradients (clip_norm = 1), or look for extreme values in the inputs",
           saved ? text("; the last good checkpoint is in ", files_.directory().string()) : std::string()));
}

}  // namespace descent::train
