#include "descent/train/evaluate.h"

#include <algorithm>
#include <cmath>

#include "descent/base/text.h"
#include "descent/train/transcripts.h"
#include "descent/train/value.h"

namespace descent::train {

namespace {

nn::FunctionOptions function_options(const EvaluateOptions& options) {
  return {.training = false, .precision = options.precision, .seed = options.seed};
}

// Calls visit(begin, end) for batch after batch of `rows`.
template <class Visit>
void for_batches(int64_t rows, int64_t batch_size, Visit visit) {
  for (int64_t begin = 0; begin < rows; begin += batch_size) visit(begin, std::min(rows, begin + batch_size));
}

// Whether targets are a label for each place of a sequence, judged by scores of one axis more.
bool are_sequences(const Shape& outputs, const Shape& targets) {
  return targets.rank() > 1 && outputs.rank() == targets.rank() + 1;
}

// Rows that are made when they are wanted are not small, a sequence is as many rows as it has places, and each place
// has a score for every class.
int64_t batch_size_for(const data::Dataset& data, const EvaluateOptions& options, bool recordings) {
  constexpr int64_t most_made = 256, most_places = 16384, most_scores = int64_t{1} << 24, most_recordings = 32;
  if (!data.source) return options.batch_size;
  if (recordings) return std::min(most_recordings, options.batch_size);  // seconds of sound each
  const int64_t targets = std::max<int64_t>(1, data.targets.shape().without(0).elements());
  const int64_t places = std::min(most_places, most_scores / std::max<int64_t>(1, std::ssize(data.classes)));
  return std::min({most_made, options.batch_size, std::max<int64_t>(1, places / targets)});
}

// Labels of places, those below 0 being none: how many there are, and how many of them have the largest score, the
// first of equal ones. (A confusion matrix of thousands of tokens would be large, and nobody reads it.)
struct Places {
  int64_t count = 0, right = 0;

  void add(const Array& scores, const Array& labels) {
    const int64_t places = scores.shape()[scores.shape().rank() - 2], wanted = labels.shape().back();
    const auto classes = static_cast<size_t>(scores.shape().back());
    const std::span<const float> values = scores.as<float>();
    const std::span<const int32_t> all = labels.as<int32_t>();
    for (int64_t at = 0; at < labels.elements() / wanted * places; ++at) {
      const int32_t label = all[static_cast<size_t>(at / places * wanted + at % places)];
      if (label < 0) continue;
      const std::span<const float> own = values.subspan(static_cast<size_t>(at) * classes, classes);
      ++count;
      right += std::ranges::max_element(own) - own.begin() == label;
    }
  }
};

// The class of the character that parts words.
int32_t space_of(const data::Dataset& data) {
  const auto at = std::ranges::find(data.classes, " ");
  return at == data.classes.end() ? -1 : static_cast<int32_t>(at - data.classes.begin());
}

// The net's outputs say how many classes there are; a label beyond them is a mistake of the data.
void check_classes(const Shape& outputs, const data::Dataset& data, bool padded = false) {
  const int64_t classes = class_count(outputs), named = static_cast<int64_t>(data.classes.size());
  if (named > 0 && named != classes)
    fail(text("evaluate: the net tells ", classes, " classes apart, the data have ", named));
  const int rank = data.targets.shape().rank();
  if (padded) return check_padded_labels(outputs, data.targets, "evaluate");
  if (rank == 1 || are_sequences(outputs, data.targets.shape())) data::check_labels(data.targets, classes, "evaluate");
}

}  // namespace

int64_t class_count(const Shape& outputs) { return outputs.rank() == 0 || outputs.back() == 1 ? 2 : outputs.back(); }

double class_threshold(const nn::Loss& loss) { return loss.target() == nn::Target::labels ? 0 : 0.5; }

Evaluator::Evaluator(nn::Module& net, nn::Loss loss, EvaluateOptions options)
    : loss_(loss),
      options_(options),
      judge_(
          [&net, loss](nn::Pass& pass, std::span<const Tensor> in) -> Tensors {
            const Tensor outputs = net(in[0], pass);
            return {outputs, loss(outputs, in[1])};
          },
          function_options(options)) {}

Evaluation Evaluator::operator()(const data::Dataset& data) {
  if (data.size() == 0) fail("evaluate: the data set has no rows");
  if (!data.targets) fail("evaluate: the data set has no targets to compare with");
  const bool labels = data.targets.dtype() == DType::i32;
  std::optional<ClassificationMetrics> classes;
  RegressionMetrics numbers(options_.unit);
  ValueMetrics values;
  const bool spelled = loss_.name() == nn::Ctc::name;
  TranscriptMetrics transcripts(space_of(data));
  double loss = 0;
  Places places;  // of sequences
  bool sequences = false;
  const bool padded = loss_.name() == nn::SequenceCrossEntropy::name;
  for_batches(data.size(), batch_size_for(data, options_, spelled), [&](int64_t begin, int64_t end) {
    const Array targets = data.targets.rows(begin, end);
    const std::span<const Array> results = judge_({data.read_inputs(begin, end), targets});
    sequences = labels && !spelled && are_sequences(results[0].shape(), targets.shape());
    const int64_t before = places.count;
    if (sequences) places.add(results[0], targets);
    loss += results[1].item() * static_cast<double>(sequences ? places.count - before : end - begin);
    if (spelled) return transcripts.add(results[0], targets);
    if (!labels) return numbers.add(results[0], targets);
    if (sequences && begin == 0) check_classes(results[0].shape(), data, padded);
    if (sequences) return;
    const ChoiceArrays choice = choice_of(results[0], targets);
    if (!classes) {
      check_classes(choice.scores.shape(), data);
      classes.emplace(class_count(choice.scores.shape()), class_threshold(loss_), options_.top_k);
    }
    classes->add(choice.scores, choice.labels);
    values.add(results[0], targets);
  });
  Evaluation out{{{"loss", loss / static_cast<double>(sequences ? places.count : data.size())}}, std::nullopt};
  if (spelled) {
    std::ranges::copy(transcripts.figures(), std::back_inserter(out.figures));
    return out;
  }
  if (sequences) {
    out.figures.emplace_back("accuracy", static_cast<double>(places.right) / static_cast<double>(places.count));
    if (padded || loss_.name() == nn::CrossEntropy::name)
      out.figures.emplace_back("perplexity", std::exp(out.figures[0].second));
    return out;
  }
  std::ranges::copy(labels ? classes->figures() : numbers.figures(), std::back_inserter(out.figures));
  std::ranges::copy(values.figures(), std::back_inserter(out.figures));
  if (labels) out.confusion = classes->confusion();
  return out;
}

Evaluation evaluate(nn::Module& net, const nn::Loss& loss, const data::Dataset& data, EvaluateOptions options) {
  return Evaluator(net, loss, options)(data);
}

Array predict(nn::Module& net, const Array& inputs, EvaluateOptions options) {
  nn::Function outputs = nn::compile([&](nn::Pass& pass, Tensor x) { return net(x, pass); }, function_options(options));
  if (!inputs || inputs.shape().rank() == 0 || inputs.shape()[0] == 0) fail("predict: there is no input");
  Array all;
  for_batches(inputs.shape()[0], options.batch_size, [&](int64_t begin, int64_t end) {
    const Array part = outputs({inputs.rows(begin, end)})[0];
    if (!all) all = Array(part.dtype(), part.shape().with(0, inputs.shape()[0]));
    Array place = all.rows(begin, end);
    std::ranges::copy(part.bytes(), place.bytes().begin());
  });
  return all;
}

}  // namespace descent::train
