// Small convolutional nets: their steps against the reference, and that they learn in every precision.
#include "../unit/step_reference.h"
#include "descent/nn/conv.h"
#include "descent/nn/losses.h"
#include "descent/nn/norms.h"
#include "descent/nn/pooling.h"
#include "descent/ops/cast.h"
#include "descent/ops/mul.h"
#include "descent/optim/minimize.h"
#include "training.h"

namespace descent::train {
namespace {

nn::Sequential conv_net() {
  using nn::Conv, nn::BatchNorm, nn::ReLU;
  const std::vector<nn::Layer> inside{Conv{6, 3, {.stride = 2, .bias = false}}, BatchNorm{}, ReLU{},
                                      Conv{6, 3, {.groups = 2}}, nn::GroupNorm{3}};
  const std::vector<nn::Layer> shortcut{Conv{6, 1, {.stride = 2, .bias = false}}};
  return nn::Sequential{Conv{4, 3, {.bias = false}},
                        BatchNorm{},
                        ReLU{},
                        nn::MaxPool{2},
                        nn::Residual(inside, shortcut),
                        ReLU{},
                        nn::SqueezeExcite{2},
                        nn::GlobalAveragePool{},
                        nn::Linear{2}};
}

struct Training {
  explicit Training(nn::Precision precision) : random(3), step(make(precision)) {}

  nn::Function make(nn::Precision precision) {
    return nn::Function(
        [this](nn::Pass& pass, std::span<const Tensor> in) -> Tensors {
          const Tensor loss = nn::cross_entropy(net(cast(in[0], DType::f32) * (1.0 / 255), pass), in[1]);
          optim::minimize(pass, loss, adam);
          return {loss};
        },
        {.training = true, .precision = precision, .seed = 3, .random = &random});
  }

  nn::Sequential net = conv_net();
  optim::Optimizer adam = optim::AdamW{.learning_rate = 0.02};
  nn::RandomStates random;
  nn::Function step;
};

TEST(ConvNet, StepsAreTheReferences) {
  const data::Dataset data = sides(24);
  Training ours(nn::Precision::f32), reference(nn::Precision::f32);
  double first = 0, last = 0;
  for (int i = 0; i < 12; ++i) {
    const Array inputs = data.inputs.rows(i % 2 * 12, i % 2 * 12 + 12),
                targets = data.targets.rows(i % 2 * 12, i % 2 * 12 + 12);
    last = ours.step({inputs, targets})[0].item();
    if (i == 0) first = last;
    EXPECT_NEAR(last, reference_step(reference.step, {inputs, targets})[0].item(), 2e-3) << "step " << i;
  }
  EXPECT_LT(last, 0.5 * first);
  const std::vector<nn::StatePtr> states = nn::all_states(ours.net), expected = nn::all_states(reference.net);
  ASSERT_EQ(states.size(), expected.size());
  for (size_t i = 0; i < states.size(); ++i)
    if (states[i]->name().ends_with("mean")) expect_near(states[i]->array(), expected[i]->array().to_doubles(), 5e-3);
}

void learns(nn::Precision precision) {
  const data::Dataset training = sides(512), test = sides(256, 2);
  const data::Normalizer pixels = data::Normalizer::fit(training.inputs);
  std::vector<nn::Layer> layers{nn::Normalize{pixels.scale, pixels.shift}, conv_net()};
  nn::Sequential net(layers);
  Trainer trainer(net, nn::cross_entropy, optim::AdamW{.learning_rate = 0.01});
  const Report report = trainer.fit(
      training,
      {.epochs = 4, .batch_size = 32, .validation = test, .seed = 1, .precision = precision, .progress = nullptr});
  EXPECT_GT(figure(report.history.back().validation, "accuracy").value(), 0.98);
}

TEST(ConvNet, LearnsInF32) { learns(nn::Precision::f32); }

TEST(ConvNet, LearnsInBf16) {
  if (!default_backend().fast_bf16()) GTEST_SKIP() << "this processor has no bf16 products";
  learns(nn::Precision::bf16);
}

// The largest value of a channel is found again when gradients go back, though bf16 has rounded it.
TEST(ConvNet, GlobalMaximaLearnInBf16) {
  if (!default_backend().fast_bf16()) GTEST_SKIP() << "this processor has no bf16 products";
  const data::Dataset training = sides(512);
  const data::Normalizer pixels = data::Normalizer::fit(training.inputs);
  nn::Sequential net{nn::Normalize{pixels.scale, pixels.shift},
                     nn::Conv{8, 3, {.bias = false}},
                     nn::BatchNorm{},
                     nn::ReLU{},
                     nn::Conv{8, 3, {.bias = false}},
                     nn::BatchNorm{},
                     nn::ReLU{},
                     nn::GlobalMaxPool{},
                     nn::Linear{2}};
  Trainer trainer(net, nn::cross_entropy, optim::AdamW{.learning_rate = 0.01});
  const Report report = trainer.fit(
      training, {.epochs = 3, .batch_size = 32, .seed = 1, .precision = nn::Precision::bf16, .progress = nullptr});
  EXPECT_LT(figure(report.history.back().train, "loss").value(),
            0.7 * figure(report.history.front().train, "loss").value());
}

}  // namespace
}  // namespace descent::train
