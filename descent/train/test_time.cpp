#include "descent/train/test_time.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "descent/base/text.h"
#include "descent/data/augment_moves.h"
#include "descent/nn/sequential.h"

namespace descent::train {

namespace {

// How outputs of several views come together.
enum class Averaging { softmax, sigmoid, outputs };

Averaging averaging_for(const nn::Loss& loss, int64_t columns) {
  if (loss.name() == nn::BinaryCrossEntropy::name) return Averaging::sigmoid;
  const bool shares = loss.name() == nn::CrossEntropy::name || loss.name() == nn::KlDivergence::name;
  return shares && columns > 1 ? Averaging::softmax : Averaging::outputs;
}

void softmax(std::span<double> row) {
  const double largest = *std::ranges::max_element(row);
  double total = 0;
  for (double& value : row) total += value = std::exp(value - largest);
  for (double& value : row) value /= total;
}

constexpr double least_probability = 1e-30;

// Adds what one view says, row by row.
void add_view(const Array& outputs, Averaging averaging, std::vector<double>& sums) {
  const auto columns = static_cast<size_t>(outputs.elements() / outputs.shape()[0]);
  const std::span<const float> values = outputs.as<float>();
  std::vector<double> row(columns);
  for (size_t at = 0; at < values.size(); at += columns) {
    std::copy_n(values.begin() + static_cast<int64_t>(at), columns, row.begin());
    if (averaging == Averaging::softmax) softmax(row);
    if (averaging == Averaging::sigmoid)
      for (double& value : row) value = 1 / (1 + std::exp(-value));
    for (size_t c = 0; c < columns; ++c) sums[at + c] += row[c];
  }
}

double score_of(double mean, Averaging averaging) {
  if (averaging == Averaging::softmax) return std::log(std::max(mean, least_probability));
  if (averaging == Averaging::sigmoid)
    return std::log(std::max(mean, least_probability)) - std::log(std::max(1 - mean, least_probability));
  return mean;
}

}  // namespace

Array view_of(const Array& images, const TestTimeViews& views, int64_t number) {
  const Shape& shape = images.shape();
  if (images.dtype() != DType::u8 || shape.rank() < 3 || shape.rank() > 4)
    fail(text("views at test time are of images u8[N,H,W] or u8[N,H,W,C], not ", images.type()));
  if (number == 0) return images;
  static constexpr std::array<std::array<int64_t, 2>, 5> moves{{{0, 0}, {-1, 0}, {1, 0}, {0, -1}, {0, 1}}};
  const auto [down, right] = moves[static_cast<size_t>(views.flip ? number / 2 : number)];
  const data::ImagePlane plane{shape[1], shape[2], shape.rank() == 4 ? shape[3] : 1};
  const int64_t bytes = plane.height * plane.width * plane.channels;
  Array out(images.type());
  for (int64_t i = 0; i < shape[0]; ++i)
    data::move_pixels(plane, images.as<uint8_t>().data() + i * bytes, out.as<uint8_t>().data() + i * bytes,
                      views.flip && number % 2 == 1, down * views.shift, right * views.shift, data::Padding::reflect,
                      0);
  return out;
}

namespace {

// The net, compiled once for all views.
class Averager {
 public:
  Averager(nn::Module& net, const nn::Loss& loss, const TestTimeViews& views, const EvaluateOptions& options)
      : loss_(loss),
        views_(views),
        outputs_(nn::compile([&net](nn::Pass& pass, Tensor x) { return net(x, pass); },
                             {.training = false, .precision = options.precision, .seed = options.seed})) {}

  // Of one batch.
  Array operator()(const Array& inputs) {
    std::vector<double> sums;
    Array out;
    Averaging averaging = Averaging::outputs;
    for (int64_t number = 0; number < views_.count(); ++number) {
      const Array outputs = outputs_({view_of(inputs, views_, number)})[0];
      if (!out) {
        out = Array(outputs.type());
        averaging = averaging_for(loss_, outputs.elements() / outputs.shape()[0]);
        sums.resize(static_cast<size_t>(outputs.elements()));
      }
      add_view(outputs, averaging, sums);
    }
    const std::span<float> scores = out.as<float>();
    for (size_t i = 0; i < sums.size(); ++i)
      scores[i] = static_cast<float>(score_of(sums[i] / static_cast<double>(views_.count()), averaging));
    return out;
  }

  // Of all rows, batch by batch.
  template <class Read>
  Array all(int64_t rows, int64_t batch_size, const Read& read) {
    Array out;
    for (int64_t begin = 0; begin < rows; begin += batch_size) {
      const int64_t end = std::min(rows, begin + batch_size);
      const Array part = (*this)(read(begin, end));
      if (!out) out = Array(part.dtype(), part.shape().with(0, rows));
      Array place = out.rows(begin, end);
      std::ranges::copy(part.bytes(), place.bytes().begin());
    }
    return out;
  }

 private:
  const nn::Loss& loss_;
  TestTimeViews views_;
  nn::Function outputs_;
};

constexpr int64_t most_rows_at_once = 512;

}  // namespace

Array predict(nn::Module& net, const nn::Loss& loss, const Array& inputs, const TestTimeViews& views,
              EvaluateOptions options) {
  if (!inputs || inputs.shape().rank() == 0 || inputs.shape()[0] == 0) fail("predict: there is no input");
  return Averager(net, loss, views, options)
      .all(inputs.shape()[0], std::min(most_rows_at_once, options.batch_size),
           [&](int64_t begin, int64_t end) { return inputs.rows(begin, end); });
}

Evaluation evaluate(nn::Module& net, const nn::Loss& loss, const data::Dataset& data, const TestTimeViews& views,
                    EvaluateOptions options) {
  if (data.size() == 0 || !data.targets) return evaluate(net, loss, data, options);  // which says what is wrong
  const Array scores = Averager(net, loss, views, options)
                           .all(data.size(), std::min(most_rows_at_once, options.batch_size),
                                [&](int64_t begin, int64_t end) { return data.read_inputs(begin, end); });
  nn::Sequential nothing{std::vector<nn::Layer>{}};
  return evaluate(nothing, loss, {scores, data.targets, data.classes, {}}, options);
}

}  // namespace descent::train
