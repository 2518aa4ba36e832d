// descent evaluate RUN
#include <fmt/format.h>

#include "descent/cli/command.h"
#include "descent/tasks/run.h"

namespace descent::cli {

namespace {

using train::ConfusionMatrix;

struct EvaluateFlags {
  std::string run, data = "test";
  bool json = false;
};

constexpr int64_t most_classes_shown = 20;

void print_confusion(const ConfusionMatrix& confusion, const std::vector<std::string>& names) {
  fmt::print("\nrows: what it is; columns: what it was taken for\n{:<14}", "");
  for (int64_t c = 0; c < confusion.classes(); ++c) fmt::print(" {:>6.6}", names[c]);
  fmt::print("  precision  recall      f1\n");
  for (int64_t row = 0; row < confusion.classes(); ++row) {
    fmt::print("{:<14.14}", names[row]);
    for (int64_t c = 0; c < confusion.classes(); ++c) fmt::print(" {:>6}", confusion.at(row, c));
    fmt::print("  {:>9.4f}  {:>6.4f}  {:>6.4f}\n", confusion.precision(row), confusion.recall(row), confusion.f1(row));
  }
}

Json confusion_json(const ConfusionMatrix& confusion, const std::vector<std::string>& names) {
  Json counts = Json::array(), classes = Json::array();
  for (int64_t row = 0; row < confusion.classes(); ++row) {
    Json line = Json::array();
    for (int64_t c = 0; c < confusion.classes(); ++c) line.push_back(confusion.at(row, c));
    counts.push_back(line);
    classes.push_back({{"label", names[row]},
                       {"rows", confusion.labels(row)},
                       {"precision", confusion.precision(row)},
                       {"recall", confusion.recall(row)},
                       {"f1", confusion.f1(row)}});
  }
  return {{"counts", counts}, {"classes", classes}};
}

void run_evaluate(const EvaluateFlags& flags) {
  const tasks::Run run = tasks::load_run(flags.run);
  const data::Dataset data = run.examples(flags.data);
  const train::Evaluation evaluation = train::evaluate(*run.net, run.loss, data, run.evaluate_options());
  const auto& confusion = evaluation.confusion;
  if (!flags.json) {
    fmt::print("{}, {} examples: {}\n", flags.data, data.size(), to_text(evaluation.figures));
    if (confusion && confusion->classes() <= most_classes_shown) print_confusion(*confusion, data.classes);
    return;
  }
  Json out{{"run", flags.run}, {"data", flags.data}, {"examples", data.size()}, {"weights", run.weights}};
  for (const auto& [name, value] : evaluation.figures) out[name] = value;
  if (confusion) out["confusion"] = confusion_json(*confusion, data.classes);
  print_json(out);
}

}  // namespace

void add_evaluate(CLI::App& program) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* command = add_command(program, "evaluate", "judge a run on data", flags, run_evaluate);
  command->add_option("run", flags->run, "the run's directory")->required();
  command->add_option("--data", flags->data, "test (default), validation, train, or a file (CSV, NPZ) or folder (idx)");
}

}  // namespace descent::cli
