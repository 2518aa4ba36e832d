#include "descent/nn/initializers.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "descent/nn/linear.h"
#include "descent/nn/sequential.h"
#include "tests/unit/step_reference.h"

namespace descent::nn {
namespace {

struct Moments {
  double mean = 0, variance = 0, kurtosis = 0, largest = 0;
};

Moments moments(const Array& array) {
  const std::vector<double> values = array.to_doubles();
  const auto n = static_cast<double>(values.size());
  Moments out;
  for (const double v : values) out.mean += v / n;
  for (const double v : values) out.variance += (v - out.mean) * (v - out.mean) / n;
  for (const double v : values) out.kurtosis += std::pow(v - out.mean, 4) / n / out.variance / out.variance;
  for (const double v : values) out.largest = std::max(out.largest, std::abs(v));
  return out;
}

bool same_bytes(const Array& a, const Array& b) {
  return a.type() == b.type() && std::memcmp(a.data(), b.data(), a.bytes().size()) == 0;
}

struct Expected {
  std::string_view kind;
  double variance;
  bool normal;
};

TEST(Initializers, HaveTheirVarianceAndDistribution) {
  const Shape shape{300, 200};
  const Expected rows[] = {{"glorot_uniform", 2.0 / 500, false}, {"glorot_normal", 2.0 / 500, true},
                           {"he_uniform", 2.0 / 300, false},     {"he_normal", 2.0 / 300, true},
                           {"lecun_uniform", 1.0 / 300, false},  {"lecun_normal", 1.0 / 300, true},
                           {"uniform", 0.1 * 0.1 / 12, false},   {"normal", 0.05 * 0.05, true}};
  for (const auto& [kind, variance, normal] : rows) {
    SCOPED_TRACE(kind);
    const Moments m = moments(make_initializer(kind)(shape, 3, "weight"));
    EXPECT_NEAR(m.mean, 0, 4 * std::sqrt(variance / 60000));
    EXPECT_NEAR(m.variance, variance, 0.03 * variance);
    EXPECT_NEAR(m.kurtosis, normal ? 3 : 1.8, normal ? 0.15 : 0.03);
    const double bound = normal ? 7 * std::sqrt(variance) : std::sqrt(3 * variance) * (1 + 1e-6);
    EXPECT_LE(m.largest, bound);
  }
}

TEST(Initializers, TakeTheirSettings) {
  const Shape shape{300, 200};
  EXPECT_NEAR(moments(init::normal(2, 0.5)(shape, 0, "w")).mean, 2, 0.01);
  EXPECT_NEAR(moments(init::glorot_normal(3)(shape, 0, "w")).variance, 9 * 2.0 / 500, 0.002);
  EXPECT_NEAR(moments(init::he_normal(1)(shape, 0, "w")).variance, 1.0 / 300, 1e-4);
  const std::vector<double> values = init::uniform(4, 5)({1000}, 0, "w").to_doubles();
  EXPECT_GE(*std::ranges::min_element(values), 4);
  EXPECT_LT(*std::ranges::max_element(values), 5);
  expect_near(init::constant(0.5)({2}, 0, "w"), {0.5, 0.5}, 0);
  expect_near(make_initializer("ones")({2}, 0, "w"), {1, 1}, 0);
  EXPECT_EQ(error_of([] { init::uniform(1, 0); }), "uniform initial values: the range from 1 to 0 is empty");
  EXPECT_EQ(error_of([] { make_initializer("he_nromal"); }),
            "there is no initialiser 'he_nromal'; did you mean 'he_normal'?");
}

TEST(Initializers, CountAWindowInTheFans) {
  EXPECT_NEAR(moments(init::he_normal()({3, 3, 20, 50}, 0, "w")).variance, 2.0 / 180, 1e-3);
  EXPECT_NEAR(moments(init::glorot_normal()({3, 3, 20, 50}, 0, "w")).variance, 2.0 / (180 + 450), 2e-4);
}

void expect_orthonormal_columns(const Array& w, double gain) {
  const int64_t rows = w.shape()[0], columns = w.shape()[1];
  for (int64_t a = 0; a < columns; ++a)
    for (int64_t b = 0; b <= a; ++b) {
      double dot = 0;
      for (int64_t i = 0; i < rows; ++i) dot += w.at(i * columns + a) * w.at(i * columns + b);
      EXPECT_NEAR(dot, a == b ? gain * gain : 0, 1e-5) << a << " " << b;
    }
}

TEST(Initializers, OrthogonalIsOrthogonal) {
  expect_orthonormal_columns(init::orthogonal()({40, 25}, 0, "w"), 1);
  expect_orthonormal_columns(init::orthogonal(2)({30, 30}, 0, "w"), 2);
  const Array wide = init::orthogonal()({3, 7}, 0, "w");
  Array turned(DType::f32, {7, 3});
  for (int64_t i = 0; i < 21; ++i) turned.set(i % 7 * 3 + i / 7, wide.at(i));
  expect_orthonormal_columns(turned, 1);
  EXPECT_EQ(error_of([] { init::orthogonal()({5}, 0, "w"); }),
            "orthogonal initial values are for matrices, not for [5]");
}

TEST(Initializers, DependOnSeedAndPathOnly) {
  const Initializer he = init::he_uniform();
  const Array first = he({20, 30}, 5, "hidden.weight");
  EXPECT_TRUE(same_bytes(first, he({20, 30}, 5, "hidden.weight")));
  EXPECT_FALSE(same_bytes(first, he({20, 30}, 6, "hidden.weight")));
  EXPECT_FALSE(same_bytes(first, he({20, 30}, 5, "output.weight")));
}

TEST(Initializers, DoNotDependOnTheOrderOfConstruction) {
  Sequential plain{{"a", Linear{4}}, {"b", Linear{4}}};
  Sequential longer{{"before", Linear{4}}, {"a", Linear{4}}, {"b", Linear{4}}};
  make_parameters(plain, {DType::f32, {1, 4}}, 9);
  make_parameters(longer, {DType::f32, {1, 4}}, 9);
  EXPECT_TRUE(same_bytes(all_parameters(plain)[2]->array(), all_parameters(longer)[4]->array()));  // b.weight
}

}  // namespace
}  // namespace descent::nn
