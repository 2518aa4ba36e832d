// descent evaluate RUN
#include <fmt/format.h>

#include <memory>

#include "descent/cli/command.h"
#include "descent/cli/session.h"
#include "descent/tasks/predict.h"

namespace descent::cli {

namespace {

struct EvaluateFlags {
  std::string run, data = "test";
  bool json = false;
};

void print_confusion(const tasks::Confusion& confusion) {
  fmt::print("\nrows: what it is; columns: what it was taken for\n{:>12}", "");
  for (const std::string& name : confusion.classes) fmt::print(" {:>6.6}", name);
  fmt::print("  recall\n");
  for (size_t row = 0; row < confusion.classes.size(); ++row) {
    fmt::print("{:>12.12}", confusion.classes[row]);
    for (const int64_t count : confusion.counts[row]) fmt::print(" {:>6}", count);
    fmt::print("  {:.4f}\n", confusion.recall(row));
  }
}

void run_evaluate(const EvaluateFlags& flags) {
  tasks::Loaded run = tasks::load_run(flags.run);
  const data::Dataset data = tasks::examples_of(run, flags.data);
  const train::Scores scores = run.trainer.evaluate(data);
  Json out{{"run", flags.run}, {"data", flags.data}, {"examples", data.size()}, {"scores", scores_json(scores)}};
  if (data.is_classification()) {
    const tasks::Confusion confusion = tasks::confusion_of(run, data);
    out["confusion"] = confusion.counts;
    out["macro_f1"] = confusion.macro_f1();
    for (size_t i = 0; i < confusion.classes.size(); ++i)
      out["classes"][confusion.classes[i]] = {{"precision", confusion.precision(i)}, {"recall", confusion.recall(i)}, {"f1", confusion.f1(i)}};
    if (!flags.json && confusion.classes.size() <= 20) print_confusion(confusion);
  }
  if (flags.json) return print_json(out);
  fmt::print("{} examples of {}:", data.size(), flags.data);
  for (const auto& [name, value] : scores) fmt::print(" {} {:.4f}", name, value);
  fmt::print("\n");
}

}  // namespace

void add_evaluate(CLI::App& program) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* command = program.add_subcommand("evaluate", "Judge a run on data");
  command->add_option("run", flags->run, "the run's directory")->required();
  command->add_option("--data", flags->data, "test, train, validation, or a CSV file");
  command->add_flag("--json", flags->json);
  command->callback([flags] { run_evaluate(*flags); });
}

}  // namespace descent::cli
