// A run: a recipe brought to life, and the directory that holds all that made it.
//
//   recipe.toml           the recipe as it was used, overrides included
//   run.json              where its data paths count from, threads, the machine
//   preprocess.json       what was learnt from the training inputs (normalisation, the table's encoding)
//   language.safetensors, words.*                     language models, where speech is transcribed (tasks/decoding.h)
//   metrics.jsonl         a line a record (train/run_files.h)
//   last, previous, best.safetensors                  checkpoints
//   weights.safetensors   the net that the run ended with
//   report.json           what `train --json` prints
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "descent/tasks/baseline.h"
#include "descent/tasks/examples.h"
#include "descent/train/trainer.h"

namespace descent::tasks {

// Everything that training needs, made from a recipe.
struct Experiment {
  Recipe recipe;
  Preprocess preprocess;
  data::Splits splits;
  std::shared_ptr<nn::Module> net;  // with its parameters
  nn::Loss loss;
  optim::Optimizer optimizer;
  std::string note = {};  // of the data

  // Of the recipe, with the validation part and the unit of numbers.
  train::FitOptions fit_options() const;
  train::EvaluateOptions evaluate_options() const;
};

// Reads the data and makes the net. Fails in one sentence with the recipe's line, for a net that does not fit the data
// with the layer, both shapes and what to try.
Experiment prepare(const Recipe& recipe);

struct RunOptions {
  std::filesystem::path directory;
  bool resume = false;
  std::shared_ptr<train::Progress> progress = train::progress_on_stderr();
};

struct RunResult {
  std::filesystem::path directory;
  train::Report report = {};
  // Of the weights that the run ended with; empty without that part, and where it was interrupted.
  train::Figures train = {}, validation = {}, test = {};
  std::optional<train::ConfusionMatrix> confusion = {};  // of the test part, of a classification
  std::vector<std::string> classes = {};                 // their names
  std::optional<NGramBaseline> baseline = {};            // of a text: on its test part, or else its validation part
  std::vector<std::string> notes = {};  // what else is worth saying: that no line separates two classes ...

  std::string to_json() const;
};

// Trains, and writes the directory. A directory that holds a run already is refused unless resuming; resuming with
// another recipe is refused naming the key.
RunResult train_run(const Recipe& recipe, const RunOptions& options);

// The recipe that a run was trained by.
Recipe recipe_of_run(const std::filesystem::path& directory, const std::vector<std::string>& overrides = {});

// How many threads the run was trained with; 0 if that is not known.
int threads_of_run(const std::filesystem::path& directory);

// What a run that came to its end says of itself in report.json; nothing where it did not, or there is none.
struct RunFigures {
  train::Figures train, validation, test;
  double seconds = 0;  // of training
};
std::optional<RunFigures> figures_of_run(const std::filesystem::path& directory);

// A trained run, ready to be asked: its net with the weights that it ended with, or those of the best, or else the last
// checkpoint.
struct Run {
  std::filesystem::path directory;
  Recipe recipe;
  Preprocess preprocess;
  std::shared_ptr<nn::Module> net;
  nn::Loss loss;
  std::string weights;  // the file they are from

  const TaskKind& task() const { return find_task(recipe.task); }
  train::EvaluateOptions evaluate_options() const;

  // "test", "validation" or "train" of the run's own data, or a path (see load_examples_like).
  data::Dataset examples(const std::string& what) const;
};
Run load_run(const std::filesystem::path& directory);

}  // namespace descent::tasks
