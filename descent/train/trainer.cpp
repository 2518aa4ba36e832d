#include "descent/train/trainer.h"

#include <chrono>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "descent/io/checkpoint.h"
#include "descent/nn/summary.h"
#include "descent/ops/ops.h"
#include "descent/optim/average.h"

namespace descent::train {

namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

std::atomic<bool> stop_requested{false};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// --- what is measured of a batch: sums, so that batches of any size add up ---

struct Measure {
  std::string name;
  Tensor sum;          // f32 scalar
  bool root = false;   // the metric is the root of the mean
};

Tensor correct_count(Tensor scores, Tensor labels) {
  if (scores.shape().back() > 1) return sum(cast(top_k_correct(scores, labels, 1), DType::f32));
  const Tensor said = cast(less(0.0, reshape(scores, labels.shape())), DType::f32);
  return sum(cast(equal(said, cast(labels, DType::f32)), DType::f32));
}

std::vector<Measure> measures(const nn::Loss& loss, Tensor outputs, Tensor targets) {
  std::vector<Measure> out;
  if (loss.metric() == "accuracy" && targets.dtype() == DType::i32) out.push_back({"accuracy", correct_count(outputs, targets)});
  if (loss.metric() == "rmse" || loss.metric() == "mae") {
    const Tensor difference = outputs - reshape(targets, outputs.shape());
    out.push_back({"rmse", sum(square(difference)), true});
    out.push_back({"mae", sum(abs(difference))});
  }
  return out;
}

// Adds up one batch after the other.
class Tally {
 public:
  void add(std::span<const Array> results, int64_t rows) {
    if (sums_.size() < results.size()) sums_.resize(results.size(), 0);
    sums_[0] += results[0].item() * static_cast<double>(rows);
    for (size_t i = 1; i < results.size(); ++i) sums_[i] += results[i].item();
    rows_ += rows;
  }
  double mean(size_t i) const { return i < sums_.size() && rows_ > 0 ? sums_[i] / static_cast<double>(rows_) : NAN; }
  std::vector<double> memory() const {
    std::vector<double> out{static_cast<double>(rows_)};
    out.insert(out.end(), sums_.begin(), sums_.end());
    return out;
  }
  void restore(const std::vector<double>& memory) {
    rows_ = static_cast<int64_t>(memory.at(0));
    sums_.assign(memory.begin() + 1, memory.end());
  }
  Scores scores(const std::vector<std::pair<std::string, bool>>& names) const {
    Scores out{{"loss", mean(0)}};
    for (size_t i = 0; i < names.size(); ++i) out[names[i].first] = names[i].second ? std::sqrt(mean(i + 1)) : mean(i + 1);
    return out;
  }

 private:
  std::vector<double> sums_;
  int64_t rows_ = 0;
};

// --- one fit ---

class Fit {
 public:
  Fit(nn::ModulePtr net, nn::Loss loss, optim::Optimizer optimizer, const data::Dataset& train, const FitOptions& options)
      : net_(std::move(net)), loss_(std::move(loss)), optimizer_(std::move(optimizer)), options_(options), random_(options.seed),
        batches_(train, {.batch_size = std::min<int64_t>(options.batch_size, train.size()), .seed = options.seed, .drop_last = true,
                         .augment = options.augment, .threads = options.data_threads}),
        average_(options.average > 0 ? std::make_optional<optim::ExponentialMovingAverage>(options.average) : std::nullopt),
        step_(make_step(false)), recorded_step_(make_step(true)) {
    const optim::RunLength length{options.epochs * batches_.batches_per_epoch(), batches_.batches_per_epoch()};
    if (options.schedule) schedule_ = options.schedule(length);
  }

  Program compiled(std::function<void(std::string_view, const std::string&)> observe) const {
    nn::Function::Traced traced = step_.trace(batch_types());
    traced.options.observe = std::move(observe);
    std::vector<Value> results;
    for (const Tensor& result : traced.results) results.push_back(result.value());
    return compile_graph(*traced.graph, results, traced.options).program;
  }

  Report run(Trainer& trainer) {
    begin_ = last_save_ = Clock::now();
    prepare();
    if (options_.resume) restore();
    if (!options_.directory.empty()) metrics_.open(options_.directory / "metrics.jsonl", std::ios::app);
    const int64_t first_step = steps_;
    for (; epoch_ < options_.epochs && !report_.stopped_early && !report_.interrupted;) {
      train_epoch();
      if (report_.interrupted) break;
      finish_epoch(trainer);
    }
    if (average_ && !report_.interrupted) average_->swap();  // the averages are what was trained
    report_.epochs = epoch_;
    report_.steps = steps_;
    report_.seconds = seconds_since(begin_);
    report_.samples_per_second = static_cast<double>((steps_ - first_step) * batches_.options().batch_size) / train_seconds_;
    report_.precision = nn::use_bf16(options_.precision) ? "bf16" : "f32";
    return report_;
  }

 private:
  nn::Function make_step(bool recorded) {
    return nn::compile(
        [this, recorded](nn::Pass& pass, Tensor x, Tensor y) -> Tensors {
          const Tensor outputs = net_->forward(pass, x);
          const Tensor loss = loss_(outputs, y);
          optim::MinimizeOptions minimize = options_.minimize;
          minimize.gradient_norm = minimize.per_parameter = recorded;
          const optim::Minimized minimized = optim::minimize(pass, loss, optimizer_, minimize);
          if (average_) average_->update(pass);
          Tensors results{loss};
          names_.clear();
          for (const Measure& measure : measures(loss_, outputs, y)) {
            results.push_back(measure.sum);
            names_.emplace_back(measure.name, measure.root);
          }
          if (!recorded) return results;
          results.push_back(minimized.gradient_norm);
          recorded_.clear();
          for (const auto& parameter : minimized.parameters) {
            recorded_.push_back(parameter.parameter->name());
            results.push_back(parameter.gradient_norm);
            results.push_back(parameter.update_ratio);
          }
          return results;
        },
        {.training = true, .precision = options_.precision, .seed = options_.seed, .random = &random_});
  }


  // Compiling makes the parameters and moments, which a checkpoint then fills.
  void prepare() { step_.prepare(batch_types()); }

  std::vector<Type> batch_types() const {
    const data::Dataset& data = batches_.data();
    const int64_t rows = batches_.options().batch_size;
    return {data.inputs.rows(0, rows).type(), data.targets.rows(0, rows).type()};
  }

  std::vector<nn::StatePtr> states() const {
    std::vector<nn::StatePtr> out = nn::all_states(*net_);
    for (const nn::StatePtr& state : optimizer_.states()) out.push_back(state);
    if (average_)
      for (const nn::StatePtr& state : average_->states()) out.push_back(state);
    out.push_back(random_.key);
    out.push_back(random_.counter);
    return out;
  }

  // --- an epoch ---

  void train_epoch() {
    batches_.start(static_cast<uint64_t>(epoch_), batch_);
    tally_ = {};
    const Clock::time_point begin = Clock::now();
    const int64_t first = batch_;
    while (const data::Batch* batch = batches_.next()) {
      run_step(*batch);
      ++batch_;
      ++steps_;
      const double seconds = seconds_since(begin);
      if (options_.progress) tell(seconds, batch_ - first);
      if (stop_requested.exchange(false)) {
        report_.interrupted = true;
        save();
        break;
      }
      if (seconds_since(last_save_) > options_.checkpoint_seconds) save();
    }
    train_seconds_ += seconds_since(begin);
    report_.train = tally_.scores(names_);
  }

  void run_step(const data::Batch& batch) {
    optimizer_.set_learning_rate(optimizer_.base_learning_rate() * schedule_(steps_));
    const bool record = metrics_.is_open() && options_.record_every > 0 && steps_ % options_.record_every == 0;
    const Array inputs[] = {batch.inputs, batch.targets};
    const std::span<const Array> results = (record ? recorded_step_ : step_)(inputs);
    const double loss = results[0].item();
    if (!std::isfinite(loss)) diverged(loss);
    tally_.add(results.first(1 + names_.size()), batch.inputs.shape()[0]);
    if (record) write_record(results, loss);
  }

  [[noreturn]] void diverged(double loss) const {
    throw Diverged(text("step ", steps_ + 1, " (epoch ", epoch_ + 1, "): the loss is ", loss, " at learning rate ", optimizer_.learning_rate(),
                        "; ", where_it_began(), "try a smaller learning rate, clip the gradient, or look for extreme values in the data",
                        options_.directory.empty() ? "" : text("; the last good checkpoint is in ", options_.directory.string())));
  }

  // The first parameter that is not finite any more.
  std::string where_it_began() const {
    for (const nn::ParameterPtr& parameter : nn::all_parameters(*net_))
      for (const float value : parameter->array().as<float>())
        if (!std::isfinite(value)) return text("the first layer with values that are not numbers is ", parameter->name(), "; ");
    return "all parameters are still finite, so it began in the loss; ";
  }

  void tell(double seconds, int64_t done) {
    Progress progress{.epoch = epoch_, .epochs = options_.epochs, .batch = batch_, .batches = batches_.batches_per_epoch(), .step = steps_};
    progress.loss = tally_.mean(0);
    progress.metric = names_.empty() ? NAN : tally_.mean(1);
    progress.samples_per_second = static_cast<double>(done * batches_.options().batch_size) / seconds;
    const double left = static_cast<double>((options_.epochs - epoch_) * progress.batches - batch_);
    progress.seconds_left = left * seconds / static_cast<double>(done);
    options_.progress(progress);
  }

  void write_record(std::span<const Array> results, double loss) {
    size_t next = 1 + names_.size();
    json line{{"step", steps_ + 1}, {"epoch", epoch_}, {"loss", loss}, {"learning_rate", optimizer_.learning_rate()}, {"gradient_norm", results[next++].item()}};
    for (const std::string& name : recorded_) {
      line["layers"][name] = {{"gradient_norm", results[next].item()}, {"update_ratio", results[next + 1].item()}};
      next += 2;
    }
    metrics_ << line.dump() << std::endl;
  }

  void finish_epoch(Trainer& trainer) {
    Scores validation;
    std::optional<optim::ExponentialMovingAverage::Swapped> averaged;
    if (average_) averaged.emplace(*average_);
    if (options_.validation.size() > 0) {
      validation = trainer.evaluate(options_.validation, options_.precision);
      report_.validation = validation;
      judge(validation);
    }
    averaged.reset();
    if (metrics_.is_open()) metrics_ << json{{"step", steps_}, {"epoch", epoch_ + 1}, {"train", report_.train}, {"validation", validation}}.dump() << std::endl;
    if (options_.progress) {
      Progress progress{.epoch = epoch_, .epochs = options_.epochs, .batch = batch_, .batches = batches_.batches_per_epoch(), .step = steps_,
                        .loss = report_.train["loss"]};
      progress.metric = names_.empty() ? NAN : report_.train[names_[0].first];
      progress.validation = validation;
      options_.progress(progress);
    }
    ++epoch_;
    batch_ = 0;
    save();
  }

  void judge(const Scores& validation) {
    schedule_.observe(validation.at("loss"));
    const bool larger = loss_.metric() == "accuracy";
    const double score = larger ? validation.at("accuracy") : -validation.at("loss");
    if (score > best_) {
      best_ = score;
      since_best_ = 0;
      report_.best = validation;
      if (!options_.directory.empty()) io::save_checkpoint(options_.directory / "best.safetensors", checkpoint());
    } else if (options_.patience > 0 && ++since_best_ >= options_.patience) {
      report_.stopped_early = true;
    }
  }

  // --- checkpoints ---

  io::Checkpoint checkpoint() const {
    io::Checkpoint out;
    for (const nn::StatePtr& state : states()) out.tensors.emplace_back(state->name(), state->array());
    out.manifest = json{{"epoch", epoch_}, {"batch", batch_}, {"step", steps_}, {"seed", options_.seed}, {"best", best_ > -HUGE_VAL ? json(best_) : json()},
                        {"since_best", since_best_}, {"best_scores", report_.best}, {"schedule", schedule_.memory()}, {"tally", tally_.memory()}}.dump();
    return out;
  }

  void save() {
    last_save_ = Clock::now();
    if (!options_.directory.empty()) io::save_last_checkpoint(options_.directory, checkpoint());
  }

  void restore() {
    const io::Checkpoint saved = io::load_newest_good(options_.directory).checkpoint;
    const std::map<std::string, Array> arrays(saved.tensors.begin(), saved.tensors.end());
    for (const nn::StatePtr& state : states()) {
      const auto array = arrays.find(state->name());
      if (array == arrays.end()) fail(text("the checkpoint in ", options_.directory.string(), " has no '", state->name(), "': it is of another net"));
      state->assign(array->second);
    }
    const json manifest = json::parse(saved.manifest);
    epoch_ = manifest.at("epoch");
    batch_ = manifest.at("batch");
    steps_ = manifest.at("step");
    best_ = manifest.at("best").is_null() ? -HUGE_VAL : manifest.at("best").get<double>();
    since_best_ = manifest.at("since_best");
    report_.best = manifest.at("best_scores").get<Scores>();
    schedule_.restore(manifest.at("schedule").get<std::vector<double>>());
    tally_.restore(manifest.at("tally").get<std::vector<double>>());
  }

  nn::ModulePtr net_;
  nn::Loss loss_;
  optim::Optimizer optimizer_;
  const FitOptions& options_;
  nn::RandomStates random_;
  data::Batches batches_;
  optim::Schedule schedule_;
  std::vector<std::pair<std::string, bool>> names_;  // of the measures
  std::vector<std::string> recorded_;                // of the parameters in a record
  std::optional<optim::ExponentialMovingAverage> average_;
  nn::Function step_, recorded_step_;
  std::ofstream metrics_;
  int64_t epoch_ = 0, batch_ = 0, steps_ = 0, since_best_ = 0;
  double best_ = -HUGE_VAL, train_seconds_ = 0;
  Tally tally_;
  Report report_;
  Clock::time_point begin_, last_save_;
};

}  // namespace

void request_stop() { stop_requested = true; }

Trainer::Trainer(nn::ModulePtr net, nn::Loss loss, optim::Optimizer optimizer)
    : net_(std::move(net)), loss_(std::move(loss)), optimizer_(std::move(optimizer)) {}

namespace {

// Rows in parts of at most this many: large enough for the products, small enough for the caches.
constexpr int64_t evaluation_rows = 1000;

}  // namespace

Scores Trainer::evaluate(const data::Dataset& data, nn::Precision precision) {
  std::vector<std::pair<std::string, bool>> names;
  nn::Function function = nn::compile(
      [&](nn::Pass& pass, Tensor x, Tensor y) -> Tensors {
        const Tensor outputs = net_->forward(pass, x);
        Tensors results{loss_(outputs, y)};
        names.clear();
        for (const Measure& measure : measures(loss_, outputs, y)) {
          results.push_back(measure.sum);
          names.emplace_back(measure.name, measure.root);
        }
        return results;
      },
      {.precision = precision});
  Tally tally;
  for (int64_t begin = 0; begin < data.size(); begin += evaluation_rows) {
    const data::Dataset part = data.rows(begin, std::min(data.size(), begin + evaluation_rows));
    tally.add(function({part.inputs, part.targets}), part.size());
  }
  return tally.scores(names);
}

std::vector<std::pair<std::string, Array>> Trainer::weights() const {
  std::vector<std::pair<std::string, Array>> out;
  for (const nn::StatePtr& state : nn::all_states(*net_)) out.emplace_back(state->name(), state->array());
  return out;
}

void Trainer::load(const std::vector<std::pair<std::string, Array>>& tensors, const Type& input) {
  nn::summarise(*net_, input);  // traces the net once, which makes its states
  const std::map<std::string, Array> arrays(tensors.begin(), tensors.end());
  for (const nn::StatePtr& state : nn::all_states(*net_)) {
    const auto array = arrays.find(state->name());
    if (array == arrays.end()) fail(text("the file has no '", state->name(), "': it is of another net"));
    state->assign(array->second);
  }
}

Array Trainer::predict(const Array& inputs, nn::Precision precision) {
  nn::Function function = nn::compile([&](nn::Pass& pass, Tensor x) { return net_->forward(pass, x); }, {.precision = precision});
  return function({inputs})[0].clone();
}

Program Trainer::compiled(const data::Dataset& train, const FitOptions& options, std::function<void(std::string_view, const std::string&)> observe) {
  return Fit(net_, loss_, optimizer_, train, options).compiled(std::move(observe));
}

Report Trainer::fit(const data::Dataset& train, const FitOptions& options) { return Fit(net_, loss_, optimizer_, train, options).run(*this); }

}  // namespace descent::train
