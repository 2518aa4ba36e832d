#include "descent/nn/losses.h"

#include <cmath>

#include "descent/grad/gradient.h"
#include "descent/nn/linear.h"
#include "tests/unit/step_reference.h"

namespace descent::nn {
namespace {

Array labels(std::vector<int32_t> values) {
  return Array::from(std::span<const int32_t>(values), {static_cast<int64_t>(values.size())});
}

double value(const Loss& loss, const Array& outputs, const Array& targets) {
  const Function function = compile([&](Pass&, Tensor y, Tensor t) { return loss(y, t); });
  const Array result = reference_step(function, {outputs, targets})[0];
  EXPECT_EQ(result.shape(), Shape{});
  return result.item();
}

std::vector<double> gradient(const Loss& loss, const Array& outputs, const Array& targets) {
  const Function function =
      compile([&](Pass&, Tensor y, Tensor t) { return gradients(loss(y, t), std::vector{y})[0]; });
  return reference_step(function, {outputs, targets})[0].to_doubles();
}

const Array scores = matrix({1, 2, 0.5f, -1, 0, 3}, {2, 3});
const double row0 = std::log(std::exp(1.0) + std::exp(2.0) + std::exp(0.5)),
             row1 = std::log(std::exp(-1.0) + 1 + std::exp(3.0));

TEST(CrossEntropyLoss, OfLabels) {
  EXPECT_NEAR(value(cross_entropy, scores, labels({1, 0})), (row0 - 2 + row1 + 1) / 2, 1e-6);
  const double smooth0 = 0.9 * (row0 - 2) + 0.1 / 3 * (3 * row0 - 3.5),
               smooth1 = 0.9 * (row1 + 1) + 0.1 / 3 * (3 * row1 - 2);
  EXPECT_NEAR(value(CrossEntropy{.label_smoothing = 0.1}, scores, labels({1, 0})), (smooth0 + smooth1) / 2, 1e-6);
}

TEST(CrossEntropyLoss, OfDistributions) {
  const Array targets = matrix({0, 1, 0, 1, 0, 0}, {2, 3});
  EXPECT_NEAR(value(cross_entropy, scores, targets), (row0 - 2 + row1 + 1) / 2, 1e-6);
  EXPECT_NEAR(value(CrossEntropy{.label_smoothing = 0.1}, scores, targets),
              value(CrossEntropy{.label_smoothing = 0.1}, scores, labels({1, 0})), 1e-6);
  const Array mixed = matrix({0.5f, 0.5f, 0, 0.25f, 0.25f, 0.5f}, {2, 3});
  EXPECT_NEAR(value(cross_entropy, scores, mixed), (row0 - 1.5 + row1 - 1.25) / 2, 1e-6);
  EXPECT_NEAR(value(kl_divergence, scores, mixed), (row0 - 1.5 + std::log(0.5) + row1 - 1.25 + 1.5 * std::log(0.5)) / 2,
              1e-6);
}

TEST(SequenceCrossEntropy, IsTheMeanOverPlacesWithALabel) {
  const Array y = matrix({1, 2, 0, -1, 3, 3, 5, 0, 1, 1, 1, 9}, {2, 3, 2});
  const auto labelled = [](std::vector<int32_t> values, Shape shape) {
    return Array::from(std::span<const int32_t>(values), shape);
  };
  const auto cost = [](double own, double other) { return std::log(1 + std::exp(other - own)); };
  const double expected = (cost(2, 1) + cost(0, -1) + cost(5, 0)) / 3;
  const Array ends = labelled({1, 0, -1, 0, -1, -1}, {2, 3}), more = labelled({1, 0, -1, 1, 0, -1, -1, 1}, {2, 4});
  EXPECT_NEAR(value(sequence_cross_entropy, y, ends), expected, 1e-6);
  EXPECT_NEAR(value(sequence_cross_entropy, y, more), expected, 1e-6) << "labels beyond the places";
  EXPECT_NEAR(value(SequenceCrossEntropy{.label_smoothing = 0.2}, y, ends),
              0.9 * expected + 0.1 * (cost(1, 2) + cost(-1, 0) + cost(0, 5)) / 3, 1e-6);
  EXPECT_EQ(value(sequence_cross_entropy, y, labelled({-1, -1, -1, -1, -1, -1}, {2, 3})), 0);
  const std::vector<double> g = gradient(sequence_cross_entropy, y, ends);
  EXPECT_NEAR(g[0], 1 / (1 + std::exp(1.0)) / 3, 1e-6);
  for (const size_t padding : {4, 5, 8, 9, 10, 11}) EXPECT_EQ(g[padding], 0);
  EXPECT_TRUE(contains(error_of([&] {
                         value(sequence_cross_entropy, y, labelled({1, 0, 1, 0}, {2, 2}));
                       }),
                       "takes scores [B, T, classes] and labels i32[B, at least T], got f32[2,3,2] and i32[2,2]"));
}

TEST(CrossEntropyLoss, GradientIsTheMeanOfSoftmaxLessTarget) {
  const std::vector<double> g = gradient(cross_entropy, scores, labels({1, 0}));
  EXPECT_NEAR(g[0], std::exp(1 - row0) / 2, 1e-6);
  EXPECT_NEAR(g[1], (std::exp(2 - row0) - 1) / 2, 1e-6);
  EXPECT_NEAR(g[5], std::exp(3 - row1) / 2, 1e-6);
}

TEST(NumberLosses, ByHand) {
  const Array y = matrix({1, 2, 5, -1}, {2, 2}), t = matrix({1, 4, 4.5f, 1}, {2, 2});
  EXPECT_NEAR(value(mean_squared_error, y, t), (0 + 4 + 0.25 + 4) / 4, 1e-6);
  EXPECT_NEAR(value(mean_absolute_error, y, t), (0 + 2 + 0.5 + 2) / 4, 1e-6);
  EXPECT_NEAR(value(huber, y, t), (0 + 1.5 + 0.125 + 1.5) / 4, 1e-6);
  EXPECT_NEAR(value(Huber{.delta = 0.5}, y, t), (0 + 0.5 * (2 - 0.25) + 0.125 + 0.5 * (2 - 0.25)) / 4, 1e-6);
}

TEST(NumberLosses, TakeTargetsWithoutALastAxisOfOne) {
  const Array y = matrix({1, 2, 3}, {3, 1}), t = matrix({1, 1, 1}, {3});
  EXPECT_NEAR(value(mean_squared_error, y, t), 5.0 / 3, 1e-6);
  EXPECT_NEAR(value(mean_squared_error, y, labels({1, 1, 1})), 5.0 / 3, 1e-6);
  EXPECT_TRUE(contains(error_of([&] {
                         value(mean_squared_error, matrix({1, 2, 3, 4}, {2, 2}), matrix({1, 2}, {2}));
                       }),
                       "squared_error: input 1 is f32[2] but input 0 is f32[2,2]"));
}

TEST(NumberLosses, TakeLabelsAsRowsOfZeroAndOne) {
  const double expected = (1 + 1 + 0.25 + 4 + 0 + 9) / 6;  // against 0 1 0 and 1 0 0
  EXPECT_NEAR(value(mean_squared_error, scores, labels({1, 0})), expected, 1e-6);
}

TEST(BinaryLosses, ByHand) {
  const Array y = matrix({2, -1, 0.5f}, {3, 1});
  const auto cost = [](double x, double t) {
    return -t * std::log(1 / (1 + std::exp(-x))) - (1 - t) * std::log(1 / (1 + std::exp(x)));
  };
  const double expected = (cost(2, 1) + cost(-1, 1) + cost(0.5, 0)) / 3;
  EXPECT_NEAR(value(binary_cross_entropy, y, labels({1, 1, 0})), expected, 1e-6);
  EXPECT_NEAR(value(binary_cross_entropy, y, matrix({1, 1, 0}, {3})), expected, 1e-6);
  EXPECT_NEAR(value(binary_cross_entropy, y.reshaped({3}), labels({1, 1, 0})), expected, 1e-6);
  EXPECT_NEAR(value(hinge, y, labels({1, 1, 0})), (0 + 2 + 1.5) / 3.0, 1e-6);
  EXPECT_NEAR(value(hinge, y, matrix({1, 1, -1}, {3, 1})), (0 + 2 + 1.5) / 3.0, 1e-6);
  EXPECT_NEAR(value(perceptron, y, labels({1, 1, 0})), (1 + 0.5) / 3.0, 1e-6);
}

TEST(BinaryLosses, TakeSeveralQuestionsAnExample) {
  const Array y = matrix({2, -1, 0.5f, 3}, {2, 2}), answers = labels({1, 0, 0, 1}).reshaped({2, 2});
  EXPECT_NEAR(value(hinge, y, answers), (0 + 0 + 1.5 + 0) / 4, 1e-6);
  const auto cost = [](double margin) { return std::log1p(std::exp(-margin)); };
  EXPECT_NEAR(value(binary_cross_entropy, y, answers), (cost(2) + cost(1) + cost(-0.5) + cost(3)) / 4, 1e-6);
}

TEST(Hinge, OfSeveralClasses) {
  EXPECT_NEAR(value(hinge, scores, labels({1, 1})), (0 + 4) / 2.0, 1e-6);
  EXPECT_NEAR(value(Hinge{.margin = 2}, scores, labels({1, 1})), (1 + 5) / 2.0, 1e-6);
  EXPECT_NEAR(value(perceptron, scores, labels({0, 2})), 0.5, 1e-6);
}

// Rosenblatt's rule: w grows by rate times the example where the answer is wrong, and a unit that starts at 0 learns.
TEST(Perceptron, GradientIsTheRule) {
  const std::vector<double> g = gradient(perceptron, matrix({0, 3, -2}, {3, 1}), labels({1, 1, 0}));
  EXPECT_NEAR(g[0], -1 / 3.0, 1e-6);
  EXPECT_EQ(g[1], 0);
  EXPECT_EQ(g[2], 0);
}

TEST(PolicyAndValue, IsTheSumOfBoth) {
  const Array outputs = matrix({1, 2, 0.5f, 0.7f, -1, 0, 3, -2}, {2, 4});
  const auto targets = [](std::vector<int32_t> values) {
    return Array::from(std::span<const int32_t>(values), {static_cast<int64_t>(values.size()) / 2, 2});
  };
  const double policy = (row0 - 2 + row1 + 1) / 2, won = std::log1p(std::exp(-0.7)), lost = std::log1p(std::exp(-2.0));
  EXPECT_NEAR(value(policy_and_value, outputs, targets({1, 1, 0, 0})), policy + (won + lost) / 2, 1e-6);
  EXPECT_NEAR(value(PolicyAndValue{.value_weight = 3}, outputs, targets({1, 1, 0, 0})), policy + 1.5 * (won + lost),
              1e-6);
  EXPECT_NEAR(value(policy_and_value, outputs, targets({1, 1, 0, -1})), policy + won / 2, 1e-6) << "one is not known";
  EXPECT_EQ(gradient(policy_and_value, outputs, targets({1, -1, 0, -1}))[3], 0);
  EXPECT_NEAR(gradient(policy_and_value, outputs, targets({1, 1, 0, -1}))[3], -1 / (1 + std::exp(0.7)) / 2, 1e-6);
  EXPECT_TRUE(
      contains(error_of([&] {
                 value(policy_and_value, outputs, labels({1, 0}));
               }),
               "policy_and_value takes outputs [N, classes + 1] and targets i32[N,2], got f32[2,4] and i32[2]"));
}

TEST(Loss, HoldsAnyLossWithWhatATrainerAsks) {
  const Loss entropy = cross_entropy, own = [](Tensor y, Tensor) { return y; };
  EXPECT_EQ(entropy.name(), "cross_entropy");
  EXPECT_EQ(entropy.metric(), "accuracy");
  EXPECT_EQ(entropy.target(), Target::labels);
  EXPECT_EQ(own.name(), "loss");
  EXPECT_EQ(own.metric(), "");
  for (const Kind<Loss>& kind : loss_kinds()) EXPECT_EQ(make_loss(kind.name).name(), kind.name);
  EXPECT_NEAR(value(make_loss("huber", {{"delta", 0.5}}), matrix({2}, {1}), matrix({0}, {1})), 0.5 * (2 - 0.25), 1e-6);
  EXPECT_EQ(error_of([] { make_loss("cros_entropy"); }),
            "there is no loss 'cros_entropy'; did you mean 'cross_entropy'?");
  EXPECT_EQ(error_of([] {
              make_loss("huber", {{"dleta", 1}});
            }),
            "loss 'huber' has no setting 'dleta'; did you mean 'delta'?");
}

TEST(Loss, SaysWhichShapesDoNotFit) {
  EXPECT_TRUE(contains(error_of([] {
                         value(cross_entropy, scores, labels({1, 0, 2}));
                       }),
                       "cross_entropy: scores f32[2,3] take labels i32[2], got i32[3]"));
  EXPECT_TRUE(contains(error_of([] { value(CrossEntropy{.label_smoothing = 1}, scores, scores); }),
                       "the label_smoothing must be at least 0 and below 1, got 1"));
}

}  // namespace
}  // namespace descent::nn
