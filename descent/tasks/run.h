// A run: a recipe brought to life, and the directory that holds all that made it.
//
//   recipe.toml            as it was used
//   preprocess.json        what was learnt from the training inputs (normalisation, the table's encoding)
//   metrics.jsonl          one line a record
//   last/previous/best.safetensors, report.json
#pragma once

#include <optional>

#include "descent/data/normalizer.h"
#include "descent/data/table_encoder.h"
#include "descent/tasks/recipe.h"
#include "descent/train/trainer.h"

namespace descent::tasks {

// What stands between raw inputs and the net, learnt on the training part: one of the two.
struct Preprocess {
  std::optional<data::Normalizer> normalizer = {};  // images
  std::optional<data::TableEncoder> encoder = {};   // tables
  std::vector<std::string> classes = {};
  std::vector<int64_t> input = {};                  // the shape of one example
  std::string to_json() const;
  static Preprocess from_json(const std::string& text);
};

struct Prepared {
  Recipe recipe;
  Preprocess preprocess;
  data::Splits splits;
  train::Trainer trainer;
  train::FitOptions options;
};

// The data, net, loss and optimiser of a recipe. Fails in one sentence with the recipe's line.
Prepared prepare(const Recipe& recipe, nn::Precision precision);

// A trained run, ready to evaluate and predict: its net with the best (or else the last) weights.
struct Loaded {
  Recipe recipe;
  Preprocess preprocess;
  train::Trainer trainer;
};
Loaded load_run(const std::filesystem::path& directory);

// The recipe's data, divided and encoded as the training was.
data::Splits load_splits(const Recipe& recipe);

// The net of a recipe's layers over what the preprocessing needs.
nn::ModulePtr make_run_net(const Recipe& recipe, const Preprocess& preprocess);

}  // namespace descent::tasks
