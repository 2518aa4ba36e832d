// descent inspect RECIPE|RUN: the set of functions that it defines, and the program that its step becomes.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "descent/cli/command.h"
#include "descent/cli/session.h"
#include "descent/nn/summary.h"
#include "descent/tasks/run.h"

namespace descent::cli {

namespace {

struct InspectFlags {
  std::string what, after, precision = "auto";
  bool json = false;
};

std::string joined(const Shape& shape) { return to_text(shape); }

Json layer_json(const nn::LayerSummary& layer) {
  return {{"path", layer.path},       {"layer", layer.describe}, {"formula", layer.formula}, {"output", to_text(layer.output)},
          {"parameters", layer.parameters}, {"flops", layer.flops}};
}

void print_summary(const nn::NetSummary& summary, int64_t batch) {
  for (const std::string& equation : summary.equations) fmt::print("{}\n", equation);
  fmt::print("\n{:<24} {:<28} {:>16} {:>12} {:>14}\n", "layer", "kind", "output", "parameters", "flops");
  for (const nn::LayerSummary& layer : summary.layers)
    fmt::print("{:<24} {:<28} {:>16} {:>12} {:>14}\n", layer.path, layer.describe, joined(layer.output.shape), layer.parameters, layer.flops);
  fmt::print("\n{} parameters, {:.1f} MFLOP for a batch of {} forward\n", summary.parameters, static_cast<double>(summary.flops) / 1e6, batch);
}

void run_inspect(const InspectFlags& flags) {
  const std::filesystem::path path(flags.what);
  const tasks::Recipe recipe = tasks::read_recipe(std::filesystem::is_directory(path) ? path / "recipe.toml" : path);
  tasks::Prepared prepared = tasks::prepare(recipe, precision_from(flags.precision));
  const int64_t batch = std::min<int64_t>(prepared.options.batch_size, prepared.splits.train.size());
  const data::Dataset rows = prepared.splits.train.rows(0, batch);
  const nn::NetSummary summary = nn::summarise(prepared.trainer.net(), rows.inputs.type(), prepared.options.seed);
  std::vector<std::pair<std::string, std::string>> stages;
  const Program program = prepared.trainer.compiled(prepared.splits.train, prepared.options,
                                                    [&](std::string_view stage, const std::string& shown) { stages.emplace_back(stage, shown); });
  std::string shown;
  for (const auto& [stage, stage_text] : stages)
    if (stage == flags.after) shown = stage_text;
  if (!flags.after.empty() && shown.empty()) {
    std::vector<std::string> known(compile_stages().begin(), compile_stages().end());
    throw UsageError(text("there is no stage '", flags.after, "'; the stages are ", join(known, ", ")));
  }
  if (flags.json) {
    Json out{{"equations", summary.equations}, {"parameters", summary.parameters}, {"flops", summary.flops}, {"steps", program.steps.size()},
             {"arena_bytes", program.arena_bytes}};
    for (const nn::LayerSummary& layer : summary.layers) out["layers"].push_back(layer_json(layer));
    if (!shown.empty()) out["after"] = shown;
    return print_json(out);
  }
  if (!shown.empty()) return fmt::print("{}", shown);
  print_summary(summary, batch);
  fmt::print("a training step is {} launches over {:.2f} MB of temporaries; --after plan prints them\n", program.steps.size(),
             static_cast<double>(program.arena_bytes) / 1e6);
}

}  // namespace

void add_inspect(CLI::App& program) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App* command = program.add_subcommand("inspect", "Show the functions that a recipe defines, and its compiled step");
  command->add_option("what", flags->what, "a recipe, or a run's directory")->required();
  command->add_option("--after", flags->after, "print what the compiler made after this stage: trace, precision, claim, expand, schedule, plan");
  command->add_option("--precision", flags->precision)->check(CLI::IsMember({"auto", "f32", "bf16"}));
  command->add_flag("--json", flags->json);
  command->callback([flags] { run_inspect(*flags); });
}

}  // namespace descent::cli
