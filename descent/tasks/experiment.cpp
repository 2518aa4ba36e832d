// From a recipe to a net that fits its data.
#include <algorithm>

#include "descent/base/text.h"
#include "descent/nn/layers.h"
#include "descent/nn/lengths.h"
#include "descent/nn/nets.h"
#include "descent/nn/summary.h"
#include "descent/tasks/language.h"
#include "descent/tasks/run.h"
#include "descent/tasks/run_net.h"
#include "descent/tasks/transcribe.h"

namespace descent::tasks {

std::shared_ptr<nn::Module> make_run_net(const Recipe& recipe, const Preprocess& preprocess) {
  std::vector<nn::Layer> layers;
  if (preprocess.normalizer)
    layers.emplace_back("input", nn::Normalize(preprocess.normalizer->scale, preprocess.normalizer->shift));
  if (transcribes(recipe)) layers.emplace_back("recording", nn::EndAtNan(Site{}));
  layers.emplace_back("layers", recipe.net());
  if (transcribes(recipe)) layers.emplace_back("silence", nn::BlankAfterEnd());
  return std::make_shared<nn::Sequential>(std::move(layers));
}

double error_unit(const Preprocess& preprocess) {
  return preprocess.encoder && !preprocess.encoder->is_classification() ? preprocess.encoder->target().deviation : 1;
}

namespace {

// Where the number of the net's outputs is written: the last layer with features.
Site outputs_site(const std::vector<nn::Settings>& layers) {
  for (size_t i = layers.size(); i-- > 0;) {
    if (layers[i].has("features")) return layers[i].at("features");
    if (layers[i].has("layers"))
      if (const Site inner = outputs_site(layers[i].list("layers")); inner.line != 0) return inner;
  }
  return layers.empty() ? Site{} : layers.back().at();
}

// "; the first label beyond them is 13, in row 7 of the test part" where it is numbers that ask for more outputs: one
// of them may be wrong.
std::string label_beyond(const data::Splits& splits, int64_t classes) {
  for (const auto& [part, name] :
       {std::pair{&splits.train, "training"}, {&splits.validation, "validation"}, {&splits.test, "test"}}) {
    if (!part->targets || part->classes != data::numbered_classes(std::ssize(part->classes))) continue;
    const std::span<const int32_t> labels = part->targets.as<int32_t>();
    const auto found = std::ranges::find_if(labels, [&](int32_t label) { return label >= classes; });
    if (found != labels.end())
      return text("; the first label beyond them is ", *found, ", in row ", found - labels.begin(), " of the ", name,
                  " part");
  }
  return "";
}

// Which setting makes so many outputs. A ready net for boards has none: its number follows from the board.
std::string outputs_hint(const Recipe& recipe, int64_t wanted) {
  if (!recipe.layers.empty()) return text("; did you mean features = ", wanted, "?");
  const nn::Kind<nn::Sequential>& net = nn::find_kind(nn::net_kinds(), "net", recipe.ready.word("kind"));
  const bool has_outputs = std::ranges::find(net.settings, "outputs", &nn::SettingRule::name) != net.settings.end();
  return has_outputs ? text("; did you mean outputs = ", wanted, "?") : "";
}

void check_outputs(const Experiment& experiment, const nn::NetSummary& summary) {
  if (summary.parameters == 0)
    fail(experiment.recipe.layers.front().at(),
         "the layers have no weights that could learn; did you mean to add { kind = \"linear\", features = ... }?");
  const TaskKind& task = find_task(experiment.recipe.task);
  const data::Dataset& training = experiment.splits.train;
  const int64_t wanted = task.outputs(training);
  const Shape& shape = summary.output.shape;
  const int rank = task.sequences ? 3 : 2;
  const bool places = !task.sequences || transcribes(experiment.recipe) || shape.rank() < 2 ||
                      shape[1] == training.targets.shape()[1];  // as many as there are answers
  const int64_t given = shape.rank() == rank && places ? shape.back() : -1;
  if (given == wanted || (given == 1 && task.single_output(training, experiment.loss))) return;
  const std::string last =
      summary.layers.empty() ? "" : text(summary.layers.back().path, " (", summary.layers.back().describe, "): ");
  const std::string shapes = text(last, "the net makes ", summary.output, " of ", summary.input, ", but the data have ",
                                  task.outputs_text(training));
  const bool ready = experiment.recipe.layers.empty();
  const Site at = ready ? experiment.recipe.ready.at() : outputs_site(experiment.recipe.layers);
  if (given == -1 && transcribes(experiment.recipe))
    fail(at, text(shapes, ", so it must make [", summary.input.shape[0], ",frames,", wanted,
                  "]; did you mean { kind = \"linear\", features = ", wanted, " } as the last layer?"));
  if (given == -1 && task.sequences)
    fail(at, text(shapes, " at each place, so it must make [", summary.input.shape[0], ",", training.targets.shape()[1],
                  ",", wanted, "]; did you mean net = { kind = \"",
                  replies(experiment.recipe) ? "encoder_decoder" : "decoder", "\", outputs = ", wanted, " }?"));
  if (given == -1)
    fail(at, text(shapes, ", so it must make [", shape.rank() > 0 ? shape[0] : 1, ",", wanted,
                  "]; did you mean { kind = \"flatten\" } as the first layer?"));
  fail(at, text(shapes, label_beyond(experiment.splits, given), outputs_hint(experiment.recipe, wanted)));
}

}  // namespace

Experiment prepare(const Recipe& recipe) {
  Examples examples = load_examples(recipe);
  Experiment out{recipe,
                 examples.preprocess,
                 std::move(examples.splits),
                 make_run_net(recipe, examples.preprocess),
                 recipe.make_loss(),
                 recipe.make_optimizer(),
                 examples.note};
  const int64_t rows = std::min<int64_t>(recipe.train.integer("batch_size"), out.splits.train.size());
  check_outputs(out, nn::summarise(*out.net, out.preprocess.batch(rows), recipe.seed()));
  return out;
}

train::FitOptions Experiment::fit_options() const {
  train::FitOptions out = recipe.fit_options();
  out.validation = splits.validation;
  out.unit = error_unit(preprocess);
  if (out.monitor.empty() && out.validation.size() > 0) out.monitor = find_task(recipe.task).monitor;
  return out;
}

train::EvaluateOptions Experiment::evaluate_options() const {
  return {.precision = recipe.precision(), .unit = error_unit(preprocess), .top_k = recipe.train.integer("top_k")};
}

}  // namespace descent::tasks
