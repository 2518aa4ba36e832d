// descent train RECIPE.toml | --resume RUN, and descent fit DATA.csv --target COLUMN | PHOTOS | SOUNDS
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "descent/base/threads.h"
#include "descent/cli/command.h"
#include "descent/cli/confusion.h"
#include "descent/data/sounds.h"
#include "descent/nn/function.h"
#include "descent/tasks/fit_images.h"
#include "descent/tasks/fit_table.h"
#include "descent/tasks/run.h"
#include "descent/tasks/sounds.h"

namespace descent::cli {

namespace {

namespace fs = std::filesystem;

struct TrainFlags {
  std::string recipe, out, resume, precision;
  std::vector<std::string> sets;
  int64_t seed = -1;
  int threads = 0;
  bool json = false;
};

// runs/NAME, or the first of runs/NAME-2, runs/NAME-3 ... that is free.
fs::path free_directory(const std::string& name) {
  const fs::path runs = "runs";
  if (!fs::exists(runs / name)) return runs / name;
  for (int number = 2;; ++number)
    if (const fs::path candidate = runs / fmt::format("{}-{}", name, number); !fs::exists(candidate)) return candidate;
}

std::vector<std::string> overrides(const TrainFlags& flags) {
  std::vector<std::string> out = flags.sets;
  if (flags.seed >= 0) out.push_back(fmt::format("train.seed={}", flags.seed));
  if (flags.threads > 0) out.push_back(fmt::format("train.threads={}", flags.threads));
  if (!flags.precision.empty()) out.push_back(fmt::format("train.precision={}", flags.precision));
  return out;
}

// A resumed run keeps the number of threads that it was begun with, unless told otherwise.
void choose_threads(const tasks::Recipe& recipe, const TrainFlags& flags) {
  int64_t threads = recipe.train.integer("threads");
  if (!flags.resume.empty()) {
    const int before = tasks::threads_of_run(flags.resume);
    if (flags.threads == 0) threads = before;
    if (threads > 0 && before > 0 && threads != before)
      fmt::print(stderr, "the run was begun with {} threads and goes on with {}\n", before, threads);
  }
  if (threads > 0) set_thread_count(static_cast<int>(threads));
}

void print_result(const tasks::RunResult& result) {
  const train::Report& report = result.report;
  for (const auto& [name, figures] :
       {std::pair{"train", &result.train}, {"validation", &result.validation}, {"test", &result.test}})
    if (!figures->empty()) fmt::print("{:<12}{}\n", name, to_text(*figures));
  fmt::print("{} after {} epochs, {} steps, {:.1f} s; {:.0f} samples/s, {}\n", to_text(report.outcome), report.epochs,
             report.steps, report.seconds, report.samples_per_second, report.precision);
  if (report.best_epoch > 0) fmt::print("the weights are those of epoch {}, the best validation\n", report.best_epoch);
  for (const std::string& note : result.notes) fmt::print("{}\n", note);
  fmt::print("run: {}\n", result.directory.string());
}

tasks::RunResult train_recipe(const tasks::Recipe& recipe, const TrainFlags& flags, const fs::path& directory) {
  choose_threads(recipe, flags);
  const bool bf16 = nn::use_bf16(recipe.precision());
  fmt::print(stderr, "{}\n", precision_text(recipe.train.word("precision"), bf16));
  const tasks::RunResult result = tasks::train_run(recipe, {.directory = directory, .resume = !flags.resume.empty()});
  if (!flags.json) print_result(result);
  const bool interrupted = result.report.outcome == train::Outcome::interrupted;
  if (interrupted)
    fmt::print(stderr, "interrupted after step {}; go on with: descent train --resume {}\n", result.report.steps,
               directory.string());
  if (flags.json) print_json(Json::parse(result.to_json()));
  if (interrupted) throw QuietFailure{};
  return result;
}

void run_train(const TrainFlags& flags) {
  if (flags.recipe.empty() && flags.resume.empty())
    throw UsageError("train needs a recipe (recipes/digits.toml, say), or --resume with a run's directory");
  if (!flags.resume.empty() && !flags.out.empty())
    throw UsageError("a resumed run stays in its directory: leave out --out");
  if (flags.resume.empty()) {
    const tasks::Recipe recipe = tasks::read_recipe(flags.recipe, overrides(flags));
    train_recipe(recipe, flags,
                 flags.out.empty() ? free_directory(fs::path(flags.recipe).stem()) : fs::path(flags.out));
    return;
  }
  const tasks::Recipe recipe = flags.recipe.empty() ? tasks::recipe_of_run(flags.resume, overrides(flags))
                                                    : tasks::read_recipe(flags.recipe, overrides(flags));
  train_recipe(recipe, flags, flags.resume);
}

struct FitFlags {
  std::string data, target, out;
  int64_t seed = -1;
  bool json = false;
};

// A folder is one of images or sounds; a table is one of images, too, unless there is a column to predict.
std::string recipe_for(const FitFlags& flags) {
  const bool folder = fs::is_directory(flags.data);
  if (folder && !flags.target.empty())
    throw UsageError(text("--target is for tables; the classes of what is in ", flags.data, " are its folders"));
  if (!flags.target.empty()) return tasks::recipe_for_table(flags.data, flags.target);
  if (!folder && !fs::exists(flags.data))
    throw UsageError(text("there is no table or folder of images or sounds ", flags.data));
  if (folder && data::holds_sounds(flags.data)) return tasks::recipe_for_sounds(flags.data);
  try {
    return tasks::recipe_for_images(tasks::image_set(flags.data), tasks::has_convolutions());
  } catch (const Error& error) {
    if (folder) throw;
    throw UsageError(text("fit needs --target with the column to predict, or a table of images: ", error.what()));
  }
}

std::string name_of(const std::string& path) {
  const fs::path whole = fs::absolute(path).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).stem();
}

void run_fit(const FitFlags& flags) {
  const std::string text = recipe_for(flags);
  const fs::path directory = flags.out.empty() ? free_directory(name_of(flags.data)) : fs::path(flags.out);
  TrainFlags train;
  train.seed = flags.seed;
  train.json = flags.json;
  fmt::print(stderr, "{}", text.substr(0, text.find("task =")));
  const tasks::RunResult result =
      train_recipe(tasks::parse_recipe(text, directory / "recipe.toml", overrides(train)), train, directory);
  if (!flags.json && result.confusion) print_confusion(*result.confusion, result.classes);
  fmt::print(stderr, "the recipe is {}; change it and train it as any other\n", (directory / "recipe.toml").string());
}

}  // namespace

void add_train(CLI::App& program) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = add_command(program, "train", "train what a recipe says", flags, run_train);
  command->add_option("recipe", flags->recipe, "a recipe, TOML");
  command->add_option("--out", flags->out, "the run's directory (default: runs/NAME)");
  command->add_option("--resume", flags->resume, "go on with the run in this directory, exactly where it stopped");
  command->add_option("--seed", flags->seed, "of initial values, dropout, order and augmentation")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--threads", flags->threads, "of a step (default: as many as processors)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--precision", flags->precision, "auto, f32 or bf16")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}));
  command->add_option("--set", flags->sets, "KEY=VALUE: a key of the recipe, such as train.epochs=3");
}

void add_fit(CLI::App& program) {
  auto flags = std::make_shared<FitFlags>();
  CLI::App* command =
      add_command(program, "fit", "make a sensible recipe for a table, images or sounds, and train it", flags, run_fit);
  command
      ->add_option("data", flags->data,
                   "a CSV file, or a folder with a folder of images or sounds for each class (or a CSV file of images "
                   "and labels)")
      ->required();
  command->add_option("--target", flags->target, "of a table, the column to predict");
  command->add_option("--out", flags->out, "the run's directory (default: runs/NAME)");
  command->add_option("--seed", flags->seed, "of initial values, dropout and order")->check(CLI::NonNegativeNumber);
}

}  // namespace descent::cli
