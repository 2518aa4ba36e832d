#include "descent/tasks/classify.h"

#include <algorithm>
#include <cmath>

#include "descent/base/text.h"
#include "descent/train/evaluate.h"

namespace descent::tasks {

namespace {

// A choice with a value has one output more.
int64_t output_count(const data::Dataset& data) {
  const bool with_value = data.targets && data.targets.shape().rank() == 2;
  return static_cast<int64_t>(data.classes.size()) + (with_value ? 1 : 0);
}

std::string class_count_text(const data::Dataset& data) {
  constexpr size_t shown = 6;
  std::vector<std::string> names(data.classes.begin(),
                                 data.classes.begin() + static_cast<int64_t>(std::min(shown, data.classes.size())));
  if (data.classes.size() > shown) names.emplace_back("...");
  const bool with_value = output_count(data) > static_cast<int64_t>(data.classes.size());
  return text(data.classes.size(), " classes (", join(names, ", "), ")", with_value ? " and a value" : "");
}

// Softmax over one class has nothing to tell.
bool single_score(const data::Dataset& data, const nn::Loss& loss) {
  return data.classes.size() == 2 && loss.name() != nn::CrossEntropy::name;
}

std::vector<double> softmax(std::span<const float> scores) {
  const double largest = *std::ranges::max_element(scores);
  std::vector<double> out;
  double total = 0;
  for (const float score : scores) total += out.emplace_back(std::exp(double{score} - largest));
  for (double& probability : out) probability /= total;
  return out;
}

double sigmoid(double score) { return 1 / (1 + std::exp(-score)); }

// One output for two classes: how far it is above the threshold speaks for class 1, below it for class 0.
std::vector<Answer::Class> of_single(double score, const nn::Loss& loss, const std::vector<std::string>& classes) {
  const bool certain = loss.name() == nn::BinaryCrossEntropy::name;
  const double lead = score - train::class_threshold(loss);
  return {{classes.at(1), lead, certain ? sigmoid(score) : -1}, {classes.at(0), -lead, certain ? sigmoid(-score) : -1}};
}

std::vector<Answer::Class> of_scores(std::span<const float> scores, const nn::Loss& loss,
                                     const std::vector<std::string>& classes) {
  const bool independent = loss.name() == nn::BinaryCrossEntropy::name;  // each class for itself
  const bool shared = loss.name() == nn::CrossEntropy::name || loss.name() == nn::KlDivergence::name;
  const std::vector<double> shares = softmax(scores);
  std::vector<Answer::Class> out;
  for (size_t c = 0; c < scores.size(); ++c)
    out.push_back({classes.at(c), scores[c], independent ? sigmoid(scores[c]) : shared ? shares[c] : -1});
  return out;
}

Answer answer(std::span<const float> outputs, const nn::Loss& loss, const std::vector<std::string>& classes,
              const data::TableEncoder*) {
  Answer out;
  out.classes = outputs.size() == 1 ? of_single(outputs[0], loss, classes) : of_scores(outputs, loss, classes);
  std::ranges::stable_sort(out.classes, std::greater<>{}, &Answer::Class::score);
  return out;
}

}  // namespace

TaskKind classify_task() {
  return {.name = "classify",
          .about = "which of some classes an example is of",
          .default_loss = nn::CrossEntropy::name,
          .classes = true,
          .table_target = data::TargetKind::classes,
          .outputs = output_count,
          .outputs_text = class_count_text,
          .single_output = single_score,
          .answer = answer};
}

}  // namespace descent::tasks
