// descent inspect RECIPE|RUN: the set of functions that it defines, and the program that a training step becomes.
#include <fmt/format.h>

#include <filesystem>

#include "descent/cli/command.h"
#include "descent/compile/compile.h"
#include "descent/nn/summary.h"
#include "descent/tasks/run.h"
#include "descent/train/inspect.h"

namespace descent::cli {

namespace {

namespace fs = std::filesystem;

struct InspectFlags {
  std::string what, after;
  std::vector<std::string> sets;
  bool json = false;
};

struct Inspected {
  nn::NetSummary summary;
  train::StepInspection step;
};

int64_t rows_of(const tasks::Recipe& recipe, const data::Dataset& training) {
  return std::min<int64_t>(recipe.train.integer("batch_size"), training.size());
}

Inspected inspect(const tasks::Recipe& recipe, bool stages) {
  const tasks::Experiment experiment = tasks::prepare(recipe);
  const int64_t rows = rows_of(recipe, experiment.splits.train);
  const Type inputs = experiment.preprocess.batch(rows);
  const Type row = data::target_row_type(experiment.splits.train, experiment.fit_options().augment);
  std::vector<int64_t> sizes{rows};
  sizes.insert(sizes.end(), row.shape.begin(), row.shape.end());
  const Type targets{row.dtype, Shape(sizes)};
  train::TrainingStep step(*experiment.net, experiment.loss, experiment.optimizer,
                           train::step_options_of(experiment.fit_options()));
  return {nn::summarise(*experiment.net, inputs, recipe.seed()), train::inspect_step(step, inputs, targets, stages)};
}

std::string size_text(int64_t bytes) {
  return bytes >= 1'000'000 ? fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6)
                            : fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3);
}

std::string flops_text(int64_t flops) {
  return flops >= 1'000'000 ? fmt::format("{:.1f} MFLOP", static_cast<double>(flops) / 1e6)
                            : fmt::format("{:.1f} kFLOP", static_cast<double>(flops) / 1e3);
}

void print_net(const nn::NetSummary& summary) {
  fmt::print("the set of functions, y = f(x):\n");
  for (const std::string& equation : summary.equations) fmt::print("  {}\n", equation);
  fmt::print("\n{:<14} {:<18} {:<22} {:<16} {:>11} {:>13}\n", "layer", "", "formula", "output", "parameters",
             "operations");
  fmt::print("{:<14} {:<18} {:<22} {:<16}\n", "(input)", "", "", to_text(summary.input));
  for (const nn::LayerSummary& layer : summary.layers)
    fmt::print("{:<14} {:<18} {:<22} {:<16} {:>11} {:>13}\n", layer.path, layer.describe, layer.formula,
               to_text(layer.output), layer.parameters, flops_text(layer.flops));
}

void print_step(const Inspected& inspected) {
  const train::StepInspection& step = inspected.step;
  const int64_t rows = inspected.summary.input.shape[0];
  int64_t launches = 0, calls = 0;
  for (const Step& each : step.program.steps) ++(std::holds_alternative<CallStep>(each.work) ? calls : launches);
  fmt::print("\n{} parameters, {}; forward {} for a batch of {}\n", inspected.summary.parameters,
             size_text(step.parameter_bytes), flops_text(inspected.summary.flops), rows);
  fmt::print("a training step: {} of matrix products, {} loop kernels and {} calls, {} of states, {} of temporaries\n",
             flops_text(step.flops), launches, calls, size_text(step.state_bytes), size_text(step.program.arena_bytes));
}

void print_program(const Program& program) {
  fmt::print("\n");
  for (const Step& step : program.steps)
    fmt::print("  {:<8} {}\n",
               std::holds_alternative<CallStep>(step.work) ? std::get<CallStep>(step.work).what : "loop", step.label);
  std::vector<std::string> stages(compile_stages().begin(), compile_stages().end());
  fmt::print("(--after STAGE prints it whole: {})\n", join(stages, ", "));
}

Json inspection_json(const Inspected& inspected) {
  Json layers = Json::array(), steps = Json::array();
  for (const nn::LayerSummary& layer : inspected.summary.layers)
    layers.push_back({{"path", layer.path},
                      {"layer", layer.describe},
                      {"formula", layer.formula},
                      {"input", to_text(layer.input)},
                      {"output", to_text(layer.output)},
                      {"parameters", layer.parameters},
                      {"flops", layer.flops}});
  for (const Step& step : inspected.step.program.steps)
    steps.push_back(
        {{"kind", std::holds_alternative<CallStep>(step.work) ? std::get<CallStep>(step.work).what : "loop"},
         {"label", step.label}});
  return {{"equations", inspected.summary.equations},
          {"layers", layers},
          {"parameters", inspected.summary.parameters},
          {"forward_flops", inspected.summary.flops},
          {"step_flops", inspected.step.flops},
          {"state_bytes", inspected.step.state_bytes},
          {"arena_bytes", inspected.step.program.arena_bytes},
          {"steps", steps}};
}

void check_stage(const std::string& stage) {
  const std::vector<std::string> known(compile_stages().begin(), compile_stages().end());
  if (!stage.empty() && std::ranges::find(known, stage) == known.end())
    throw UsageError(
        text("there is no stage '", stage, "' (there are ", join(known, ", "), ")", did_you_mean(stage, known)));
}

void run_inspect(const InspectFlags& flags) {
  check_stage(flags.after);
  const bool run = fs::is_directory(flags.what);
  const tasks::Recipe recipe =
      run ? tasks::recipe_of_run(flags.what, flags.sets) : tasks::read_recipe(flags.what, flags.sets);
  const Inspected inspected = inspect(recipe, !flags.after.empty());
  if (flags.json) {
    Json out = inspection_json(inspected);
    if (!flags.after.empty()) out["after"] = inspected.step.stages.at(flags.after);
    return print_json(out);
  }
  if (!flags.after.empty()) return fmt::print("{}\n", inspected.step.stages.at(flags.after));
  print_net(inspected.summary);
  print_step(inspected);
  print_program(inspected.step.program);
}

}  // namespace

void add_inspect(CLI::App& program) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App* command = add_command(program, "inspect", "show the functions that a recipe defines, and its compiled step",
                                  flags, run_inspect);
  command->add_option("what", flags->what, "a recipe, or a run's directory")->required();
  command->add_option("--after", flags->after, "print what this stage of the compiler made");
  command->add_option("--set", flags->sets, "KEY=VALUE: a key of the recipe");
}

}  // namespace descent::cli
