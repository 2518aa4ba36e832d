#include "descent/tasks/predict.h"

#include <algorithm>
#include <cmath>

#include "descent/data/csv.h"
#include "descent/data/idx.h"
#include "descent/data/image.h"
#include "descent/data/png.h"

namespace descent::tasks {

data::Dataset examples_of(const Loaded& run, const std::string& what) {
  if (what == "test" || what == "train" || what == "validation") {
    data::Splits splits = load_splits(run.recipe);
    return what == "test" ? splits.test : what == "train" ? splits.train : splits.validation;
  }
  if (!run.preprocess.encoder) throw UsageError(text("--data ", what, ": this run reads images; use test, train or validation"));
  return run.preprocess.encoder->encode(data::read_csv(what, run.preprocess.encoder->reading()));
}

// --- the confusion matrix ---

namespace {

double ratio(int64_t part, int64_t whole) { return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole); }

// The class that scores [row, ..] mean: the largest, or for a single score whether it is positive.
size_t said(std::span<const float> scores) {
  if (scores.size() == 1) return scores[0] > 0;
  return static_cast<size_t>(std::ranges::max_element(scores) - scores.begin());
}

std::span<const float> row_of(const Array& outputs, int64_t row) {
  const int64_t columns = outputs.elements() / outputs.shape()[0];
  return outputs.as<float>().subspan(static_cast<size_t>(row * columns), static_cast<size_t>(columns));
}

}  // namespace

double Confusion::precision(size_t i) const {
  int64_t taken = 0;
  for (const auto& row : counts) taken += row[i];
  return ratio(counts[i][i], taken);
}

double Confusion::recall(size_t i) const {
  int64_t all = 0;
  for (const int64_t count : counts[i]) all += count;
  return ratio(counts[i][i], all);
}

double Confusion::f1(size_t i) const {
  const double p = precision(i), r = recall(i);
  return p + r == 0 ? 0 : 2 * p * r / (p + r);
}

double Confusion::macro_f1() const {
  double sum = 0;
  for (size_t i = 0; i < classes.size(); ++i) sum += f1(i);
  return classes.empty() ? 0 : sum / static_cast<double>(classes.size());
}

Confusion confusion_of(Loaded& run, const data::Dataset& data) {
  Confusion out{data.classes, std::vector(data.classes.size(), std::vector<int64_t>(data.classes.size(), 0))};
  const Array outputs = run.trainer.predict(data.inputs);
  for (int64_t row = 0; row < data.size(); ++row)
    ++out.counts[static_cast<size_t>(data.targets.as<int32_t>()[static_cast<size_t>(row)])][said(row_of(outputs, row))];
  return out;
}

// --- predictions ---

namespace {

std::vector<double> probabilities(std::span<const float> scores) {
  if (scores.size() == 1) {
    const double yes = 1 / (1 + std::exp(-static_cast<double>(scores[0])));
    return {1 - yes, yes};
  }
  const double largest = *std::ranges::max_element(scores);
  std::vector<double> out;
  double total = 0;
  for (const float score : scores) total += out.emplace_back(std::exp(score - largest));
  for (double& p : out) p /= total;
  return out;
}

Prediction judged(const Loaded& run, std::string source, std::span<const float> scores) {
  Prediction out{std::move(source)};
  if (run.recipe.task == "regress") {
    out.number = run.preprocess.encoder ? run.preprocess.encoder->target_number(scores[0]) : scores[0];
    return out;
  }
  const std::vector<double> p = probabilities(scores);
  for (size_t i = 0; i < p.size(); ++i) out.classes.emplace_back(run.preprocess.classes[i], p[i]);
  std::ranges::stable_sort(out.classes, std::greater<>{}, &std::pair<std::string, double>::second);
  return out;
}

Array image_at(const std::string& source) {
  if (const auto item = data::item_address(source)) return data::read_idx_item(*item);
  return data::read_png(source);
}

Prediction predict_image(Loaded& run, const std::string& source) {
  const Array image = data::image_to_digit(image_at(source), source);
  std::vector<int64_t> shape{1};
  shape.insert(shape.end(), run.preprocess.input.begin(), run.preprocess.input.end());
  if (Shape(shape).elements() != image.elements())
    fail(text(source, ": the run takes images of ", Shape(run.preprocess.input), ", this one became ", image.shape()));
  const Array outputs = run.trainer.predict(image.reshaped(Shape(shape)));
  Prediction out = judged(run, source, row_of(outputs, 0));
  out.image = image;
  return out;
}

void predict_table(Loaded& run, const std::string& source, std::vector<Prediction>& out) {
  const data::Table table = data::read_csv(source, run.preprocess.encoder->reading());
  const Array outputs = run.trainer.predict(run.preprocess.encoder->inputs(table));
  for (int64_t row = 0; row < table.rows(); ++row)
    out.push_back(judged(run, text(source, ":", table.lines[static_cast<size_t>(row)]), row_of(outputs, row)));
}

}  // namespace

std::vector<Prediction> predict(Loaded& run, const std::vector<std::string>& inputs) {
  std::vector<Prediction> out;
  for (const std::string& source : inputs) {
    if (run.preprocess.encoder) predict_table(run, source, out);
    else out.push_back(predict_image(run, source));
  }
  return out;
}

std::string drawn(const Array& image) {
  const int64_t height = image.shape()[0], width = image.shape()[1];
  const std::span<const uint8_t> pixels = image.as<uint8_t>();
  const auto ink = [&](int64_t y, int64_t x) { return y < height && pixels[static_cast<size_t>(y * width + x)] > 100; };
  std::string out;
  for (int64_t y = 0; y < height; y += 2) {
    for (int64_t x = 0; x < width; ++x) out += ink(y, x) ? (ink(y + 1, x) ? "█" : "▀") : (ink(y + 1, x) ? "▄" : " ");
    out += '\n';
  }
  return out;
}

}  // namespace descent::tasks
