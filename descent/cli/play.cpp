// descent play RUN: speaks GTP on standard input and output
#include <iostream>

#include "descent/cli/command.h"
#include "descent/go/gtp.h"
#include "descent/tasks/go.h"

namespace descent::cli {

namespace {

struct PlayFlags {
  std::string run;
  int visits = 0, batch = 8, views = 1, warm_moves = 0;
  double temperature = 1, resign = 0.05;
  uint64_t seed = 1;
};

void run_play(const PlayFlags& flags) {
  const tasks::Run run = tasks::load_run(flags.run);
  const std::shared_ptr<go::Evaluator> evaluator = tasks::go_evaluator(run, flags.views);
  const int size = *tasks::go_board_size(run.preprocess);
  if (flags.visits > 0 && !evaluator->has_value())
    throw UsageError(
        text("--visits: the net of ", flags.run, " says nothing of who wins, so a search has nothing to go by"));
  go::EvaluatorPlayer player(evaluator, {.search = {.visits = flags.visits, .batch = flags.batch},
                                         .warm_moves = flags.warm_moves,
                                         .temperature = flags.temperature,
                                         .seed = flags.seed,
                                         .resign_below = 2 * flags.resign - 1,
                                         .sizes = {size}});
  go::Gtp gtp(player, {.name = "Descent", .version = DESCENT_VERSION, .size = size});
  gtp.serve(std::cin, std::cout);
}

}  // namespace

void add_play(CLI::App& program) {
  auto flags = std::make_shared<PlayFlags>();
  CLI::App* command = program.add_subcommand("play", "play Go with a run's net, by the Go Text Protocol");
  command->callback([flags] { run_play(*flags); });
  command->add_option("run", flags->run, "the run's directory")->required();
  command->add_option("--visits", flags->visits, "look ahead, as many positions a move (default 0: by policy alone)")
      ->check(CLI::Range(0, 1000000));
  command->add_option("--batch", flags->batch, "positions that are evaluated together (default 8)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--views", flags->views, "symmetries of a position that are averaged (default 1)")
      ->check(CLI::Range(1, 8));
  command->add_option("--warm-moves", flags->warm_moves, "first moves that are drawn by probability (default 0)");
  command->add_option("--temperature", flags->temperature, "how freely they are drawn (default 1)");
  command->add_option("--resign", flags->resign, "resign below this chance of winning; 0: never (default 0.05)")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--seed", flags->seed, "of the moves that are drawn (default 1)");
}

}  // namespace descent::cli
