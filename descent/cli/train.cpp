// descent train RECIPE.toml
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>

#include "descent/base/threads.h"
#include "descent/cli/command.h"
#include "descent/cli/session.h"
#include "descent/io/atomic_file.h"
#include "descent/io/checkpoint.h"
#include "descent/runtime/backend.h"
#include "descent/tasks/fit_table.h"
#include "descent/tasks/run.h"

namespace descent::cli {

namespace {

struct TrainFlags {
  std::string recipe, out, resume, precision = "auto";
  std::vector<std::string> sets;
  int64_t seed = -1;
  int threads = 0;
  bool json = false;
};

extern "C" void on_interrupt(int) {
  train::request_stop();
  std::signal(SIGINT, SIG_DFL);  // a second one ends the program at once
  std::signal(SIGTERM, SIG_DFL);
}

std::filesystem::path free_directory(const std::filesystem::path& recipe) {
  for (int i = 1;; ++i) {
    const std::filesystem::path candidate = std::filesystem::path("runs") / fmt::format("{}-{}", recipe.stem().string(), i);
    if (!std::filesystem::exists(candidate)) return candidate;
  }
}

tasks::Recipe recipe_of(const TrainFlags& flags) {
  std::vector<std::string> sets = flags.sets;
  if (flags.seed >= 0) sets.push_back(fmt::format("train.seed={}", flags.seed));
  const std::filesystem::path path = flags.resume.empty() ? std::filesystem::path(flags.recipe) : std::filesystem::path(flags.resume) / "recipe.toml";
  if (path.empty()) throw UsageError("train needs a recipe, or --resume with a run's directory");
  tasks::Recipe recipe = tasks::read_recipe(path, sets);
  if (flags.resume.empty()) return recipe;
  const std::string changed = tasks::first_difference(tasks::read_recipe(path), flags.recipe.empty() ? recipe : tasks::read_recipe(flags.recipe, sets));
  if (!changed.empty()) throw UsageError(fmt::format("{} was trained with another recipe, so it cannot go on with this one: {}", flags.resume, changed));
  return recipe;
}

void write_run_files(const std::filesystem::path& directory, const tasks::Prepared& prepared) {
  std::filesystem::create_directories(directory);
  io::write_file(directory / "recipe.toml", prepared.recipe.text);
  io::write_file(directory / "preprocess.json", prepared.preprocess.to_json());
}

void run_train(const TrainFlags& flags) {
  if (flags.threads > 0) set_thread_count(flags.threads);
  const nn::Precision precision = precision_from(flags.precision);
  const tasks::Recipe recipe = recipe_of(flags);
  fmt::print(stderr, "precision {} ({})\n", precision_reason(precision), default_backend().describe());
  tasks::Prepared prepared = tasks::prepare(recipe, precision);
  const std::filesystem::path directory = !flags.resume.empty() ? std::filesystem::path(flags.resume) : flags.out.empty() ? free_directory(flags.recipe) : std::filesystem::path(flags.out);
  if (flags.resume.empty() && std::filesystem::exists(directory / "last.safetensors"))
    throw UsageError(fmt::format("{} holds a run already; choose another --out, or go on with it: descent train --resume {}", directory.string(), directory.string()));
  write_run_files(directory, prepared);
  prepared.options.directory = directory;
  prepared.options.resume = !flags.resume.empty();
  ProgressPrinter printer(isatty(STDERR_FILENO) != 0, prepared.trainer.loss().metric());
  prepared.options.progress = [&](const train::Progress& progress) { printer(progress); };
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  const train::Report report = prepared.trainer.fit(prepared.splits.train, prepared.options);
  const Json out = report_json(prepared, report, directory);
  io::write_file(directory / "report.json", out.dump(2) + "\n");
  if (flags.json) print_json(out);
  else print_report(out, prepared, report);
}

struct FitFlags {
  std::string csv, target, out;
  bool json = false;
};

// Writes the recipe beside the run and trains it like any other.
void run_fit(const FitFlags& flags) {
  const std::filesystem::path directory = flags.out.empty() ? free_directory(flags.csv) : std::filesystem::path(flags.out);
  std::filesystem::create_directories(directory);
  const std::filesystem::path recipe = directory / "made.toml";
  io::write_file(recipe, tasks::recipe_for_table(flags.csv, flags.target));
  fmt::print(stderr, "recipe: {}\n", recipe.string());
  TrainFlags train;
  train.recipe = recipe.string();
  train.out = directory.string();
  train.json = flags.json;
  run_train(train);
}

}  // namespace

void add_fit(CLI::App& program) {
  auto flags = std::make_shared<FitFlags>();
  CLI::App* command = program.add_subcommand("fit", "Make a sensible recipe for a table, and train it");
  command->add_option("csv", flags->csv, "a CSV file")->required();
  command->add_option("--target", flags->target, "the column to predict")->required();
  command->add_option("--out", flags->out, "the run's directory (default: runs/NAME-NUMBER)");
  command->add_flag("--json", flags->json);
  command->callback([flags] { run_fit(*flags); });
}

void add_train(CLI::App& program) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = program.add_subcommand("train", "Train what a recipe says");
  command->add_option("recipe", flags->recipe, "a recipe, TOML");
  command->add_option("--out", flags->out, "the run's directory (default: runs/NAME-NUMBER)");
  command->add_option("--resume", flags->resume, "go on with the run in this directory, exactly where it stopped");
  command->add_option("--seed", flags->seed, "of initial values, dropout, order and augmentation")->check(CLI::NonNegativeNumber);
  command->add_option("--threads", flags->threads, "threads of a step")->check(CLI::Range(1, 1024));
  command->add_option("--precision", flags->precision, "auto, f32 or bf16")->check(CLI::IsMember({"auto", "f32", "bf16"}));
  command->add_option("--set", flags->sets, "KEY=VALUE: a key of the recipe, dotted, and its value");
  command->add_flag("--json", flags->json, "print the report as one JSON object");
  command->callback([flags] { run_train(*flags); });
}

}  // namespace descent::cli
