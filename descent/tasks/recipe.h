// Recipes: what to train, on what, how, as one TOML file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "descent/nn/settings.h"

namespace descent::tasks {

struct Recipe {
  std::filesystem::path path;   // where it was read from; relative data paths start there
  std::string text;             // as it is used, overrides included: what a run keeps
  std::string task;             // "classify" or "regress"
  nn::Settings data, loss, optimizer, schedule, train, augment;
  std::vector<nn::Settings> layers;
};

// Reads and checks everything that can be checked without data. Each override is KEY=VALUE with a dotted key
// ("train.epochs=3", "layer.1.features=64") and a TOML value. Fails with UsageError naming file, line and key, and the
// nearest known key where one is unknown.
Recipe read_recipe(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});
Recipe parse_recipe(const std::string& text, const std::filesystem::path& path, const std::vector<std::string>& overrides = {});

// The first key in which two recipes differ, "train.batch_size is 128 in the run and 64 now"; "" if they say the same.
std::string first_difference(const Recipe& run, const Recipe& now);

}  // namespace descent::tasks
