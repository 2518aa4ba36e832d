// descent predict RUN INPUT...
#include <fmt/format.h>

#include <memory>

#include "descent/cli/command.h"
#include "descent/tasks/predict.h"

namespace descent::cli {

namespace {

struct PredictFlags {
  std::string run;
  std::vector<std::string> inputs;
  size_t top = 3;
  bool json = false;
};

void print_prediction(const tasks::Prediction& prediction, size_t top) {
  if (prediction.image) fmt::print("{}", tasks::drawn(prediction.image));
  fmt::print("{}:", prediction.source);
  if (prediction.number) fmt::print(" {:.6g}", *prediction.number);
  for (size_t i = 0; i < std::min(top, prediction.classes.size()); ++i)
    fmt::print("  {} {:.2f}%", prediction.classes[i].first, prediction.classes[i].second * 100);
  fmt::print("\n");
}

Json prediction_json(const tasks::Prediction& prediction, size_t top) {
  Json out{{"input", prediction.source}};
  if (prediction.number) out["value"] = *prediction.number;
  for (size_t i = 0; i < std::min(top, prediction.classes.size()); ++i)
    out["classes"].push_back({{"label", prediction.classes[i].first}, {"probability", prediction.classes[i].second}});
  return out;
}

void run_predict(const PredictFlags& flags) {
  tasks::Loaded run = tasks::load_run(flags.run);
  Json all = Json::array();
  for (const tasks::Prediction& prediction : tasks::predict(run, flags.inputs)) {
    if (flags.json) all.push_back(prediction_json(prediction, flags.top));
    else print_prediction(prediction, flags.top);
  }
  if (flags.json) print_json({{"run", flags.run}, {"predictions", all}});
}

}  // namespace

void add_predict(CLI::App& program) {
  auto flags = std::make_shared<PredictFlags>();
  CLI::App* command = program.add_subcommand("predict", "Ask a run about new inputs");
  command->add_option("run", flags->run, "the run's directory")->required();
  command->add_option("inputs", flags->inputs, "PNG files, FILE:NUMBER of an idx file, or CSV files")->required();
  command->add_option("--top", flags->top, "how many classes to name");
  command->add_flag("--json", flags->json);
  command->callback([flags] { run_predict(*flags); });
}

}  // namespace descent::cli
