// Recipes: what to train, on what and how, as one TOML file.
//
//   task = "classify"                               # or "regress", "language", "reply", "transcribe"
//   layers = [ { kind = "flatten" }, { kind = "linear", features = 10 } ]
//   [data]       name = "mnist"                     # or csv, npz, idx, cifar, images, sounds, go, text, dialogue, table: see
//                                                   # recipe_sections()
//   [loss]       kind = "cross_entropy"
//   [optimizer]  kind = "adamw", learning_rate = 0.001
//   [schedule]   kind = "cosine"
//   [train]      epochs = 10, batch_size = 128, seed = 0 ...
//   [augment]    shift = 2 ...
//   [evaluate]   flip = true ...
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "descent/nn/losses.h"
#include "descent/nn/sequential.h"
#include "descent/optim/optimizer.h"
#include "descent/optim/schedules.h"
#include "descent/train/test_time.h"
#include "descent/train/trainer.h"

namespace descent::tasks {

// Everything checked: sections with their defaults filled in, and each kind and setting known.
struct Recipe {
  std::filesystem::path path;  // where it was read from, as errors call it
  std::filesystem::path base;  // the folder that relative paths of data count from
  std::string text;            // TOML, with the overrides in it: what a run keeps
  std::string task;
  nn::Settings data, loss, optimizer, schedule, train, augment, evaluate;  // loss to schedule still have their `kind`
  std::vector<nn::Settings> layers;                                        // or, where it is empty:
  nn::Settings ready;                                                      // a ready net by its `kind`

  nn::Sequential net() const;  // made anew at each call
  nn::Loss make_loss() const;
  optim::Optimizer make_optimizer() const;

  // What [train], [schedule] and [augment] say; without data, directory and progress.
  train::FitOptions fit_options() const;

  // How the test part is judged at a run's end, and by `descent evaluate`.
  train::TestTimeViews views() const { return {evaluate.flag("flip"), evaluate.integer("shift")}; }

  nn::Precision precision() const;
  uint64_t seed() const { return static_cast<uint64_t>(train.integer("seed")); }
  std::vector<std::string> ignored_columns() const;
};

// Reads and checks everything that can be checked without data. Each override is KEY=VALUE with a dotted key
// ("train.epochs=3", "layers.1.features=64") and a TOML value; a bare word is a string. Fails with UsageError naming
// file, line and key (or the override), and the nearest known name where one is unknown.
Recipe read_recipe(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});
Recipe parse_recipe(const std::string& text, const std::filesystem::path& path,
                    const std::vector<std::string>& overrides = {});

// The first key in which two recipes differ, but for those that change no result: "train.batch_size is 128 in the run
// and 64 now"; "" if they say the same.
std::string first_difference(const Recipe& run, const Recipe& now);

// The sections whose settings are not those of a kind (data, train, augment, evaluate), with their rules: for
// documentation.
struct RecipeSection {
  std::string_view name;
  std::span<const nn::SettingRule> rules;
};
std::span<const RecipeSection> recipe_sections();

}  // namespace descent::tasks
