// Layers for images: what they compute, by hand, and what they say of bad input.
#include <cmath>
#include <set>

#include "descent/nn/activations.h"
#include "descent/nn/conv.h"
#include "descent/nn/from_examples.h"
#include "descent/nn/layers.h"
#include "descent/nn/linear.h"
#include "descent/nn/make_layer.h"
#include "descent/nn/nets.h"
#include "descent/nn/norms.h"
#include "descent/nn/pooling.h"
#include "descent/nn/summary.h"
#include "descent/nn/whitening.h"
#include "descent/ops/input.h"
#include "tests/unit/step_reference.h"

namespace descent::nn {
namespace {

Shape shape_after(Module& net, const Shape& shape) {
  Graph graph;
  Pass pass(graph, false, 0, nullptr);
  return net(input(graph, "x", {DType::f32, shape}), pass).shape();
}

Array counting(Shape shape) {
  Array out(DType::f32, shape);
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, static_cast<double>(i));
  return out;
}

TEST(Conv, ByHand) {
  Conv layer{1, 3};
  make_parameters(layer, {DType::f32, {1, 3, 3}}, 0);
  EXPECT_EQ(layer.parameters()[0]->type().shape, (Shape{3, 3, 1, 1}));
  layer.parameters()[0]->assign(
      matrix({0, 0, 0, 0, 1, 10, 0, 100, 0}, {3, 3, 1, 1}));  // itself, the right one, the one below
  layer.parameters()[1]->assign(matrix({0.5}, {1}));
  const Array y = reference_forward(layer, matrix({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3}));
  EXPECT_EQ(y.shape(), (Shape{1, 3, 3, 1}));
  expect_near(y, {421.5, 532.5, 603.5, 754.5, 865.5, 906.5, 87.5, 98.5, 9.5});
}

TEST(Conv, ShapesOfStrideAndPadding) {
  const auto after = [](Conv layer, const Shape& shape) { return shape_after(layer, shape); };
  EXPECT_EQ(after({8, 3}, {2, 7, 6, 3}), (Shape{2, 7, 6, 8}));
  EXPECT_EQ(after({8, 3, {.stride = 2}}, {2, 7, 6, 3}), (Shape{2, 4, 3, 8}));
  EXPECT_EQ(after({8, 3, {.padding = 0}}, {2, 7, 6, 3}), (Shape{2, 5, 4, 8}));
  EXPECT_EQ(after({8, {1, 5}, {.stride = {2, 1}, .padding = PerAxis{0, 1}}}, {2, 7, 6, 3}), (Shape{2, 4, 4, 8}));
  EXPECT_EQ(after({8, 3, {.dilation = 2}}, {2, 7, 6, 3}), (Shape{2, 7, 6, 8}));
  EXPECT_EQ(after({8, 4}, {2, 7, 6}), (Shape{2, 7, 6, 8}));
  Conv1d sound{4, 5, {.stride = 2}};
  EXPECT_EQ(shape_after(sound, {2, 9, 3}), (Shape{2, 5, 4}));
  ConvTranspose larger{4};
  EXPECT_EQ(shape_after(larger, {2, 3, 5, 6}), (Shape{2, 6, 10, 4}));
  ConvTranspose smooth{4, 4, {.stride = 2}}, spread{4, 1, {.stride = 2}}, bare{4, 3, {.stride = 2, .padding = 1}};
  EXPECT_EQ(shape_after(smooth, {2, 3, 5, 6}), (Shape{2, 6, 10, 4}));
  EXPECT_EQ(shape_after(spread, {2, 3, 5, 6}), (Shape{2, 6, 10, 4}));
  EXPECT_EQ(shape_after(bare, {2, 3, 5, 6}), (Shape{2, 5, 9, 4}));
  EXPECT_EQ(larger.parameters()[0]->type().shape, (Shape{2, 2, 4, 6}));
}

TEST(Conv, StartsWithValuesOfItsFans) {
  const auto deviation = [](const ParameterPtr& weight) {
    double squares = 0;
    for (const double value : weight->array().to_doubles()) squares += value * value;
    return std::sqrt(squares / static_cast<double>(weight->array().elements()));
  };
  Sequential net{Conv{64, 3}, ReLU{}, Conv{64, 3, {.groups = 8}}, ReLU{}, ConvTranspose{32, 2}, ReLU{}};
  make_parameters(net, {DType::f32, {1, 8, 8, 32}}, 0);
  const std::vector<ParameterPtr> parameters = all_parameters(net);
  EXPECT_NEAR(deviation(parameters[0]), std::sqrt(2.0 / (9 * 32)), 0.003);
  EXPECT_NEAR(deviation(parameters[2]), std::sqrt(2.0 / (9 * 8)), 0.006);
  EXPECT_NEAR(deviation(parameters[4]), std::sqrt(2.0 / (4 * 64)), 0.004);
}

TEST(Conv, DiracCopiesItsChannels) {
  Conv layer{3, 3, {.bias = false, .init = init::dirac()}};
  const Array x = counting({2, 4, 4, 3});
  expect_near(reference_forward(layer, x), x.to_doubles());
  Conv more{5, 3, {.bias = false, .init = init::dirac()}};
  make_parameters(more, x.type(), 0);
  const Array weight = more.parameters()[0]->array();
  double largest = 0;
  for (int64_t i = 3; i < weight.elements(); i += 5) largest = std::max(largest, std::abs(weight.at(i)));
  EXPECT_GT(largest, 0.1);
  EXPECT_LE(largest, 1 / std::sqrt(27.0));
}

TEST(Conv, SaysWhatDoesNotFit) {
  Sequential net{{"body", Sequential{Conv{8, 3}}}};
  const int line = __LINE__ - 1;
  make_parameters(net, {DType::f32, {4, 9, 9, 3}}, 0);
  const auto with = [&](Type type) { return error_of([&] { make_parameters(net, type, 0); }); };
  EXPECT_TRUE(contains(
      with({DType::f32, {4, 3, 9, 9}}),
      text("image_layers.cpp:", line,
           ": body.0 (Conv 8, 3x3): input f32[4,3,9,9] has 9 channels on axis 3, "
           "but the weight f32[3,3,3,8] takes 3; images are channels-last here, did you mean to permute them?")));
  EXPECT_TRUE(contains(with({DType::f32, {4, 81}}),
                       "input f32[4,81] is not images [examples, height, width, channels]; did you "
                       "mean to leave out Flatten before it?"));
  EXPECT_TRUE(contains(with({DType::u8, {4, 9, 9, 3}}), "input u8[4,9,9,3] is not f32; put Normalize before it"));
  EXPECT_TRUE(contains(error_of([] { Conv(8, 0); }), "Conv: the kernel must be at least 1, got 0"));
  EXPECT_TRUE(contains(error_of([] { Conv(8, 3, {.groups = 3}); }), "Conv: 3 groups do not divide 8 features"));
  Conv small{8, 5, {.padding = 0}};
  EXPECT_TRUE(contains(
      error_of([&] {
        make_parameters(small, {DType::f32, {1, 3, 9, 2}}, 0);
      }),
      "the window spans 5 on axis 1 of f32[1,3,9,2], which has 3 and 0 of padding; did you mean a padding of 1?"));
}

TEST(Pooling, ByHand) {
  MaxPool largest{2};
  AveragePool mean{2}, same{3, {.stride = 1, .padding = 1}},
      zeros{3, {.stride = 1, .padding = 1, .count_padding = true}};
  GlobalAveragePool global;
  GlobalMaxPool global_max;
  const Array x = counting({1, 4, 4, 1});
  expect_near(reference_forward(largest, x), {5, 7, 13, 15});
  expect_near(reference_forward(mean, x), {2.5, 4.5, 10.5, 12.5});
  EXPECT_NEAR(reference_forward(same, x).at(0), (0 + 1 + 4 + 5) / 4.0, 1e-6);
  EXPECT_NEAR(reference_forward(zeros, x).at(0), (0 + 1 + 4 + 5) / 9.0, 1e-6);
  const Array y = counting({2, 2, 2, 2});
  expect_near(reference_forward(global, y), {3, 4, 11, 12});
  expect_near(reference_forward(global_max, y), {6, 7, 14, 15});
  EXPECT_EQ(reference_forward(global, y).shape(), (Shape{2, 2}));
  AdaptiveAveragePool three{3};
  EXPECT_EQ(reference_forward(three, counting({1, 5, 7, 2})).shape(), (Shape{1, 3, 3, 2}));
  EXPECT_TRUE(contains(error_of([&] {
                         reference_forward(largest, counting({4, 4}));
                       }),
                       "MaxPool 2: input f32[4,4] is not images"));
}

TEST(Upsample, ByHand) {
  Upsample twice{2}, lines{2, true};
  const Array x = matrix({0, 4}, {1, 1, 2, 1});
  expect_near(reference_forward(twice, x), {0, 0, 4, 4, 0, 0, 4, 4});
  expect_near(reference_forward(lines, x), {0, 1, 3, 4, 0, 1, 3, 4});
}

TEST(BatchNorm, TrainsOnTheBatchAndEvaluatesByItsStates) {
  BatchNorm layer{{.epsilon = 0.5, .momentum = 0.25}};
  make_parameters(layer, {DType::f32, {1, 2}}, 0);
  layer.parameters()[0]->assign(matrix({1, 2}, {2}));
  layer.parameters()[1]->assign(matrix({0, 10}, {2}));
  const Array x = matrix({1, 4, 3, 4, 5, 4}, {3, 2});  // means 3 and 4, variances 8/3 and 0
  RandomStates random(0);
  const double scale = 1 / std::sqrt(8.0 / 3 + 0.5);
  expect_near(reference_forward(layer, x, {.training = true, .random = &random}),
              {-2 * scale, 10, 0, 10, 2 * scale, 10});
  ASSERT_EQ(layer.states().size(), 2u);
  EXPECT_EQ(layer.states()[0]->name(), "mean");
  expect_near(layer.states()[0]->array(), {0.75, 1});
  expect_near(layer.states()[1]->array(), {0.75 + 0.25 * 4, 0.75});  // of the population: 8 / 2
  const double a = 1 / std::sqrt(1.75 + 0.5), b = 2 / std::sqrt(0.75 + 0.5);
  expect_near(reference_forward(layer, matrix({1.75, 3}, {1, 2})), {a, 2 * b + 10}, 1e-5);
  EXPECT_EQ(layer.states()[0]->array().at(0), 0.75);  // evaluation leaves them
}

TEST(BatchNorm, WithoutAGainHasABiasOfItsOwnRate) {
  BatchNorm layer{{.epsilon = 0.5, .gain = false, .bias_rate = 64}}, other{{.epsilon = 0.5}};
  const Array x = matrix({1, 4, 3, 4, 5, 7}, {3, 2});
  for (const bool training : {true, false}) {
    RandomStates random(0);
    const FunctionOptions options{.training = training, .random = &random};
    expect_near(reference_forward(layer, x, options), reference_forward(other, x, options).to_doubles());
  }
  ASSERT_EQ(layer.parameters().size(), 1u);
  EXPECT_EQ(layer.parameters()[0]->name(), "bias");
  EXPECT_EQ(layer.parameters()[0]->rate, 64);
  EXPECT_EQ(layer.states().size(), 2u);
  EXPECT_TRUE(contains(error_of([&] {
                         make_parameters(layer, {DType::f32, {4, 3}}, 0);
                       }),
                       "BatchNorm, no gain: input f32[4,3] has 3 channels on axis 1, but the bias f32[2] takes 2"));
  EXPECT_TRUE(contains(error_of([] { BatchNorm({.bias_rate = 0}); }), "the bias's rate must be above 0, got 0"));
}

// --- whitening ---

TEST(Whitening, EigenvectorsAreThose) {
  const std::vector<double> matrix{4, 1, -2, 1, 3, 0.5, -2, 0.5, 1};
  const Eigen found = symmetric_eigen(matrix, 3);
  EXPECT_TRUE(found.values[0] > found.values[1] && found.values[1] > found.values[2]);
  EXPECT_NEAR(found.values[0] + found.values[1] + found.values[2], 8, 1e-12);
  for (size_t v = 0; v < 3; ++v)
    for (size_t row = 0; row < 3; ++row) {
      double product = 0, dot = 0;
      for (size_t i = 0; i < 3; ++i) {
        product += matrix[row * 3 + i] * found.vectors[v * 3 + i];
        dot += found.vectors[v * 3 + i] * found.vectors[row * 3 + i];
      }
      EXPECT_NEAR(product, found.values[v] * found.vectors[v * 3 + row], 1e-12);
      EXPECT_NEAR(dot, v == row ? 1 : 0, 1e-12);
    }
}

// Smooth noise in two channels that have much in common.
Array smooth_images(const Shape& shape) {
  Array out(DType::f32, shape);
  const RandomSource source{{7, 0}, {}};
  const Initializer noise = init::normal(0, 1);
  noise.fill(out.as<float>(), {shape.elements()}, source);
  const std::span<float> values = out.as<float>();
  for (size_t i = 2; i < values.size(); ++i)
    values[i] += 0.8F * values[i - 2] + (i % 2 == 1 ? 0.5F * values[i - 1] : 0);
  return out;
}

TEST(Whitening, FeaturesOfPatchesHaveNoCorrelations) {
  const Array images = smooth_images({40, 9, 8, 2});
  Sequential net{{"first", WhitenPatches{{.epsilon = 1e-9, .bias_epochs = 3}}}, ReLU{}};
  EXPECT_TRUE(wants_examples(net));
  initialise_from_examples(net, images, 0);
  EXPECT_FALSE(wants_examples(net));
  EXPECT_EQ(all_parameters(net).size(), 1u) << "the weight is nobody's to train";
  EXPECT_EQ(all_parameters(net)[0]->epochs, 3);
  EXPECT_EQ(all_states(net)[1]->name(), "first.weight");

  const Array y = reference_forward(*net.children()[0].second, images);
  ASSERT_EQ(y.shape(), (Shape{40, 8, 7, 16}));
  const std::span<const float> features = y.as<float>();
  for (size_t a = 0; a < 8; ++a)
    for (size_t b = 0; b < 8; ++b) {
      double sum = 0;
      for (size_t row = 0; row < features.size(); row += 16) sum += double{features[row + a]} * features[row + b];
      EXPECT_NEAR(sum / static_cast<double>(features.size() / 16), a == b ? 1 : 0, 1e-4) << a << " " << b;
    }
  for (size_t row = 0; row < features.size(); row += 16)
    for (size_t a = 0; a < 8; ++a) ASSERT_NEAR(features[row + a], -features[row + 8 + a], 1e-5);
}

TEST(Whitening, SeesWhatTheLayersBeforeItMake) {
  const Array images = smooth_images({10, 6, 6, 2});
  Array doubled = images.clone();
  for (float& value : doubled.as<float>()) value *= 2;
  Sequential plain{WhitenPatches{}}, scaled{Scale{2}, WhitenPatches{}};
  initialise_from_examples(plain, doubled, 0);
  initialise_from_examples(scaled, images, 0);
  expect_near(all_states(scaled)[1]->array(), all_states(plain)[1]->array().to_doubles(), 1e-5);
  const std::vector<double> before = all_states(plain)[1]->array().to_doubles();
  initialise_from_examples(plain, images, 0);  // it has seen some
  expect_near(all_states(plain)[1]->array(), before, 0);
  WhitenPatches grey;
  initialise_from_examples(grey, smooth_images({10, 6, 6}), 0);
  EXPECT_EQ(grey.states()[0]->type().shape, (Shape{2, 2, 1, 8}));
  EXPECT_TRUE(contains(error_of([] { WhitenPatches({.kernel = 0}); }), "the kernel must be at least 1, got 0"));
  EXPECT_TRUE(contains(error_of([] { WhitenPatches({.epsilon = 0}); }), "the epsilon must be above 0, got 0"));
}

TEST(GroupNorm, ByHand) {
  GroupNorm groups{2, 0};
  expect_near(reference_forward(groups, matrix({1, 3, 10, 30}, {1, 1, 1, 4})), {-1, 1, -1, 1}, 1e-5);
  InstanceNorm instances{0};
  EXPECT_EQ(instances.describe(), "InstanceNorm");
  expect_near(reference_forward(instances, matrix({1, 10, 3, 30}, {1, 2, 1, 2})), {-1, -1, 1, 1}, 1e-5);
  EXPECT_TRUE(contains(error_of([] {
                         GroupNorm three{3};
                         reference_forward(three, counting({1, 2, 2, 4}));
                       }),
                       "GroupNorm 3: 3 groups do not divide the 4 channels of f32[1,2,2,4]"));
}

TEST(SqueezeExcite, WeighsTheChannels) {
  SqueezeExcite layer{2};
  make_parameters(layer, {DType::f32, {1, 2, 1, 2}}, 0);
  layer.parameters()[0]->assign(matrix({1, -1}, {2, 1}));  // relu(mean of the first - mean of the second)
  layer.parameters()[2]->assign(matrix({1, -1}, {1, 2}));
  const double up = 1 / (1 + std::exp(-3.0)), down = 1 - up;
  expect_near(reference_forward(layer, matrix({4, 1, 6, 3}, {1, 2, 1, 2})), {4 * up, down, 6 * up, 3 * down}, 1e-5);
}

TEST(Residual, TakesAShortcut) {
  Residual block({{"inner", Linear{3, {.bias = false, .init = init::constant(1)}}}},
                 {Linear{3, {.bias = false, .init = init::constant(2)}}});
  expect_near(reference_forward(block, matrix({1, 2}, {1, 2})), {9, 9, 9});
  Sequential bad{{"block", Residual({Linear{3}}, {Linear{5}})}};
  EXPECT_TRUE(contains(error_of([&] {
                         make_parameters(bad, {DType::f32, {8, 2}}, 0);
                       }),
                       "block (Residual): the layers inside make f32[8,3] of f32[8,2], the shortcut f32[8,5]"));
}

TEST(Summary, WritesConvolutionalNets) {
  Sequential net{
      {"first", Conv{4, 3}},
      ReLU{},
      MaxPool{2},
      Residual({Conv{8, 3, {.stride = 2, .bias = false}}, BatchNorm{}}, {Conv{8, 1, {.stride = 2, .bias = false}}}),
      ReLU{},
      GlobalAveragePool{},
      Linear{10}};
  const NetSummary summary = summarise(net, {DType::f32, {2, 8, 8}});
  EXPECT_EQ(summary.equations, (Strings{"a¹ = max_pool(relu(W¹ * x + b¹))", "a² = W² * a¹",
                                        "a⁴ = mean(relu(W⁴ * a¹ + g³norm(a²) + b³))", "y = W⁵a⁴ + b⁵"}));
  EXPECT_EQ(summary.layers[0].describe, "Conv 4, 3x3");
  EXPECT_EQ(summary.layers[0].parameters, 3 * 3 * 4 + 4);
  EXPECT_EQ(summary.layers[0].flops, 2 * (2 * 8 * 8) * 4 * 9 + 2 * 8 * 8 * 4);
  EXPECT_EQ(summary.output, (Type{DType::f32, {2, 10}}));
}

TEST(MakeLayer, ImageLayersFromSettings) {
  const auto described = [](std::string_view kind, const Settings& settings) {
    return make_layer(kind, settings)->describe();
  };
  const Settings five{{"value", 5}}, one{{"value", 1}};
  const Settings::Value both = std::vector<Settings>{one, five};
  EXPECT_EQ(described("conv", {{"features", 32}}), "Conv 32, 3x3");
  EXPECT_EQ(described("conv", {{"features", 32}, {"kernel", both}, {"stride", 2}, {"padding", 1}, {"bias", false}}),
            "Conv 32, 1x5, stride 2, padding 1, no bias");
  EXPECT_EQ(described("conv", {{"features", 32}, {"padding", "valid"}, {"groups", 4}, {"dilation", 2}}),
            "Conv 32, 3x3, padding 0, dilation 2, groups 4");
  EXPECT_EQ(described("conv1d", {{"features", 8}, {"kernel", 9}}), "Conv1d 8, 9");
  EXPECT_EQ(described("conv_transpose", {{"features", 8}}), "ConvTranspose 8, 2x2, stride 2");
  EXPECT_EQ(described("max_pool", {{"kernel", 3}, {"stride", 2}, {"padding", 1}}), "MaxPool 3, stride 2, padding 1");
  EXPECT_EQ(described("average_pool", {}), "AveragePool 2");
  EXPECT_EQ(described("adaptive_average_pool", {{"size", 7}}), "AdaptiveAveragePool 7");
  EXPECT_EQ(described("upsample", {{"bilinear", true}}), "Upsample 2, bilinear");
  EXPECT_EQ(described("group_norm", {{"groups", 8}}), "GroupNorm 8");
  EXPECT_EQ(described("batch_norm", {{"gain", false}, {"bias_rate", 64}}), "BatchNorm, no gain");
  EXPECT_EQ(described("whiten_patches", {{"kernel", 3}}), "WhitenPatches 3x3");
  EXPECT_EQ(described("scale", {{"factor", 0.25}}), "Scale 0.25");
  EXPECT_EQ(described("squeeze_excite", {{"reduction", 4}}), "SqueezeExcite 4");
  EXPECT_TRUE(contains(error_of([&] {
                         described("conv", {{"features", 8}, {"padding", "some"}});
                       }),
                       "'padding' is \"same\", \"valid\" or a number, got \"some\""));
  EXPECT_TRUE(contains(error_of([&] {
                         described("conv", {{"features", 8}, {"kernel", "big"}});
                       }),
                       "layer 'conv': 'kernel' must be a whole number or a list of tables, got \"big\""));
}

int64_t parameters_of(Sequential net, const Shape& image) { return summarise(net, {DType::f32, image}).parameters; }

TEST(Nets, HaveTheSizesOfThePapers) {
  EXPECT_EQ(parameters_of(lenet5(), {1, 28, 28}), 61706);
  EXPECT_EQ(parameters_of(resnet20(), {1, 32, 32, 3}), 272474);  // 0.27 M: 269,722 and the two projections with norms
  EXPECT_EQ(parameters_of(resnet18(), {1, 32, 32, 3}), 11173962);
  EXPECT_EQ(parameters_of(airbench(), {1, 32, 32, 3}), 1971328 + 24);  // and the whitening, which is not trained
  // Not of images: see below, unit/sequence_layers and unit/encoder_decoder.
  const std::set<std::string_view> others{"go-resnet", "decoder", "encoder_decoder"};
  for (const Kind<Sequential>& kind : net_kinds()) {
    if (others.contains(kind.name)) continue;
    Sequential net = make_ready_net(kind.name, {{"outputs", 7}});
    EXPECT_EQ(shape_after(net, {2, 32, 32, 3}), (Shape{2, 7})) << kind.name;
  }
  EXPECT_TRUE(contains(error_of([] { make_ready_net("resnet-21"); }),
                       "there is no net 'resnet-21'; did you mean 'resnet-20'?"));
}

TEST(Nets, OneForBoardsOfAnySize) {
  Sequential net = make_ready_net("go-resnet", {{"width", 8}, {"blocks", 2}});
  EXPECT_EQ(shape_after(net, {2, 9, 9, 24}), (Shape{2, 83}));
  const std::vector<ParameterPtr> parameters = all_parameters(net);
  EXPECT_EQ(shape_after(net, {1, 19, 19, 24}), (Shape{1, 363}));
  EXPECT_EQ(all_parameters(net), parameters) << "the same weights";
  Sequential policy = make_ready_net("go-resnet", {{"width", 8}, {"blocks", 0}, {"with_value", false}});
  EXPECT_EQ(shape_after(policy, {2, 5, 5, 24}), (Shape{2, 26}));
  EXPECT_TRUE(contains(error_of([] { make_ready_net("go-resnet", {{"blocks", -1}}); }),
                       "net 'go-resnet': 'blocks' must be at least 0, got -1"));
  const int64_t trunk = 25 * 24 * 64 + 128 + 10 * (9 * 64 * 64 + 128), points = 64 * 32 + 64 + 33,
                board = 64 * 32 + 64 + 33 * 64 + 65 * 2;
  EXPECT_EQ(parameters_of(go_resnet(64, 5), {1, 19, 19, 24}), trunk + points + board);
}

// What a point gets does not depend on where on the board it is, but by the edge; so the heads take any board.
TEST(Nets, BoardsAreSeenTheSameEverywhere) {
  Sequential net = go_resnet(4, 1);
  Array board(DType::f32, {2, 19, 19, 24});
  for (int64_t plane = 0; plane < 24; ++plane) {
    const double value = static_cast<double>(plane % 5) - 2;
    board.set((8 * 19 + 8) * 24 + plane, value);
    board.set((19 * 19 + 10 * 19 + 9) * 24 + plane, value);  // two rows below, a column to the right
  }
  make_parameters(net, board.type(), 1);
  const std::vector<double> scores = reference_forward(net, board).to_doubles();
  for (int64_t row = 5; row < 11; ++row)
    for (int64_t column = 5; column < 12; ++column)
      EXPECT_NEAR(scores[row * 19 + column], scores[363 + (row + 2) * 19 + column + 1], 1e-6);
  EXPECT_NE(scores[8 * 19 + 8], scores[8 * 19 + 9]);
  EXPECT_NEAR(scores[361], scores[363 + 361], 1e-6) << "the pass, by means over the board";
}

}  // namespace
}  // namespace descent::nn
