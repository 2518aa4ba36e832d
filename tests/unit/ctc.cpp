// CTC against its definition: the sum over all rows of frames that stand for the labels.
#include "descent/ops/ctc_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "descent/grad/gradient.h"
#include "descent/nn/losses.h"
#include "descent/ops/sum.h"
#include "tests/unit/step_reference.h"

namespace descent {
namespace {

using Row = std::vector<int64_t>;

// What is left of a row of frames when runs become one and blanks go.
Row collapsed(const Row& frames, int64_t blank) {
  Row out;
  for (size_t t = 0; t < frames.size(); ++t)
    if (frames[t] != blank && (t == 0 || frames[t] != frames[t - 1])) out.push_back(frames[t]);
  return out;
}

// Probabilities of each class in each frame.
std::vector<double> softmax(std::span<const double> scores, int64_t classes) {
  std::vector<double> out;
  for (size_t begin = 0; begin < scores.size(); begin += static_cast<size_t>(classes)) {
    double total = 0;
    for (int64_t c = 0; c < classes; ++c) total += std::exp(scores[begin + c]);
    for (int64_t c = 0; c < classes; ++c) out.push_back(std::exp(scores[begin + c]) / total);
  }
  return out;
}

struct Enumerated {
  double loss = 0;
  std::vector<double> gradient;
};

// All classes^frames rows, one by one.
Enumerated enumerate(const std::vector<double>& scores, int64_t classes, int64_t blank, const Row& labels) {
  const std::vector<double> p = softmax(scores, classes);
  const auto frames = std::ssize(scores) / classes;
  double total = 0;
  std::vector<double> through(p.size(), 0);  // of the rows that have this class in this frame
  Row row(static_cast<size_t>(frames), 0);
  for (;;) {
    if (collapsed(row, blank) == labels) {
      double probability = 1;
      for (int64_t t = 0; t < frames; ++t) probability *= p[t * classes + row[t]];
      total += probability;
      for (int64_t t = 0; t < frames; ++t) through[t * classes + row[t]] += probability;
    }
    int64_t t = 0;
    while (t < frames && ++row[t] == classes) row[t++] = 0;
    if (t == frames) break;
  }
  Enumerated out{-std::log(total), {}};
  for (size_t i = 0; i < p.size(); ++i) out.gradient.push_back(p[i] - through[i] / total);
  return out;
}

Dense ints(std::vector<double> values, Shape shape) { return {{DType::i32, shape}, std::move(values)}; }

TEST(Ctc, IsTheSumOverAllAlignments) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal(0, 2);
  for (const int64_t blank : {0, 2})
    for (int64_t frames = 1; frames <= 6; ++frames)
      for (const Row& labels : {Row{}, {1}, {1, 1}, {3, 1}, {1, 3, 1}, {3, 3, 1}}) {
        constexpr int64_t classes = 4;
        std::vector<double> scores(static_cast<size_t>(frames * classes));
        for (double& score : scores) score = normal(random);
        const Enumerated wanted = enumerate(scores, classes, blank, labels);
        const auto count = std::ssize(labels);
        const std::vector<Dense> in{{{DType::f32, {1, frames, classes}}, scores},
                                    ints({labels.begin(), labels.end()}, {1, count}),
                                    ints({static_cast<double>(frames)}, {1}),
                                    ints({static_cast<double>(count)}, {1})};
        const Attrs attrs{{"blank", blank}, {"zero_infinity", int64_t{0}}};
        const double loss = evaluate_op(op_def<CtcLoss>(), attrs, in, {.exact = true})[0].values[0];
        if (std::isinf(wanted.loss)) {
          EXPECT_EQ(loss, wanted.loss) << frames << " frames, " << count << " labels";
          continue;
        }
        EXPECT_NEAR(loss, wanted.loss, 1e-11);
        std::vector<Dense> with{{{DType::f32, {1}}, {1}}};
        with.insert(with.end(), in.begin(), in.end());
        const Dense gradient = evaluate_op(op_def<CtcGradient>(), {{"blank", blank}}, with, {.exact = true})[0];
        for (size_t i = 0; i < scores.size(); ++i) EXPECT_NEAR(gradient.values[i], wanted.gradient[i], 1e-11);
      }
}

Array i32(std::vector<int32_t> values, Shape shape) { return Array::from(std::span<const int32_t>(values), shape); }

// Losses, and the gradient of their sum.
std::vector<Array> compiled(const Array& scores, const Array& labels, const Array& lengths, const Array& label_lengths,
                            CtcOptions options = {}) {
  nn::Function function(
      [options](nn::Pass&, std::span<const Tensor> in) -> Tensors {
        const Tensor losses = ctc_loss(in[0], in[1], in[2], in[3], options);
        return {losses, gradients(sum(losses), std::vector{in[0]})[0]};
      },
      {});
  std::vector<Array> out;
  for (const Array& result : function({scores, labels, lengths, label_lengths})) out.push_back(result.clone());
  return out;
}

Array random_scores(Shape shape, double size, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, static_cast<float>(size));
  Array out(DType::f32, shape);
  for (float& score : out.as<float>()) score = normal(random);
  return out;
}

TEST(Ctc, PaddingChangesNothing) {
  const Array short_scores = random_scores({1, 5, 4}, 2, 3), labels = i32({1, 2}, {1, 2});
  const std::vector<Array> wanted = compiled(short_scores, labels, i32({5}, {1}), i32({2}, {1}));
  Array long_scores = random_scores({1, 9, 4}, 50, 4);
  std::ranges::copy(short_scores.as<float>(), long_scores.as<float>().begin());
  const std::vector<Array> padded = compiled(long_scores, i32({1, 2, 77}, {1, 3}), i32({5}, {1}), i32({2}, {1}));
  EXPECT_EQ(padded[0].item(), wanted[0].item());
  for (int64_t i = 0; i < long_scores.elements(); ++i)
    EXPECT_EQ(padded[1].at(i), i < short_scores.elements() ? wanted[1].at(i) : 0) << i;
}

// Frames that are certainly blank are as good as none: how a padded net tells the lengths of its outputs.
TEST(Ctc, CertainBlanksAreNoFrames) {
  const Array short_scores = random_scores({1, 5, 4}, 2, 3), labels = i32({1, 2}, {1, 2});
  const std::vector<Array> wanted = compiled(short_scores, labels, i32({5}, {1}), i32({2}, {1}));
  Array scores(DType::f32, {1, 8, 4});
  std::ranges::fill(scores.as<float>(), -std::numeric_limits<float>::infinity());
  std::ranges::copy(short_scores.as<float>(), scores.as<float>().begin());
  for (int64_t t = 5; t < 8; ++t) scores.as<float>()[static_cast<size_t>(t * 4)] = 0;
  const std::vector<Array> padded = compiled(scores, labels, i32({8}, {1}), i32({2}, {1}));
  EXPECT_NEAR(padded[0].item(), wanted[0].item(), 1e-6);
  for (int64_t i = 0; i < scores.elements(); ++i)
    EXPECT_NEAR(padded[1].at(i), i < short_scores.elements() ? wanted[1].at(i) : 0, 1e-6) << i;
}

// The loss of a net's outputs is a mean over the rows; per character, each row's part is over its own number of them.
TEST(Ctc, PerCharacter) {
  const Array scores = random_scores({3, 6, 4}, 2, 9), labels = i32({1, 2, 1, 2, -1, -1, -1, -1, -1}, {3, 3});
  const auto loss_of = [&](const nn::Ctc& loss) {
    nn::Function function([&](nn::Pass&, std::span<const Tensor> in) -> Tensors { return {loss(in[0], in[1])}; }, {});
    return function({scores, labels})[0].item();
  };
  // Blanks are the last class here.
  const std::vector<Array> each = compiled(scores, labels, i32({6, 6, 6}, {3}), i32({3, 1, 0}, {3}), {.blank = 3});
  const double first = each[0].at(0), second = each[0].at(1), third = each[0].at(2);
  EXPECT_NEAR(loss_of({}), (first + second + third) / 3, 1e-5);
  EXPECT_NEAR(loss_of({.per_character = true}), (first / 3 + second + third) / 3, 1e-5);
}

TEST(Ctc, ImpossibleLabels) {
  const Array scores = random_scores({4, 3, 3}, 1, 5);
  // Too many (two equal ones need a blank between them), the blank, and none of the classes; then one that can be had.
  const Array rows = i32({1, 1, 2, 0, 9, 1, 2, 1}, {4, 2}), all = i32({2, 3, 3, 3}, {4}), two = i32({2, 2, 2, 2}, {4});
  const std::vector<Array> plain = compiled(scores, rows, all, two);
  const std::vector<Array> forgiven = compiled(scores, rows, all, two, {.zero_infinity = true});
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(plain[0].at(i), HUGE_VAL) << i;
    EXPECT_EQ(forgiven[0].at(i), 0) << i;
  }
  EXPECT_TRUE(std::isfinite(plain[0].at(3)));
  EXPECT_EQ(plain[0].at(3), forgiven[0].at(3));
  for (int64_t i = 0; i < scores.elements(); ++i) {
    EXPECT_EQ(plain[1].at(i), forgiven[1].at(i));
    EXPECT_EQ(plain[1].at(i) == 0, i < 3 * 3 * 3) << i;
  }
}

// Where blanks are all but certain, each label's probability is below what a double holds.
TEST(Ctc, UnlikelyLabelsAreNotLost) {
  Array scores(DType::f32, {1, 400, 3});
  for (size_t t = 0; t < 400; ++t) scores.as<float>()[3 * t] = 90;
  std::vector<int32_t> many(150);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<int32_t>(1 + i % 2);
  const std::vector<Array> out = compiled(scores, i32(many, {1, 150}), i32({400}, {1}), i32({150}, {1}));
  // The likeliest rows have each label once: 400 over 150 ways of 150 labels of probability e^-90.
  const double ways = std::lgamma(401) - std::lgamma(151) - std::lgamma(251);
  EXPECT_NEAR(out[0].item(), 150 * 90 - ways, 0.01);
  EXPECT_LT(out[1].at(1), -0.1);
}

}  // namespace
}  // namespace descent
