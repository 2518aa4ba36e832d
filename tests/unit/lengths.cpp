// Sequences of different lengths in one batch: padding never changes a result.
#include "descent/nn/lengths.h"

#include <cmath>
#include <limits>
#include <random>

#include "descent/grad/gradient.h"
#include "descent/nn/activations.h"
#include "descent/nn/attention.h"
#include "descent/nn/conv.h"
#include "descent/nn/layers.h"
#include "descent/nn/losses.h"
#include "descent/nn/make_layer.h"
#include "descent/nn/norms.h"
#include "descent/nn/recurrent.h"
#include "descent/nn/sequential.h"
#include "descent/nn/sound_features.h"
#include "descent/nn/transformer.h"
#include "descent/ops/ops.h"
#include "tests/unit/step_reference.h"

namespace descent::nn {
namespace {

constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();

Array random_sequence(int64_t places, int64_t features, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 1);
  Array out(DType::f32, {1, places, features});
  for (float& value : out.as<float>()) value = normal(random);
  return out;
}

// Sequences in one batch of `places`, NaN behind their ends.
Array padded(const std::vector<Array>& sequences, int64_t places) {
  const int64_t features = sequences[0].shape()[2];
  Array out = Array::full({DType::f32, {std::ssize(sequences), places, features}}, nan_value);
  for (size_t i = 0; i < sequences.size(); ++i)
    std::ranges::copy(sequences[i].as<float>(), out.as<float>().begin() + static_cast<int64_t>(i) * places * features);
  return out;
}

Sequential net_of(std::vector<Layer> layers) {
  layers.insert(layers.begin(), {"ends", EndAtNan()});
  layers.emplace_back("blanks", BlankAfterEnd());
  return Sequential(std::move(layers));
}

Function forward_of(Sequential& net) {
  return Function([&net](Pass& pass, std::span<const Tensor> in) -> Tensors { return {net(in[0], pass)}; },
                  {.precision = Precision::f32});
}

// What each layer makes of sequences alone, it makes of them in a batch; and scores behind the ends are blanks.
void expect_the_same_padded(std::vector<Layer> layers, int64_t stride = 1) {
  Sequential net = net_of(std::move(layers));
  make_parameters(net, {DType::f32, {1, 8, 4}}, 7);
  Function forward = forward_of(net);
  std::vector<Array> sequences;
  for (const int64_t places : {13, 8, 1, 6})
    sequences.push_back(random_sequence(places, 4, static_cast<uint32_t>(places)));
  for (const int64_t places : {13, 14, 17}) {
    const Array together = forward({padded(sequences, places)})[0].clone();
    const int64_t classes = together.shape()[2], frames = together.shape()[1];
    for (size_t i = 0; i < sequences.size(); ++i) {
      const Array alone = forward({sequences[i]})[0].clone();
      ASSERT_EQ(alone.shape()[1], (sequences[i].shape()[1] + stride - 1) / stride);
      const float* row = together.as<float>().data() + static_cast<int64_t>(i) * frames * classes;
      for (int64_t at = 0; at < alone.elements(); ++at) EXPECT_NEAR(row[at], alone.at(at), 1e-5) << i << " " << at;
      for (int64_t at = alone.elements(); at < frames * classes; ++at)
        EXPECT_EQ(row[at], at % classes == classes - 1 ? 0 : -HUGE_VAL) << i << " " << at;
    }
  }
}

TEST(Lengths, PaddingChangesNoResult) {
  expect_the_same_padded({Conv1d{5, 3}, ReLU{}, Linear{3}});
  expect_the_same_padded({Conv1d{5, 4}, Linear{3}, Conv1d{6, 5, {.dilation = 2}}, LayerNorm{}});
  expect_the_same_padded({Conv1d{5, 3, {.stride = 2}}, GELU{}, Conv1d{4, 3}}, 2);
  expect_the_same_padded({Conv1d{8, 5, {.stride = 3}}, Residual{Conv1d{8, 3, {.groups = 8}}, LayerNorm{}, Linear{8}}},
                         3);
  expect_the_same_padded({GRU{5}, LSTM{4}});
  expect_the_same_padded({recurrent_stack<GRU>(3, {.layers = 2, .bidirectional = true}), Linear{4}});
  expect_the_same_padded({Linear{8}, TransformerEncoder(2, {.width = 8, .heads = 2, .rotary = true}), Linear{3}});
  expect_the_same_padded({bidirectional<LSTM>(3), LSTM{4, {.reverse = true}}});
  expect_the_same_padded({Linear{8}, SelfAttention{2}, Conv1d{4, 3}});
  expect_the_same_padded({Branches{Conv1d{4, 3, {.stride = 2}}, Conv1d{3, 5, {.stride = 2}}}, RmsNorm{}}, 2);
}

// From samples: spectra of windows that are whole, normalised over them, then frames.
TEST(Lengths, PaddingChangesNothingThatIsHeard) {
  for (const auto norm : {LogMelOptions::Norm::none, LogMelOptions::Norm::clip, LogMelOptions::Norm::band}) {
    Sequential net = net_of({LogMel({.rate = 8000, .bands = 8, .norm = norm}), SpecAugment(),
                             Conv1d{6, 5, {.stride = 2}}, ReLU{}, LayerNorm{}, Linear{4}});
    make_parameters(net, {DType::f32, {1, 8000}}, 7);
    Function forward = forward_of(net);
    std::vector<Array> sequences;
    for (const int64_t samples : {3000, 1999, 640}) {
      const Array sound = random_sequence(samples, 1, static_cast<uint32_t>(samples));
      sequences.push_back(sound.reshaped({1, samples, 1}));
    }
    const Array together = forward({padded(sequences, 4111).reshaped({3, 4111})})[0].clone();
    for (size_t i = 0; i < sequences.size(); ++i) {
      const int64_t samples = sequences[i].shape()[1];
      const Array alone = forward({sequences[i].reshaped({1, samples})})[0].clone();
      ASSERT_EQ(alone.shape()[1], ((samples - 200) / 80 + 2) / 2);
      const float* row = together.as<float>().data() + static_cast<int64_t>(i) * together.elements() / 3;
      for (int64_t at = 0; at < alone.elements(); ++at) EXPECT_NEAR(row[at], alone.at(at), 2e-4) << i << " " << at;
      for (int64_t at = alone.elements(); at < together.elements() / 3; ++at)
        EXPECT_EQ(row[at], at % 4 == 3 ? 0 : -HUGE_VAL);
    }
  }
}

TEST(Lengths, PaddingChangesNoGradient) {
  Sequential net = net_of({Conv1d{5, 3, {.stride = 2}}, ReLU{}, LayerNorm{}, Conv1d{4, 3}});
  make_parameters(net, {DType::f32, {1, 8, 4}}, 7);
  Function step(
      [&net](Pass& pass, std::span<const Tensor> in) -> Tensors {
        const Tensor loss = ctc(net(in[0], pass), in[1]);
        Tensors wrt;
        for (const ParameterPtr& parameter : pass.parameters()) wrt.push_back(pass.read(parameter));
        Tensors out = gradients(loss, wrt);
        out.push_back(loss);
        return out;
      },
      {.precision = Precision::f32});
  const Array sequence = random_sequence(12, 4, 1);
  const Array one = Array::from(std::vector<int32_t>{1, 2}, {1, 2}),
              more = Array::from(std::vector<int32_t>{1, 2, -1}, {1, 3});
  std::vector<Array> alone;
  for (const Array& each : step({sequence, one})) alone.push_back(each.clone());
  const std::span<const Array> together = step({padded({sequence}, 19), more});
  ASSERT_EQ(together.size(), alone.size());
  for (size_t i = 0; i < alone.size(); ++i)
    for (int64_t at = 0; at < alone[i].elements(); ++at) EXPECT_NEAR(together[i].at(at), alone[i].at(at), 1e-5) << i;
}

TEST(Lengths, LayersThatWouldMixPaddingInAreRefused) {
  for (const char* kind : {"batch_norm", "flatten", "global_average_pool", "instance_norm", "max_pool"}) {
    Sequential net = net_of({make_layer(kind), Linear{3}});
    const std::string error = error_of([&] { make_parameters(net, {DType::f32, {2, 8, 4}}, 7); });
    EXPECT_TRUE(contains(error, "it would mix what is behind the end of shorter sequences into them")) << kind;
  }
}

TEST(Lengths, WithoutThemNothingChanges) {
  Sequential net{Conv1d{5, 4, {.stride = 2}}, BlankAfterEnd()};
  const Array out = reference_forward(net, random_sequence(8, 4, 3));
  EXPECT_EQ(out.shape(), (Shape{1, 4, 5}));
  for (int64_t i = 0; i < out.elements(); ++i) EXPECT_TRUE(std::isfinite(out.at(i)));
}

}  // namespace
}  // namespace descent::nn
