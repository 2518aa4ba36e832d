// Judging by several views of each image.
#include "descent/train/test_time.h"

#include "descent/nn/sequential.h"
#include "training.h"

namespace descent::train {
namespace {

const EvaluateOptions exact{.precision = nn::Precision::f32};

// Bytes to numbers around 0, and scores.
nn::Sequential linear_net(int64_t outputs) {
  static constexpr float scale = 1 / 64.0F, shift = -1.2F;
  return {nn::Normalize(std::span(&scale, 1), std::span(&shift, 1)), nn::Flatten{}, nn::Linear{outputs}};
}

nn::Sequential trained_net(const data::Dataset& data) {
  nn::Sequential net = linear_net(2);
  Trainer(net, nn::cross_entropy, optim::AdamW{.learning_rate = 5e-3})
      .fit(data, {.epochs = 2, .batch_size = 20, .precision = nn::Precision::f32, .progress = nullptr});
  return net;
}

TEST(TestTime, ViewsAreTheImageMovedAndMirrored) {
  Array image(DType::u8, {1, 2, 3});
  for (int64_t i = 0; i < 6; ++i) image.set(i, static_cast<double>(i + 1));
  const TestTimeViews views{.flip = true, .shift = 1};
  EXPECT_EQ(views.count(), 10);
  const auto view = [&](int64_t number) { return view_of(image, views, number).to_doubles(); };
  EXPECT_EQ(view(0), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(view(1), (std::vector<double>{3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(view(2), (std::vector<double>{4, 5, 6, 1, 2, 3}));  // up by one, mirrored at its edge
  EXPECT_EQ(view(6), (std::vector<double>{2, 3, 2, 5, 6, 5}));  // left
  EXPECT_EQ(view(9), (std::vector<double>{2, 3, 2, 5, 6, 5}));  // mirrored, then right
  EXPECT_EQ((TestTimeViews{.shift = 2}.count()), 5);
  EXPECT_EQ((TestTimeViews{.flip = true}.count()), 2);
  EXPECT_NE(error_of([&] { view_of(Array(DType::f32, {4, 3}), views, 1); }).find("not f32[4,3]"), std::string::npos);
}

TEST(TestTime, ProbabilitiesAreTheMeansOverTheViews) {
  const data::Dataset data = sides(60);
  nn::Sequential net = trained_net(data);
  const TestTimeViews views{.flip = true, .shift = 2};
  const Array scores = predict(net, nn::cross_entropy, data.inputs, views, exact);
  std::vector<double> means(120);
  for (int64_t number = 0; number < views.count(); ++number) {
    const Array outputs = predict(net, view_of(data.inputs, views, number), exact);
    for (int64_t row = 0; row < 60; ++row) {
      const double a = std::exp(outputs.at(2 * row)), b = std::exp(outputs.at(2 * row + 1));
      means[2 * row] += a / (a + b) / 10;
      means[2 * row + 1] += b / (a + b) / 10;
    }
  }
  for (int64_t i = 0; i < 120; ++i) EXPECT_NEAR(std::exp(scores.at(i)), means[i], 1e-5);
}

TEST(TestTime, LossAndFiguresAreOfTheMeans) {
  const data::Dataset data = sides(60);
  nn::Sequential net = trained_net(data);
  const TestTimeViews views{.shift = 1};
  const Array scores = predict(net, nn::cross_entropy, data.inputs, views, exact);
  double loss = 0, right = 0;
  for (int64_t row = 0; row < 60; ++row) {
    const auto label = static_cast<int64_t>(data.targets.at(row));
    loss -= scores.at(2 * row + label) / 60;
    right += scores.at(2 * row + label) > scores.at(2 * row + 1 - label);
  }
  const Evaluation evaluation = evaluate(net, nn::cross_entropy, data, views, exact);
  EXPECT_NEAR(figure(evaluation.figures, "loss").value(), loss, 1e-5);
  EXPECT_NEAR(figure(evaluation.figures, "accuracy").value(), right / 60, 1e-9);
  EXPECT_EQ(evaluation.confusion->total(), 60);
}

TEST(TestTime, OneViewIsNoChange) {
  const data::Dataset data = sides(40);
  nn::Sequential net = trained_net(data);
  const Figures plain = evaluate(net, nn::cross_entropy, data, exact).figures;
  const Figures one = evaluate(net, nn::cross_entropy, data, TestTimeViews{}, exact).figures;
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(plain[i].second, one[i].second, 1e-5) << plain[i].first;
}

TEST(TestTime, OtherLossesAverageWhatTheirScoresMean) {
  const data::Dataset data = sides(10);
  nn::Sequential net = linear_net(1);
  nn::make_parameters(net, data.inputs.type(), 1);
  const TestTimeViews views{.flip = true};
  const Array a = predict(net, data.inputs, exact), b = predict(net, view_of(data.inputs, views, 1), exact);
  const Array linear = predict(net, nn::mean_squared_error, data.inputs, views, exact);
  const Array yes_or_no = predict(net, nn::binary_cross_entropy, data.inputs, views, exact);
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (int64_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(linear.at(i), (a.at(i) + b.at(i)) / 2, 1e-4 * (1 + std::abs(linear.at(i))));
    EXPECT_NEAR(sigmoid(yes_or_no.at(i)), (sigmoid(a.at(i)) + sigmoid(b.at(i))) / 2, 1e-5);
  }
}

// --- training on mixtures ---

TEST(Mixtures, TrainUnderCrossEntropyAndCountLikelyClasses) {
  const data::Dataset data = sides(200);
  nn::Sequential net = linear_net(2);
  Trainer trainer(net, nn::CrossEntropy{.label_smoothing = 0.1}, optim::AdamW{.learning_rate = 1e-2});
  const Report report = trainer.fit(data, {.epochs = 30,
                                           .batch_size = 20,
                                           .validation = sides(100, 2),
                                           .precision = nn::Precision::f32,
                                           .augment = data::AugmentOptions{.mixup = 0.2, .cutmix = 0.5},
                                           .progress = nullptr});
  EXPECT_GT(figure(report.validation, "accuracy").value(), 0.95);
  const double training = figure(report.train, "accuracy").value();
  EXPECT_GT(training, 0.6);
  EXPECT_LT(training, 1);
}

TEST(Mixtures, AreRefusedByLossesOfWholeClasses) {
  nn::Sequential net = linear_net(2);
  Trainer trainer(net, nn::hinge, optim::SGD{});
  EXPECT_EQ(
      error_of([&] { trainer.fit(sides(20), {.augment = data::AugmentOptions{.mixup = 1}, .progress = nullptr}); }),
      "fit: the loss 'hinge' takes labels only, but mixup and cutmix make parts of classes; did you mean "
      "'cross_entropy'?");
}

}  // namespace
}  // namespace descent::train
