// Metrics against figures worked out by hand.
#include "descent/train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "descent/base/error.h"
#include "descent/train/stopping.h"

namespace descent::train {
namespace {

Array scores(std::vector<float> values, Shape shape) { return Array::from(std::span<const float>(values), shape); }
Array labels(std::vector<int32_t> values) {
  return Array::from(std::span<const int32_t>(values), {static_cast<int64_t>(values.size())});
}

double of(const Figures& figures, std::string_view name) { return figure(figures, name).value_or(std::nan("")); }

TEST(ConfusionMatrix, CountsAndFigures) {
  ConfusionMatrix matrix(3);
  // Labels 0: 4 right, 1 taken for 1. Labels 1: 2 right, 2 taken for 0. Labels 2: never; never predicted.
  matrix.add(0, 0, 4);
  matrix.add(0, 1);
  matrix.add(1, 1, 2);
  matrix.add(1, 0, 2);
  EXPECT_EQ(matrix.total(), 9);
  EXPECT_EQ(matrix.labels(0), 5);
  EXPECT_EQ(matrix.predictions(0), 6);
  EXPECT_EQ(matrix.at(1, 0), 2);
  EXPECT_DOUBLE_EQ(matrix.accuracy(), 6.0 / 9);
  EXPECT_DOUBLE_EQ(matrix.precision(0), 4.0 / 6);
  EXPECT_DOUBLE_EQ(matrix.recall(0), 4.0 / 5);
  EXPECT_DOUBLE_EQ(matrix.f1(0), 8.0 / 11);
  EXPECT_EQ(matrix.precision(2), 0);
  EXPECT_EQ(matrix.f1(2), 0);
  // The class that does not occur is left out of the means.
  EXPECT_DOUBLE_EQ(matrix.macro(&ConfusionMatrix::recall), (4.0 / 5 + 2.0 / 4) / 2);
}

TEST(ConfusionMatrix, WithoutRowsAllIsZero) {
  const ConfusionMatrix matrix(2);
  EXPECT_EQ(matrix.accuracy(), 0);
  EXPECT_EQ(matrix.macro(&ConfusionMatrix::f1), 0);
}

TEST(Classification, LargestScoreWinsAndTheFirstOfEqualOnes) {
  ClassificationMetrics metrics(3, 0, 2);
  metrics.add(scores({1, 5, 2, /**/ 3, 3, 0, /**/ 0, 1, 2}, {3, 3}), labels({1, 1, 0}));
  EXPECT_DOUBLE_EQ(metrics.accuracy(), 1.0 / 3);        // the tie goes to class 0, which is wrong
  EXPECT_DOUBLE_EQ(metrics.top_k_accuracy(), 2.0 / 3);  // class 1 is second in row 1, class 0 is third in row 2
  EXPECT_EQ(metrics.confusion().at(1, 0), 1);
  EXPECT_DOUBLE_EQ(of(metrics.figures(), "top_2_accuracy"), 2.0 / 3);
}

TEST(Classification, BatchesAddUp) {
  ClassificationMetrics whole(2), parts(2);
  whole.add(scores({1, 0, 0, 1, 1, 0}, {3, 2}), labels({0, 1, 1}));
  parts.add(scores({1, 0}, {1, 2}), labels({0}));
  parts.add(scores({0, 1, 1, 0}, {2, 2}), labels({1, 1}));
  EXPECT_EQ(whole.figures(), parts.figures());
}

TEST(Classification, OneScoreIsComparedWithTheThreshold) {
  ClassificationMetrics at_zero(2), at_half(2, 0.5);
  const Array values = scores({-1, 0.2F, 0.7F}, {3, 1});
  at_zero.add(values, labels({0, 0, 1}));
  at_half.add(values, labels({0, 0, 1}));
  EXPECT_DOUBLE_EQ(at_zero.accuracy(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(at_half.accuracy(), 1);
}

TEST(Classification, WhatDoesNotFitIsRefused) {
  ClassificationMetrics metrics(3);
  EXPECT_THROW(metrics.add(scores({1, 2}, {1, 2}), labels({0})), Error);
  try {
    metrics.add(scores({1, 2, 3}, {1, 3}), labels({3}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "metrics: row 0 has the label 3, beyond the 3 classes");
  }
}

TEST(Regression, ErrorsAndR2) {
  RegressionMetrics metrics;
  metrics.add(scores({1, 2}, {2, 1}), scores({1, 4}, {2, 1}));
  metrics.add(scores({3, 5}, {2, 1}), scores({2, 5}, {2, 1}));
  // Errors 0, -2, 1, 0; targets 1, 4, 2, 5 have mean 3 and squares around it 4 + 1 + 1 + 4.
  EXPECT_DOUBLE_EQ(metrics.mae(), 0.75);
  EXPECT_DOUBLE_EQ(metrics.rmse(), std::sqrt(5.0 / 4));
  EXPECT_DOUBLE_EQ(metrics.r2(), 1 - 5.0 / 10);
}

TEST(Regression, TheUnitScalesErrorsOnly) {
  RegressionMetrics metrics(10);
  metrics.add(scores({1, 2}, {2, 1}), scores({1, 4}, {2, 1}));
  EXPECT_DOUBLE_EQ(metrics.mae(), 10);
  EXPECT_DOUBLE_EQ(metrics.rmse(), 10 * std::sqrt(2.0));
  EXPECT_NEAR(metrics.r2(), 1 - 4 / 4.5, 1e-12);
}

TEST(Regression, ColumnsEachForThemselves) {
  RegressionMetrics metrics;
  metrics.add(scores({0, 7, 0, 7}, {2, 2}), scores({1, 7, -1, 7}, {2, 2}));
  // Column 0: R2 is 0. Column 1 is constant and met exactly: 1.
  EXPECT_DOUBLE_EQ(metrics.r2(), 0.5);
  EXPECT_DOUBLE_EQ(metrics.mae(), 0.5);
}

TEST(Regression, FarFromZeroR2KeepsItsDigits) {
  RegressionMetrics metrics;
  metrics.add(scores({100001, 100002, 100003}, {3, 1}), scores({100001, 100002, 100004}, {3, 1}));
  EXPECT_NEAR(metrics.r2(), 1 - 1 / (14.0 / 3), 1e-9);
}

TEST(Metrics, WhichAreBetterWhenLarger) {
  for (const char* name : {"accuracy", "f1", "r2", "top_3_accuracy"}) EXPECT_TRUE(larger_is_better(name)) << name;
  for (const char* name : {"loss", "mae", "rmse"}) EXPECT_FALSE(larger_is_better(name)) << name;
}

TEST(EarlyStopping, WaitsAsLongAsItMay) {
  EarlyStopping stopping("loss", 2);
  const auto see = [&](double loss, int64_t epoch) { return stopping.observe({{"loss", loss}}, epoch); };
  EXPECT_TRUE(see(3, 1));
  EXPECT_TRUE(see(2, 2));
  EXPECT_FALSE(see(2, 3));  // no better is no new best
  EXPECT_FALSE(stopping.should_stop());
  EXPECT_FALSE(see(5, 4));
  EXPECT_TRUE(stopping.should_stop());
  EXPECT_EQ(stopping.memory().best_epoch, 2);
}

TEST(EarlyStopping, AccuracyIsBetterWhenLargerAndNanIsNeverBest) {
  EarlyStopping stopping("accuracy", 0);
  EXPECT_FALSE(stopping.observe({{"accuracy", std::nan("")}}, 1));
  EXPECT_TRUE(stopping.observe({{"accuracy", 0.5}}, 2));
  EXPECT_FALSE(stopping.observe({{"accuracy", 0.4}}, 3));
  EXPECT_TRUE(stopping.observe({{"accuracy", 0.6}}, 4));
  EXPECT_FALSE(stopping.should_stop());
}

TEST(EarlyStopping, AFigureThatIsNotThereIsNamed) {
  EarlyStopping stopping("accurcy", 0);
  try {
    stopping.observe({{"loss", 1}, {"accuracy", 0.5}}, 1);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(),
                 "a validation has no figure 'accurcy' to watch (it has loss, accuracy); did you mean 'accuracy'?");
  }
}

}  // namespace
}  // namespace descent::train
