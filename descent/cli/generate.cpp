// descent generate RUN
#include <fmt/format.h>

#include <cstdio>

#include "descent/cli/command.h"
#include "descent/data/utf8.h"
#include "descent/tasks/generate.h"

namespace descent::cli {

namespace {

struct GenerateFlags {
  std::string run;
  tasks::GenerateOptions options;
  bool greedy = false, json = false;
};

// Text is shown as it comes.
void run_generate(const GenerateFlags& flags) {
  const tasks::Run run = tasks::load_run(flags.run);
  tasks::GenerateOptions options = flags.options;
  if (flags.greedy) options.sampling.temperature = 0;
  std::string all;
  if (!flags.json) fmt::print("{}", options.prompt);
  tasks::generate(run, options, [&](const std::string& piece) {
    all += piece;
    if (flags.json) return;
    fmt::print("{}", piece);
    std::fflush(stdout);
  });
  if (flags.json)
    print_json({{"run", flags.run},
                {"prompt", options.prompt},
                {"text", data::valid_utf8(all, "\xef\xbf\xbd")},
                {"seed", options.seed}});
  else
    fmt::print("\n");
}

}  // namespace

void add_generate(CLI::App& program) {
  auto flags = std::make_shared<GenerateFlags>();
  tasks::GenerateOptions& options = flags->options;
  CLI::App* command = add_command(program, "generate", "let a run on text go on with a text", flags, run_generate);
  command->add_option("run", flags->run, "the run's directory")->required();
  command->add_option("--prompt", options.prompt, "what the text begins with (default: a line break)");
  command->add_option("--length", options.length, "tokens that are added, characters or word pieces (default 500)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  command
      ->add_option("--temperature", options.sampling.temperature,
                   "below 1: closer to the likeliest (default 1); 0: always that")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--top-k", options.sampling.top_k, "draw among the k likeliest only (default: all)")
      ->check(CLI::PositiveNumber);
  command->add_option("--top-p", options.sampling.top_p, "and among those that have this probability together")
      ->check(CLI::Range(1e-6, 1.0));
  command->add_option("--beam", options.beam, "the likeliest text by a beam search of this width, nothing drawn")
      ->check(CLI::Range(1, 64));
  command->add_flag("--greedy", flags->greedy, "always the likeliest token");
  command->add_option("--seed", options.seed, "of what is drawn (default 0)")->check(CLI::NonNegativeNumber);
}

}  // namespace descent::cli
