// descent predict RUN INPUT...
#include <fmt/format.h>

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
  const std::vector<tasks::Answer::Class>& classes = prediction.answer.classes;
  if (classes.empty()) fmt::print(" {:.6g}", prediction.answer.number);
  for (size_t i = 0; i < std::min(top, classes.size()); ++i) {
    if (classes[i].probability >= 0)
      fmt::print("  {} {:.2f}%", classes[i].label, 100 * classes[i].probability);
    else
      fmt::print("  {} (score {:.3f})", classes[i].label, classes[i].score);
  }
  fmt::print("\n");
}

Json prediction_json(const tasks::Prediction& prediction, size_t top) {
  Json out{{"input", prediction.source}};
  const std::vector<tasks::Answer::Class>& classes = prediction.answer.classes;
  if (classes.empty()) {
    out["value"] = prediction.answer.number;
    return out;
  }
  out["label"] = classes[0].label;
  for (size_t i = 0; i < std::min(top, classes.size()); ++i) {
    Json one{{"label", classes[i].label}, {"score", classes[i].score}};
    if (classes[i].probability >= 0) one["probability"] = classes[i].probability;
    out["classes"].push_back(one);
  }
  return out;
}

void run_predict(const PredictFlags& flags) {
  const tasks::Run run = tasks::load_run(flags.run);
  const std::vector<tasks::Prediction> predictions = tasks::predict(run, flags.inputs);
  Json all = Json::array();
  for (const tasks::Prediction& prediction : predictions) {
    if (flags.json)
      all.push_back(prediction_json(prediction, flags.top));
    else
      print_prediction(prediction, flags.top);
  }
  if (flags.json) print_json({{"run", flags.run}, {"predictions", all}});
}

}  // namespace

void add_predict(CLI::App& program) {
  auto flags = std::make_shared<PredictFlags>();
  CLI::App* command = add_command(program, "predict", "ask a run about new inputs", flags, run_predict);
  command->add_option("run", flags->run, "the run's directory")->required();
  command
      ->add_option("inputs", flags->inputs, "images (PNG, JPEG, or FILE:NUMBER of an idx file), CSV files, or NAME=VALUE,...")
      ->required();
  command->add_option("--top", flags->top, "how many classes to name (default 3)")->check(CLI::Range(1, 1000));
}

}  // namespace descent::cli
