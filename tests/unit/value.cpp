// A policy with a value, judged.
#include "descent/train/value.h"

#include <gtest/gtest.h>

#include <cmath>

#include "descent/data/dataset.h"
#include "descent/nn/layers.h"
#include "descent/nn/sequential.h"
#include "descent/train/evaluate.h"

namespace descent::train {
namespace {

const Array outputs = Array::from(std::vector<float>{3, 1, 2, 0.5f, 0, 1, 0, -0.5f, 0, 0, 9, 0.5f}, {3, 4});
const Array targets = Array::from(std::vector<int32_t>{0, 1, 2, 1, 2, -1}, {3, 2});

TEST(Value, IsToldByTheTypes) {
  EXPECT_TRUE(has_value(outputs.type(), targets.type()));
  EXPECT_FALSE(has_value(outputs.type(), {DType::i32, {3}}));
  EXPECT_FALSE(has_value(outputs.type(), {DType::f32, {3, 2}}));
  EXPECT_FALSE(has_value({DType::f32, {3, 2}}, targets.type()));
}

TEST(Value, ChoiceIsWhatAClassificationHas) {
  const ChoiceArrays choice = choice_of(outputs, targets);
  EXPECT_EQ(choice.scores.to_doubles(), (std::vector<double>{3, 1, 2, 0, 1, 0, 0, 0, 9}));
  EXPECT_EQ(choice.labels.to_doubles(), (std::vector<double>{0, 2, 2}));
  const Array labels = Array::from(std::vector<int32_t>{0, 2, 2}, {3});
  EXPECT_EQ(choice_of(outputs, labels).scores.data(), outputs.data()) << "others as they are";
}

TEST(Value, CountsWhatIsKnown) {
  ValueMetrics metrics;
  EXPECT_TRUE(metrics.figures().empty());
  metrics.add(outputs, targets);
  EXPECT_EQ(figure(metrics.figures(), "value_accuracy"), 0.5) << "the third is not known";
  const double right = std::log1p(std::exp(-0.5)), wrong = std::log1p(std::exp(0.5));
  EXPECT_NEAR(figure(metrics.figures(), "value_loss").value(), (right + wrong) / 2, 1e-7);
}

TEST(Value, ChecksTheLabelsAndNotWhatCame) {
  check_labels({3, 4}, targets, "games");  // of which one is -1
  const Array beyond = Array::from(std::vector<int32_t>{0, 1, 3, 1}, {2, 2});
  const auto problem = [&](const Shape& made, const Array& labels) -> std::string {
    try {
      check_labels(made, labels, "games");
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_EQ(problem({2, 4}, beyond), "games: label 3 in row 1 is out of range: there are 3 classes (0 to 2)");
  EXPECT_EQ(problem({2, 3}, Array::from(std::vector<int32_t>{0, -1}, {2})),
            "games: label -1 in row 1 is out of range: there are 3 classes (0 to 2)");
}

TEST(Value, AnEvaluationHasBoth) {
  data::Dataset data{outputs, targets, {"a", "b", "c"}, {}};
  nn::Sequential same{nn::Flatten{}};  // the inputs are the outputs
  const Evaluation evaluation = evaluate(same, nn::policy_and_value, data);
  EXPECT_NEAR(figure(evaluation.figures, "accuracy").value(), 2.0 / 3, 1e-9);
  EXPECT_EQ(figure(evaluation.figures, "value_accuracy"), 0.5);
}

}  // namespace
}  // namespace descent::train
