#include "descent/nn/initializers.h"

#include <cmath>
#include <vector>

#include "descent/base/hash.h"

namespace descent::nn {

Array Initializer::operator()(const Shape& shape, uint64_t seed, std::string_view path) const {
  Array out(DType::f32, shape);
  const uint64_t key = hash_text(hash_mix(0, seed), path);
  fill_(out.as<float>(), shape, RandomSource{.key = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)}});
  return out;
}

namespace init {

namespace {

struct Fans {
  double in, out;
};

Fans fans(const Shape& shape) {
  const int rank = shape.rank();
  if (rank < 2) return {static_cast<double>(shape.elements()), static_cast<double>(shape.elements())};
  const auto window = static_cast<double>(shape.first(rank - 2).elements());
  return {window * static_cast<double>(shape[rank - 2]), window * static_cast<double>(shape[rank - 1])};
}

std::vector<uint32_t> words(size_t count, const RandomSource& source) {
  std::vector<uint32_t> out(count);
  fill_random(out, source);
  return out;
}

void fill_uniform(std::span<float> values, double low, double high, const RandomSource& source) {
  const std::vector<uint32_t> bits = words(values.size(), source);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(low + (high - low) * double{uniform_from_word(bits[i])});
}

template <class T>
void fill_normal(std::span<T> values, double mean, double deviation, const RandomSource& source) {
  const std::vector<uint32_t> bits = words(2 * values.size(), source);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<T>(mean + deviation * normal_from_words(bits[2 * i], bits[2 * i + 1]));
}

// Zero-mean values of a variance that depends on the fans.
using Variance = std::function<double(Fans)>;

Initializer uniform_of(std::string describe, Variance variance) {
  return {std::move(describe), [variance](std::span<float> values, const Shape& shape, const RandomSource& source) {
            const double limit = std::sqrt(3 * variance(fans(shape)));
            fill_uniform(values, -limit, limit, source);
          }};
}

Initializer normal_of(std::string describe, Variance variance) {
  return {std::move(describe), [variance](std::span<float> values, const Shape& shape, const RandomSource& source) {
            fill_normal(values, 0, std::sqrt(variance(fans(shape))), source);
          }};
}

Variance glorot(double gain) {
  return [gain](Fans fan) { return gain * gain * 2 / (fan.in + fan.out); };
}
Variance he(double slope) {
  return [slope](Fans fan) { return 2 / (1 + slope * slope) / fan.in; };
}
double lecun(Fans fan) { return 1 / fan.in; }

using Row = std::vector<double>;

double dot(const Row& a, const Row& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void subtract_projection(Row& row, const Row& unit) {
  const double along = dot(row, unit);
  for (size_t i = 0; i < row.size(); ++i) row[i] -= along * unit[i];
}

// Gram and Schmidt, each row twice against the ones before it: orthogonal to rounding. From normal rows, the result is
// uniform among orthonormal ones, since the lengths they are divided by are positive.
void orthonormalise(std::vector<Row>& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    for (int pass = 0; pass < 2; ++pass)
      for (size_t j = 0; j < i; ++j) subtract_projection(rows[i], rows[j]);
    const double length = std::sqrt(dot(rows[i], rows[i]));
    for (double& value : rows[i]) value /= length;
  }
}

void fill_orthogonal(std::span<float> values, const Shape& shape, double gain, const RandomSource& source) {
  if (shape.rank() < 2) fail(text("orthogonal initial values are for matrices, not for ", shape));
  const auto columns = static_cast<size_t>(shape.back()), rows = values.size() / columns;
  const bool wide = columns > rows;
  const size_t units = wide ? rows : columns, size = wide ? columns : rows;
  Row normals(values.size());
  fill_normal(std::span(normals), 0, 1, source);
  std::vector<Row> basis(units);
  for (size_t i = 0; i < units; ++i) basis[i].assign(normals.begin() + i * size, normals.begin() + (i + 1) * size);
  orthonormalise(basis);
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t row = i / columns, column = i % columns;
    values[i] = static_cast<float>(gain * (wide ? basis[row][column] : basis[column][row]));
  }
}

void fill_dirac(std::span<float> values, const Shape& shape, const RandomSource& source) {
  const int rank = shape.rank();
  if (rank < 3) fail(text("dirac initial values are for convolutions' weights, not for ", shape));
  const int64_t inputs = shape[rank - 2], results = shape[rank - 1];
  int64_t centre = 0;
  for (int axis = 0; axis + 2 < rank; ++axis) centre = centre * shape[axis] + shape[axis] / 2;
  const double limit = std::sqrt(1 / fans(shape).in);
  fill_uniform(values, -limit, limit, source);
  for (int64_t i = 0; i < std::ssize(values); ++i) {
    const int64_t result = i % results, input = i / results % inputs, tap = i / (results * inputs);
    if (result < inputs) values[i] = tap == centre && input == result ? 1.0F : 0.0F;
  }
}

}  // namespace

Initializer constant(double value) {
  return {text("constant ", value), [value](std::span<float> values, const Shape&, const RandomSource&) {
            std::ranges::fill(values, static_cast<float>(value));
          }};
}
Initializer zeros() { return constant(0); }
Initializer ones() { return constant(1); }

Initializer uniform(double low, double high) {
  if (!(low <= high)) fail(text("uniform initial values: the range from ", low, " to ", high, " is empty"));
  return {text("uniform ", low, " to ", high), [=](std::span<float> values, const Shape&, const RandomSource& source) {
            fill_uniform(values, low, high, source);
          }};
}

Initializer normal(double mean, double deviation) {
  if (!(deviation >= 0)) fail(text("normal initial values: the deviation must be at least 0, got ", deviation));
  return {text("normal ", mean, " ± ", deviation),
          [=](std::span<float> values, const Shape&, const RandomSource& source) {
            fill_normal(values, mean, deviation, source);
          }};
}

Initializer glorot_uniform(double gain) { return uniform_of("Glorot uniform", glorot(gain)); }
Initializer glorot_normal(double gain) { return normal_of("Glorot normal", glorot(gain)); }
Initializer he_uniform(double slope) { return uniform_of("He uniform", he(slope)); }
Initializer he_normal(double slope) { return normal_of("He normal", he(slope)); }
Initializer lecun_uniform() { return uniform_of("LeCun uniform", lecun); }
Initializer lecun_normal() { return normal_of("LeCun normal", lecun); }

Initializer orthogonal(double gain) {
  return {"orthogonal", [gain](std::span<float> values, const Shape& shape, const RandomSource& source) {
            if (!values.empty()) fill_orthogonal(values, shape, gain, source);
          }};
}

Initializer dirac() {
  return {"dirac", [](std::span<float> values, const Shape& shape, const RandomSource& source) {
            if (!values.empty()) fill_dirac(values, shape, source);
          }};
}

}  // namespace init

std::span<const Kind<Initializer>> initializer_kinds() {
  static const SettingRule gain{"gain", 1.0, "factor on the deviation"},
      slope{"slope", 0.0, "the activation's slope below 0"};
  static const std::vector<Kind<Initializer>> kinds = {
      {"zeros", "all 0", {}, [](const Settings&) { return init::zeros(); }},
      {"ones", "all 1", {}, [](const Settings&) { return init::ones(); }},
      {"constant",
       "all alike",
       {{"value", 0.0, "the value"}},
       [](const Settings& s) { return init::constant(s.number("value")); }},
      {"uniform",
       "uniform in a range",
       {{"low", -0.05, "its lower end"}, {"high", 0.05, "its upper end"}},
       [](const Settings& s) { return init::uniform(s.number("low"), s.number("high")); }},
      {"normal",
       "normal",
       {{"mean", 0.0, "the mean"}, {"deviation", 0.05, "the standard deviation"}},
       [](const Settings& s) { return init::normal(s.number("mean"), s.number("deviation")); }},
      {"glorot_uniform",
       "uniform, variance 2 / (fan in + fan out)",
       {gain},
       [](const Settings& s) { return init::glorot_uniform(s.number("gain")); }},
      {"glorot_normal",
       "normal, variance 2 / (fan in + fan out)",
       {gain},
       [](const Settings& s) { return init::glorot_normal(s.number("gain")); }},
      {"he_uniform",
       "uniform, variance 2 / fan in",
       {slope},
       [](const Settings& s) { return init::he_uniform(s.number("slope")); }},
      {"he_normal",
       "normal, variance 2 / fan in",
       {slope},
       [](const Settings& s) { return init::he_normal(s.number("slope")); }},
      {"lecun_uniform", "uniform, variance 1 / fan in", {}, [](const Settings&) { return init::lecun_uniform(); }},
      {"lecun_normal", "normal, variance 1 / fan in", {}, [](const Settings&) { return init::lecun_normal(); }},
      {"dirac", "convolutions that copy their channels", {}, [](const Settings&) { return init::dirac(); }},
      {"orthogonal", "orthonormal rows or columns", {gain}, [](const Settings& s) {
         return init::orthogonal(s.number("gain"));
       }}};
  return kinds;
}

Initializer make_initializer(std::string_view kind, const Settings& settings) {
  return make_kind(initializer_kinds(), "initialiser", kind, settings);
}

}  // namespace descent::nn
