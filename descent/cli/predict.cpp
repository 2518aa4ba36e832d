// descent predict RUN INPUT...
#include <fmt/format.h>

#include "descent/cli/command.h"
#include "descent/tasks/go.h"
#include "descent/tasks/predict.h"
#include "descent/tasks/transcribe.h"

namespace descent::cli {

namespace {

struct PredictFlags {
  std::string run;
  std::vector<std::string> inputs;
  size_t top = 0;
  int move = 0, views = 1;
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

Json go_json(const tasks::GoPrediction& prediction) {
  const int size = prediction.game.size();
  Json out{{"input", prediction.source},
           {"move", prediction.move},
           {"player", to_text(prediction.game.to_move())},
           {"board", go::drawn(prediction.game.board(), prediction.game.recent(0))}};
  if (prediction.played) out["played"] = go::vertex_name(*prediction.played, size);
  if (prediction.winning) out["winning"] = *prediction.winning;
  for (const go::Candidate& move : prediction.best)
    out["moves"].push_back({{"vertex", go::vertex_name(move.point, size)},
                            {"column_row", go::column_row_name(move.point, size)},
                            {"probability", move.probability}});
  return out;
}

void print_go(const tasks::GoPrediction& prediction) {
  fmt::print("{}", prediction.drawn());
  fmt::print("{}: move {}, {} to play", prediction.source, prediction.move, to_text(prediction.game.to_move()));
  if (prediction.played) fmt::print("; {} was played", go::vertex_name(*prediction.played, prediction.game.size()));
  if (prediction.winning) fmt::print("; wins with {:.1f}%", 100 * *prediction.winning);
  fmt::print("\n");
}

void run_predict_go(const tasks::Run& run, const PredictFlags& flags) {
  const std::shared_ptr<go::Evaluator> evaluator = tasks::go_evaluator(run, flags.views);
  Json all = Json::array();
  for (const std::string& input : flags.inputs) {
    const auto prediction = tasks::predict_go(run, *evaluator, input, flags.move, flags.top == 0 ? 5 : flags.top);
    if (flags.json)
      all.push_back(go_json(prediction));
    else
      print_go(prediction);
  }
  if (flags.json) print_json({{"run", flags.run}, {"predictions", all}});
}

void run_transcribe(const tasks::Run& run, const PredictFlags& flags) {
  Json all = Json::array();
  for (const std::string& input : flags.inputs) {
    const std::string heard = tasks::transcribe(run, input);
    if (flags.json)
      all.push_back({{"input", input}, {"text", heard}});
    else
      fmt::print("{}: {}\n", input, heard);
  }
  if (flags.json) print_json({{"run", flags.run}, {"predictions", all}});
}

void run_predict(const PredictFlags& flags) {
  const tasks::Run run = tasks::load_run(flags.run);
  if (tasks::transcribes(run.recipe)) return run_transcribe(run, flags);
  if (tasks::go_board_size(run.preprocess)) return run_predict_go(run, flags);
  if (flags.move != 0 || flags.views != 1)
    throw UsageError(text("--move and --views are for games of Go, and ", flags.run, " was not trained on them"));
  const std::vector<tasks::Prediction> predictions = tasks::predict(run, flags.inputs);
  Json all = Json::array();
  const size_t top = flags.top == 0 ? 3 : flags.top;
  for (const tasks::Prediction& prediction : predictions) {
    if (flags.json)
      all.push_back(prediction_json(prediction, top));
    else
      print_prediction(prediction, top);
  }
  if (flags.json) print_json({{"run", flags.run}, {"predictions", all}});
}

}  // namespace

void add_predict(CLI::App& program) {
  auto flags = std::make_shared<PredictFlags>();
  CLI::App* command = add_command(program, "predict", "ask a run about new inputs", flags, run_predict);
  command->add_option("run", flags->run, "the run's directory")->required();
  command
      ->add_option("inputs", flags->inputs,
                   "images (PNG, JPEG, or FILE:NUMBER of an idx file), WAV or FLAC files, CSV files, NAME=VALUE,..., "
                   "or SGF files")
      ->required();
  command->add_option("--top", flags->top, "how many classes to name (default 3), or moves (5)")
      ->check(CLI::Range(1, 1000));
  command->add_option("--move", flags->move, "of a game: which move, counted from 1 (default: the one after the last)");
  command->add_option("--views", flags->views, "of a game: symmetries that are averaged (default 1)")
      ->check(CLI::Range(1, 8));
}

}  // namespace descent::cli
