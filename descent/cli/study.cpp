// descent study depth --recipe R --budget P
#include <fmt/format.h>

#include <filesystem>

#include "descent/base/threads.h"
#include "descent/cli/command.h"
#include "descent/nn/function.h"
#include "descent/tasks/depth.h"

namespace descent::cli {

namespace {

namespace fs = std::filesystem;

struct StudyFlags {
  std::string what, recipe, out;
  std::vector<std::string> sets;
  int64_t budget = 0, neurons = 0, seeds = 3;
  bool json = false;
};

void run_study(const StudyFlags& flags) {
  const tasks::Recipe recipe = tasks::read_recipe(flags.recipe, flags.sets);
  if (const int64_t threads = recipe.train.integer("threads"); threads > 0) set_thread_count(static_cast<int>(threads));
  fmt::print(stderr, "{}\n", precision_text(recipe.train.word("precision"), nn::use_bf16(recipe.precision())));
  const fs::path directory =
      flags.out.empty() ? fs::path("runs") / (fs::path(flags.recipe).stem().string() + "-depth") : fs::path(flags.out);
  const tasks::DepthStudy study = tasks::depth_study(
      recipe, {.budget = flags.budget, .neurons = flags.neurons, .seeds = flags.seeds, .directory = directory});
  if (study.interrupted) fmt::print(stderr, "interrupted; the same command goes on\n");
  if (flags.json)
    print_json(Json::parse(study.to_json()));
  else if (!study.interrupted)
    fmt::print("{}\ntable: {}\nchart: {}\n", study.to_markdown(), (directory / "depth.md").string(),
               (directory / "depth.svg").string());
  if (study.interrupted) throw QuietFailure{};
}

}  // namespace

void add_study(CLI::App& program) {
  auto flags = std::make_shared<StudyFlags>();
  CLI::App* command =
      add_command(program, "study", "compare nets: 'depth' tries deep ones against wide ones", flags, run_study);
  command
      ->add_option(
          "what", flags->what,
          "depth: nets of 1, 2, 3, 5 and 7 hidden layers, of equally many parameters, and of equally many neurons")
      ->required()
      ->check(CLI::IsMember({"depth"}));
  command
      ->add_option("--recipe", flags->recipe,
                   "data, loss, optimiser and epochs; a dense net whose hidden layers are varied")
      ->required();
  command->add_option("--budget", flags->budget, "how many parameters each net has")
      ->required()
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}));
  command
      ->add_option("--neurons", flags->neurons,
                   "how many neurons each net of the other series has (default: as one layer of that budget)")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000'000}));
  command->add_option("--seeds", flags->seeds, "how often each net is trained (default 3)")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}));
  command->add_option("--out", flags->out,
                      "the study's directory, in which it goes on where it was stopped (default: runs/NAME-depth)");
  command->add_option("--set", flags->sets, "KEY=VALUE: a key of the recipe");
}

}  // namespace descent::cli
