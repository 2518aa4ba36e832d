#include "descent/nn/whitening.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "descent/nn/per_axis.h"
#include "descent/ops/add.h"
#include "descent/ops/conv.h"

namespace descent::nn {

namespace {

// Turns rows and columns p and q of the matrix, and the vectors p and q, so that the element (p, q) becomes 0.
void rotate(std::vector<double>& matrix, std::vector<double>& vectors, size_t size, size_t p, size_t q) {
  const auto at = [&](size_t row, size_t column) -> double& { return matrix[row * size + column]; };
  const double off = at(p, q);
  if (off == 0) return;
  const double theta = (at(q, q) - at(p, p)) / (2 * off);
  const double t = std::copysign(1.0, theta) / (std::abs(theta) + std::hypot(1.0, theta));
  const double c = 1 / std::hypot(1.0, t), s = t * c;
  const auto turn = [&](double& a, double& b) {
    const double old = a;
    a = c * old - s * b;
    b = s * old + c * b;
  };
  for (size_t i = 0; i < size; ++i) turn(at(i, p), at(i, q));
  for (size_t i = 0; i < size; ++i) turn(at(p, i), at(q, i));
  for (size_t i = 0; i < size; ++i) turn(vectors[p * size + i], vectors[q * size + i]);
}

double off_diagonal(const std::vector<double>& matrix, size_t size) {
  double sum = 0;
  for (size_t i = 0; i < matrix.size(); ++i)
    if (i / size != i % size) sum += matrix[i] * matrix[i];
  return sum;
}

}  // namespace

Eigen symmetric_eigen(std::vector<double> matrix, size_t size) {
  std::vector<double> vectors(size * size);
  for (size_t i = 0; i < size; ++i) vectors[i * size + i] = 1;
  const double whole = std::inner_product(matrix.begin(), matrix.end(), matrix.begin(), 0.0);
  constexpr int most_sweeps = 60;
  for (int sweep = 0; sweep < most_sweeps && off_diagonal(matrix, size) > 1e-26 * whole; ++sweep)
    for (size_t p = 0; p < size; ++p)
      for (size_t q = p + 1; q < size; ++q) rotate(matrix, vectors, size, p, q);
  std::vector<size_t> order(size);
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>{}, [&](size_t i) { return matrix[i * size + i]; });
  Eigen out;
  for (const size_t i : order) {
    out.values.push_back(matrix[i * size + i]);
    out.vectors.insert(out.vectors.end(), vectors.begin() + static_cast<int64_t>(i * size),
                       vectors.begin() + static_cast<int64_t>((i + 1) * size));
  }
  return out;
}

namespace {

// The mean of patch x patch^T over all patches of images [n, height, width, channels].
std::vector<double> second_moments(std::span<const float> images, const Shape& shape, int64_t kernel) {
  const int64_t height = shape[1], width = shape[2], channels = shape[3], run = kernel * channels;
  const auto size = static_cast<size_t>(kernel * run);
  std::vector<double> sums(size * size);
  std::vector<double> patch(size);
  for (int64_t image = 0; image < shape[0]; ++image)
    for (int64_t y = 0; y + kernel <= height; ++y)
      for (int64_t x = 0; x + kernel <= width; ++x) {
        for (int64_t dy = 0; dy < kernel; ++dy)
          std::copy_n(images.begin() + (((image * height + y + dy) * width) + x) * channels, run,
                      patch.begin() + dy * run);
        for (size_t i = 0; i < size; ++i)
          for (size_t j = 0; j <= i; ++j) sums[i * size + j] += patch[i] * patch[j];
      }
  const auto patches = static_cast<double>(shape[0] * (height - kernel + 1) * (width - kernel + 1));
  for (size_t i = 0; i < size; ++i)
    for (size_t j = 0; j <= i; ++j) sums[j * size + i] = sums[i * size + j] /= patches;
  return sums;
}

}  // namespace

WhitenPatches::WhitenPatches(WhitenOptions options, Site at) : options_(options), at_(at) {
  if (options.kernel < 1)
    throw UsageError(at, text("WhitenPatches: the kernel must be at least 1, got ", options.kernel));
  if (!(options.epsilon > 0))
    throw UsageError(at, text("WhitenPatches: the epsilon must be above 0, got ", options.epsilon));
  if (options.bias_epochs < 0)
    throw UsageError(at, text("WhitenPatches: the bias's epochs must be at least 0, got ", options.bias_epochs));
}

std::string WhitenPatches::describe() const { return text("WhitenPatches ", options_.kernel, "x", options_.kernel); }

std::vector<ParameterPtr> WhitenPatches::parameters() const {
  return bias_ ? std::vector{bias_} : std::vector<ParameterPtr>{};
}
std::vector<StatePtr> WhitenPatches::states() const { return weight_ ? std::vector{weight_} : std::vector<StatePtr>{}; }

Tensor WhitenPatches::forward(Pass& pass, Tensor given) {
  const Tensor x = as_images(pass, *this, given, 2, at_);
  const int64_t kernel = options_.kernel, channels = x.shape().back(), features = 2 * kernel * kernel * channels;
  if (!weight_) {
    weight_ = make_state(pass, "weight", Array::full({DType::f32, {kernel, kernel, channels, features}}, 0));
    bias_ = make_parameter(pass, "bias", {features}, init::zeros(), false);
    bias_->epochs = options_.bias_epochs;
  }
  if (weight_->type().shape[2] != channels)
    fail(at_, text(layer_label(pass, *this), "input ", x.type(), " has ", channels,
                   " channels on axis 3, but the weight ", weight_->type(), " takes ", weight_->type().shape[2]));
  return add({conv(x, pass.read(weight_), {}, at_), at_}, {pass.parameter(bias_), at_});
}

bool WhitenPatches::wants_examples() const {
  return !weight_ || std::ranges::all_of(weight_->array().as<float>(), [](float value) { return value == 0; });
}

void WhitenPatches::see_examples(const Array& x) {
  const auto size = static_cast<size_t>(weight_->type().shape[0] * weight_->type().shape[1] * weight_->type().shape[2]);
  const Shape shape = x.shape().rank() == 3 ? Shape{x.shape()[0], x.shape()[1], x.shape()[2], 1} : x.shape();
  const Eigen found = symmetric_eigen(second_moments(x.as<float>(), shape, options_.kernel), size);
  Array weight(weight_->type());
  const std::span<float> values = weight.as<float>();
  for (size_t feature = 0; feature < size; ++feature) {
    const double scale = 1 / std::sqrt(std::max(found.values[feature], 0.0) + options_.epsilon);
    for (size_t i = 0; i < size; ++i) {
      const double value = found.vectors[feature * size + i] * scale;
      values[i * 2 * size + feature] = static_cast<float>(value);
      values[i * 2 * size + size + feature] = static_cast<float>(-value);
    }
  }
  weight_->assign(weight);
}

}  // namespace descent::nn
