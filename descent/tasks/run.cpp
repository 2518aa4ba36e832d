#include "descent/tasks/run.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "descent/base/text.h"
#include "descent/base/threads.h"
#include "descent/io/atomic_file.h"
#include "descent/io/checkpoint.h"
#include "descent/runtime/backend.h"
#include "descent/tasks/go.h"
#include "descent/tasks/language.h"
#include "descent/tasks/run_net.h"
#include "descent/tasks/separable.h"
#include "descent/tasks/transcribe.h"

namespace descent::tasks {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

std::string content(const fs::path& path) {
  const std::vector<std::byte> bytes = io::read_file(path, uint64_t{1} << 28);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool holds_run(const fs::path& directory) { return fs::exists(directory / "run.json"); }

void require_run(const fs::path& directory) {
  if (!holds_run(directory)) throw UsageError(text(directory.string(), " holds no run: it has no run.json"));
}

// run.json last: it says that the other files are there.
void write_run_files(const fs::path& directory, const Experiment& experiment) {
  std::error_code problem;
  fs::create_directories(directory, problem);
  if (problem) fail(text("cannot make the run's directory ", directory.string(), ": ", problem.message()));
  io::write_file(directory / "recipe.toml", experiment.recipe.text);
  io::write_file(directory / "preprocess.json", experiment.preprocess.to_json());
  if (transcribes(experiment.recipe)) save_language_models(experiment.recipe, experiment.splits.train, directory);
  const Json run{{"descent", DESCENT_VERSION},
                 {"recipe", experiment.recipe.path.string()},
                 {"base", fs::absolute(experiment.recipe.base).lexically_normal().string()},
                 {"threads", thread_count()},
                 {"device", default_backend().describe()}};
  io::write_file(directory / "run.json", run.dump(1) + "\n");
}

Json read_json(const fs::path& path) {
  try {
    return Json::parse(content(path));
  } catch (const nlohmann::json::exception& problem) {
    fail(text(path.string(), " cannot be read: ", problem.what()));
  }
}

Json run_facts(const fs::path& directory) { return read_json(directory / "run.json"); }

void check_directory(const Recipe& recipe, const RunOptions& options) {
  const fs::path& directory = options.directory;
  if (!options.resume) {
    if (holds_run(directory))
      throw UsageError(text(directory.string(), " holds a run already; go on with it by --resume ", directory.string(),
                            ", or choose another folder"));
    return;
  }
  require_run(directory);
  const std::string difference = first_difference(recipe_of_run(directory), recipe);
  if (!difference.empty())
    throw UsageError(text(directory.string(), " cannot go on with a changed recipe: ", difference));
}

Json to_json(const train::Figures& figures) {
  Json out = Json::object();
  for (const auto& [name, value] : figures) out[name] = value;
  return out;
}

// Rows that are made when they are wanted may be millions, or long texts: some of those that were trained on speak for
// all.
data::Dataset training_rows(const data::Dataset& training) {
  constexpr int64_t most_rows = 20000, most_places = int64_t{1} << 18;
  if (!training.source) return training;
  const int64_t places = training.targets ? training.targets.shape().without(0).elements() : 1;
  return training.spread(std::min(most_rows, std::max<int64_t>(1, most_places / std::max<int64_t>(1, places))));
}

train::Evaluation judge(train::Evaluator& evaluator, const data::Dataset& part) {
  return part.size() > 0 && part.targets ? evaluator(part) : train::Evaluation{};
}

train::Evaluation judge_test(const Experiment& experiment, train::Evaluator& evaluator) {
  const data::Dataset& part = experiment.splits.test;
  const train::TestTimeViews views = experiment.recipe.views();
  if (views.count() == 1 || part.size() == 0 || !part.targets) return judge(evaluator, part);
  return train::evaluate(*experiment.net, experiment.loss, part, views, experiment.evaluate_options());
}

// What the run's own search makes of the test part.
void add_search(const Experiment& experiment, const fs::path& directory, train::Figures& figures) {
  const Run run{directory, experiment.recipe, experiment.preprocess, experiment.net, experiment.loss, ""};
  std::ranges::copy(judge_search(run, experiment.splits.test, decoding(run)).figures, std::back_inserter(figures));
}

void write_results(const RunResult& result, const nn::Module& net) {
  io::save_safetensors(result.directory / "weights.safetensors",
                       {train::weights_of(net), {{"weights_sha256", result.report.weights_sha256}}});
  io::write_file(result.directory / "report.json", result.to_json() + "\n");
}

}  // namespace

RunResult train_run(const Recipe& recipe, const RunOptions& options) {
  check_directory(recipe, options);
  Experiment experiment = prepare(recipe);
  if (!options.resume) write_run_files(options.directory, experiment);
  train::FitOptions fit = experiment.fit_options();
  fit.directory = options.directory;
  fit.resume = options.resume;
  fit.progress = options.progress;
  train::Trainer trainer(*experiment.net, experiment.loss, experiment.optimizer);
  RunResult result{.directory = options.directory};
  result.report = trainer.fit(experiment.splits.train, fit);
  if (result.report.outcome == train::Outcome::interrupted) return result;
  train::Evaluator evaluator(*experiment.net, experiment.loss, experiment.evaluate_options());
  result.train = judge(evaluator, training_rows(experiment.splits.train)).figures;
  result.validation = judge(evaluator, experiment.splits.validation).figures;
  const train::Evaluation test = judge_test(experiment, evaluator);
  result.test = test.figures;
  if (transcribes(recipe)) add_search(experiment, options.directory, result.test);
  result.confusion = test.confusion;
  result.classes = experiment.preprocess.classes;
  const data::Splits& splits = experiment.splits;
  result.baseline = ngram_baseline(splits.train, splits.test.size() > 0 ? splits.test : splits.validation);
  if (!experiment.note.empty()) result.notes.push_back(experiment.note);
  if (const std::string note = separability_note(experiment, result.train); !note.empty()) result.notes.push_back(note);
  write_results(result, *experiment.net);
  return result;
}

std::string RunResult::to_json() const {
  Json out{{"run", directory.string()},
           {"seed", report.seed},
           {"outcome", to_text(report.outcome)},
           {"epochs", report.epochs},
           {"steps", report.steps},
           {"seconds", report.seconds},
           {"samples_per_second", report.samples_per_second},
           {"precision", report.precision},
           {"threads", thread_count()},
           {"best_epoch", report.best_epoch},
           {"train", tasks::to_json(train)},
           {"validation", tasks::to_json(validation)},
           {"test", tasks::to_json(test)},
           {"notes", notes},
           {"warnings", report.warnings},
           {"weights_sha256", report.weights_sha256}};
  if (baseline) out["baseline"] = tasks::to_json(baseline->figures());
  return out.dump();
}

Recipe recipe_of_run(const fs::path& directory, const std::vector<std::string>& overrides) {
  require_run(directory);
  Recipe recipe = parse_recipe(content(directory / "recipe.toml"), directory / "recipe.toml", overrides);
  recipe.base = run_facts(directory).value("base", "");
  return recipe;
}

int threads_of_run(const fs::path& directory) {
  require_run(directory);
  return run_facts(directory).value("threads", 0);
}

namespace {

// A figure that is no number was none when it was written, either.
train::Figures figures_from(const Json& report, const char* part) {
  train::Figures out;
  for (const auto& [name, value] : report.at(part).items())
    out.emplace_back(name, value.is_null() ? std::nan("") : value.get<double>());
  return out;
}

}  // namespace

std::optional<RunFigures> figures_of_run(const fs::path& directory) {
  const fs::path path = directory / "report.json";
  if (!fs::exists(path)) return std::nullopt;
  const Json report = read_json(path);
  try {
    return RunFigures{figures_from(report, "train"), figures_from(report, "validation"), figures_from(report, "test"),
                      report.at("seconds").get<double>()};
  } catch (const nlohmann::json::exception& problem) {
    fail(text(path.string(), " cannot be read: ", problem.what()));
  }
}

// --- a trained run ---

namespace {

struct Weights {
  io::NamedArrays arrays;
  fs::path path;
};

// The end's, or the best's, or the last checkpoint's.
Weights find_weights(const fs::path& directory) {
  const fs::path end = directory / "weights.safetensors";
  if (fs::exists(end)) return {io::load_safetensors(end).tensors, end};
  for (const char* name : {"best", "last", "previous"})
    if (fs::exists(directory / text(name, ".safetensors"))) {
      io::LoadedCheckpoint loaded = io::load_newest_good(directory, {"best", "last", "previous"});
      return {std::move(loaded.checkpoint.tensors), loaded.path};
    }
  fail(text(directory.string(), " has no weights yet: its training did not come to a checkpoint"));
}

}  // namespace

train::EvaluateOptions Run::evaluate_options() const {
  return {.precision = recipe.precision(), .unit = error_unit(preprocess), .top_k = recipe.train.integer("top_k")};
}

data::Dataset Run::examples(const std::string& what) const {
  const bool own = what == "train" || what == "validation" || what == "test";
  if (!own && go_board_size(preprocess)) return load_go_like(preprocess, what, wants_value(recipe));
  if (!own && transcribes(recipe)) return load_spoken_like(*this, what);
  if (!own && is_language(preprocess)) return load_text_like(preprocess, what);
  if (!own) return load_examples_like(preprocess, task(), what);
  const data::Splits splits = load_examples(recipe).splits;
  data::Dataset part = what == "train" ? splits.train : what == "validation" ? splits.validation : splits.test;
  if (part.size() == 0) throw UsageError(text("the run's data have no ", what, " part"));
  return part;
}

Run load_run(const fs::path& directory) {
  Recipe recipe = recipe_of_run(directory);
  Preprocess preprocess = Preprocess::from_json(content(directory / "preprocess.json"));
  std::shared_ptr<nn::Module> net = make_run_net(recipe, preprocess);
  nn::make_parameters(*net, preprocess.batch(1), 0);
  const Weights weights = find_weights(directory);
  train::fill_states(nn::all_states(*net), weights.arrays, weights.path.string(), false);
  nn::Loss loss = recipe.make_loss();
  return {directory, std::move(recipe), std::move(preprocess), std::move(net), std::move(loss), weights.path.string()};
}

}  // namespace descent::tasks
