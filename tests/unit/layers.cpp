#include <cmath>
#include <map>

#include "descent/nn/activations.h"
#include "descent/nn/layers.h"
#include "descent/nn/linear.h"
#include "descent/nn/make_layer.h"
#include "descent/nn/summary.h"
#include "descent/ops/mul.h"
#include "tests/unit/step_reference.h"

namespace descent::nn {
namespace {

Strings names(const std::vector<ParameterPtr>& parameters) {
  std::vector<std::string> out;
  for (const ParameterPtr& parameter : parameters) out.push_back(parameter->name());
  return out;
}

TEST(Linear, MultipliesTheLastAxisAndAddsTheBias) {
  Linear layer{2};
  make_parameters(layer, {DType::f32, {1, 3}}, 0);
  layer.parameters()[0]->assign(matrix({1, 2, 3, 4, 5, 6}, {3, 2}));
  layer.parameters()[1]->assign(matrix({10, 20}, {2}));

  const Array rows = reference_forward(layer, matrix({1, 0, 0, 1, 1, 1}, {2, 3}));
  EXPECT_EQ(rows.shape(), (Shape{2, 2}));
  expect_near(rows, {11, 22, 19, 32});
  const Array vector = reference_forward(layer, matrix({0, 0, 2}, {3}));
  EXPECT_EQ(vector.shape(), (Shape{2}));
  expect_near(vector, {20, 32});
  const Array positions = reference_forward(layer, matrix({1, 0, 0, 0, 1, 0}, {2, 1, 3}));
  EXPECT_EQ(positions.shape(), (Shape{2, 1, 2}));
  expect_near(positions, {11, 22, 13, 24});
}

TEST(Linear, HasParametersNamedByItsPath) {
  Sequential net{Flatten{}, {"hidden", Linear{4}}, ReLU{}, Sequential{Linear{3, {.bias = false}}}};
  EXPECT_TRUE(all_parameters(net).empty());  // the input is not known yet
  make_parameters(net, {DType::f32, {5, 2, 3}}, 1);
  const std::vector<ParameterPtr> parameters = all_parameters(net);
  EXPECT_EQ(names(parameters), (Strings{"hidden.weight", "hidden.bias", "3.0.weight"}));
  EXPECT_EQ(parameters[0]->type(), (Type{DType::f32, {6, 4}}));
  EXPECT_TRUE(parameters[0]->decays);
  EXPECT_FALSE(parameters[1]->decays);

  make_parameters(net, {DType::f32, {9, 2, 3}}, 2);  // traced again: the same parameters
  EXPECT_EQ(all_parameters(net), parameters);
}

TEST(Branches, GoSideBySide) {
  Sequential net{{"heads", Branches{{"sum", Linear{1, {.bias = false, .init = init::constant(1)}}},
                                    {"twice", Linear{2, {.bias = false, .init = init::constant(2)}}}}}};
  expect_near(reference_forward(net, matrix({1, 2, 3, 4}, {2, 2})), {3, 6, 6, 7, 14, 14});
  EXPECT_EQ(names(all_parameters(net)), (Strings{"heads.sum.weight", "heads.twice.weight"}));
  EXPECT_EQ(equations(net), (Strings{"y = [W¹x, W²x]"}));

  Sequential deeper{Linear{4}, Branches{Sequential{ReLU{}, Linear{3}, Tanh{}}, Linear{2}}, Sigmoid{}};
  make_parameters(deeper, {DType::f32, {1, 5}}, 0);
  EXPECT_EQ(equations(deeper),
            (Strings{"a¹ = W¹x + b¹", "a¹' = relu(a¹)", "y = sigmoid([tanh(W²a¹' + b²), W³a¹ + b³])"}));
}

TEST(Branches, SayWhatDoesNotFit) {
  Sequential net{{"heads", Branches{Linear{3}, {"flat", Flatten{}}}}};
  EXPECT_TRUE(
      contains(error_of([&] {
                 make_parameters(net, {DType::f32, {8, 2, 5}}, 0);
               }),
               "heads (Branches): the layers inside make f32[8,2,3] and f32[8,10] of f32[8,2,5], but may differ "
               "in the last axis only"));
  EXPECT_TRUE(contains(error_of([] { Branches(std::vector<Layer>{}); }), "Branches: there must be a layer inside"));
  EXPECT_TRUE(contains(error_of([] {
                         Branches{{"a", ReLU{}}, {"a", ReLU{}}};
                       }),
                       "two layers side by side are called 'a'"));
}

TEST(Linear, StartsWithValuesThatSuitTheActivationAfterIt) {
  const auto largest = [](Sequential net) {
    make_parameters(net, {DType::f32, {1, 200}}, 0);
    double out = 0;
    for (const double value : all_parameters(net)[0]->array().to_doubles()) out = std::max(out, std::abs(value));
    return out;
  };
  EXPECT_NEAR(largest({Linear{100}, ReLU{}}), std::sqrt(6.0 / 200), 1e-4);
  EXPECT_NEAR(largest({Linear{100}, Sequential{GELU{}}}), std::sqrt(6.0 / 200), 1e-4);
  EXPECT_NEAR(largest({Sequential{Linear{100}}, SELU{}}), std::sqrt(3.0 / 200), 1e-4);
  EXPECT_NEAR(largest({Linear{100}, Tanh{}}), std::sqrt(6.0 / 300), 1e-4);
  EXPECT_NEAR(largest({Linear{100}}), std::sqrt(6.0 / 300), 1e-4);
  EXPECT_NEAR(largest({Branches{Linear{100}}, ReLU{}}), std::sqrt(6.0 / 200), 1e-4);
  EXPECT_NEAR(largest({Linear{100, {.init = init::constant(7)}}, ReLU{}}), 7, 0);
}

TEST(Linear, SaysWhatDoesNotFit) {
  Sequential net{{"body", Sequential{{"0", Identity{}}, {"1", Linear{512}}}}};
  const int line = __LINE__ - 1;
  make_parameters(net, {DType::f32, {128, 784}}, 0);
  const auto with = [&](Type type) { return error_of([&] { make_parameters(net, type, 0); }); };
  EXPECT_TRUE(
      contains(with({DType::f32, {128, 512}}),
               text("layers.cpp:", line,
                    ": body.1 (Linear 512): input f32[128,512] has 512 features on axis 1, but the weight f32[784,512] "
                    "takes 784; did you mean a Linear 784 before it, or other weights?")));
  EXPECT_TRUE(
      contains(with({DType::f32, {128, 28, 28}}),
               "input f32[128,28,28] has 28 features on axis 2, but the weight f32[784,512] takes 784; did you mean "
               "Flatten before it?"));
  EXPECT_TRUE(contains(with({DType::f32, {784, 128}}), "did you mean axis 0 to be the last?"));
  EXPECT_TRUE(contains(with({DType::u8, {128, 784}}),
                       "body.1 (Linear 512): input u8[128,784] is not f32; put Normalize or OneHot before it"));
  EXPECT_TRUE(contains(with({DType::f32, {}}), "body.1 (Linear 512): input f32[] has no features on a last axis"));
  EXPECT_TRUE(contains(error_of([] { Linear{0}; }), "Linear: the number of features must be at least 1, got 0"));
}

TEST(Layers, FlattenKeepsTheExamples) {
  Flatten flatten;
  const Array x = matrix({1, 2, 3, 4, 5, 6, 7, 8}, {2, 2, 2});
  EXPECT_EQ(reference_forward(flatten, x).shape(), (Shape{2, 4}));
  EXPECT_EQ(reference_forward(flatten, x.reshaped({8})).shape(), (Shape{8, 1}));
  EXPECT_EQ(error_of([&] { reference_forward(flatten, Array::scalar(1)); }),
            "Flatten: input f32[] has no axis of examples");
}

TEST(Layers, LayerNormByHand) {
  LayerNorm layer{0.5};
  make_parameters(layer, {DType::f32, {1, 3}}, 0);
  EXPECT_EQ(names(layer.parameters()), (Strings{"gain", "bias"}));
  layer.parameters()[0]->assign(matrix({1, 2, 3}, {3}));
  layer.parameters()[1]->assign(matrix({0, 0, 1}, {3}));
  const double scale = 1 / std::sqrt(8.0 / 3 + 0.5);  // of the row 2, 4, 6
  expect_near(reference_forward(layer, matrix({2, 4, 6}, {1, 3})), {-2 * scale, 0, 2 * scale * 3 + 1});
  EXPECT_TRUE(contains(error_of([&] {
                         reference_forward(layer, matrix({2, 4}, {1, 2}));
                       }),
                       "LayerNorm: input f32[1,2] has 2 features on axis 1, but the gain f32[3] takes 3"));
}

TEST(Layers, NormalizeTakesBytesAndKeepsItsNumbersAsStates) {
  const float scale[] = {0.5f, 2}, shift[] = {1, -1};
  Sequential net{{"inputs", Normalize(scale, shift)}};
  Array bytes(DType::u8, {2, 2});
  for (int64_t i = 0; i < 4; ++i) bytes.set(i, 100 + static_cast<double>(i));
  expect_near(reference_forward(net, bytes), {51, 201, 52, 205});
  std::vector<std::string> states;
  for (const StatePtr& state : all_states(net)) states.push_back(state->name());
  EXPECT_EQ(states, (Strings{"inputs.scale", "inputs.shift"}));
  EXPECT_TRUE(all_parameters(net).empty());
  EXPECT_TRUE(contains(error_of([&] {
                         reference_forward(net, Array(DType::u8, {2, 3}));
                       }),
                       "inputs (Normalize): input u8[2,3] must have 2 features on the last axis"));

  const float one[] = {1.0f / 255}, none[] = {0};
  Normalize images(one, none);
  EXPECT_EQ(reference_forward(images, Array(DType::u8, {2, 3, 3})).type(), (Type{DType::f32, {2, 3, 3}}));
}

TEST(Layers, ScaleAndShift) {
  Settings settings;
  settings.set("factor", 0.5).set("shift", 3.0);
  const ModulePtr layer = make_layer("scale", settings);
  expect_near(reference_forward(*layer, matrix({2, -8}, {1, 2})), {4, -1});
  EXPECT_EQ(layer->describe(), "Scale 0.5 +3");
  Scale plain{2};
  expect_near(reference_forward(plain, matrix({2, -8}, {1, 2})), {4, -16});
  EXPECT_EQ(plain.formula(), "2 x");
}

TEST(Layers, OneHot) {
  OneHot layer{3};
  const std::vector<int32_t> labels{2, 0};
  expect_near(reference_forward(layer, Array::from(std::span<const int32_t>(labels), {2})), {0, 0, 1, 1, 0, 0});
}

TEST(Dropout, DropsItsShareWhileTrainingOnly) {
  Sequential net{Dropout{0.25}};
  const Array x = Array::full({DType::f32, {100, 100}}, 3);
  RandomStates random(7);
  const FunctionOptions training{.training = true, .random = &random};
  const Array first = reference_forward(net, x, training), second = reference_forward(net, x, training);
  int64_t dropped = 0, differs = 0;
  for (int64_t i = 0; i < first.elements(); ++i) {
    EXPECT_TRUE(first.at(i) == 0 || first.at(i) == 4) << first.at(i);  // 3 / (1 - 0.25)
    dropped += first.at(i) == 0;
    differs += first.at(i) != second.at(i);
  }
  EXPECT_NEAR(static_cast<double>(dropped), 2500, 4 * std::sqrt(10000 * 0.25 * 0.75));
  EXPECT_GT(differs, 3000);  // the next step draws anew
  EXPECT_EQ(random.counter->array().at(0), 2);
  expect_near(reference_forward(net, x), std::vector<double>(10000, 3.0), 0);  // without random numbers
  EXPECT_TRUE(contains(error_of([&] { reference_forward(net, x, {.training = true}); }), "no random numbers"));
}

TEST(Dropout, TwoOfThemDropDifferentElements) {
  RandomStates random(7);
  Sequential net{Dropout{0.5}, Dropout{0.5}};
  const Array x = Array::full({DType::f32, {10000}}, 1);
  const Array y = reference_forward(net, x, {.training = true, .random = &random});
  double kept = 0;
  for (const double value : y.to_doubles()) kept += value != 0;
  EXPECT_NEAR(kept, 2500, 200);  // it would be 5000 if both dropped the same
}

using Scalar = double (*)(double);
const std::map<std::string, Scalar> expected_activations = {
    {"identity", [](double x) { return x; }},
    {"step", [](double x) { return x > 0 ? 1.0 : 0.0; }},
    {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
    {"tanh", [](double x) { return std::tanh(x); }},
    {"relu", [](double x) { return x > 0 ? x : 0; }},
    {"leaky_relu", [](double x) { return x > 0 ? x : 0.01 * x; }},
    {"elu", [](double x) { return x > 0 ? x : std::exp(x) - 1; }},
    {"selu", [](double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (std::exp(x) - 1)); }},
    {"gelu", [](double x) { return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))); }},
    {"gelu_tanh", [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
    {"silu", [](double x) { return x / (1 + std::exp(-x)); }},
    {"mish", [](double x) { return x * std::tanh(std::log1p(std::exp(x))); }},
    {"softplus", [](double x) { return std::log1p(std::exp(x)); }}};

TEST(Activations, EachIsItsFormula) {
  const std::vector<float> values{-3, -0.5f, 0, 0.25f, 2};
  for (const Activation::Row& row : activation_rows()) {
    SCOPED_TRACE(row.kind);
    Activation layer(row.kind);
    const Array y = reference_forward(layer, matrix(values, {1, 5}));
    double total = 0;
    for (const float x : values) total += std::exp(x);
    std::vector<double> expected;
    for (const float x : values) {
      if (row.kind == "softmax")
        expected.push_back(std::exp(x) / total);
      else if (row.kind == "log_softmax")
        expected.push_back(x - std::log(total));
      else
        expected.push_back(expected_activations.at(std::string(row.kind))(x));
    }
    expect_near(y, expected, 1e-6);
  }
  LeakyReLU leaky{0.5};
  expect_near(reference_forward(leaky, matrix({-2}, {1})), {-1});
  EXPECT_EQ(leaky.describe(), "LeakyReLU 0.5");
}

TEST(Residual, AddsItsInput) {
  Residual block{{"inner", Linear{2, {.init = init::constant(1)}}}};
  expect_near(reference_forward(block, matrix({1, 2}, {1, 2})), {4, 5});
  Sequential net{{"block", Residual{Linear{3}}}};
  EXPECT_TRUE(
      contains(error_of([&] {
                 make_parameters(net, {DType::f32, {8, 16}}, 0);
               }),
               "block (Residual): the layers inside make f32[8,3] of f32[8,16], but the sum x + f(x) needs one type; "
               "did you mean a last layer with 16 features?"));
}

TEST(Sequential, RejectsNamesThatWouldNotBePaths) {
  EXPECT_TRUE(contains(error_of([] {
                         Sequential({{"a", ReLU{}}, {"a", ReLU{}}});
                       }),
                       "two layers side by side are called 'a'"));
  EXPECT_TRUE(contains(error_of([] { Sequential({{"a.b", ReLU{}}}); }), "'a.b' has one"));
}

TEST(Sequential, ALayerUsedTwiceSharesItsParameters) {
  const ModulePtr shared = std::make_shared<Linear>(3);
  Sequential net{{"first", shared}, ReLU{}, {"second", shared}};
  make_parameters(net, {DType::f32, {1, 3}}, 0);
  EXPECT_EQ(names(all_parameters(net)), (Strings{"first.weight", "first.bias"}));
}

TEST(Summary, ListsLayersFormulasAndSizes) {
  Sequential net{Flatten{}, {"hidden", Linear{512}}, ReLU{}, Dropout{0.2}, {"scores", Linear{10}}};
  const NetSummary summary = summarise(net, {DType::f32, {32, 28, 28}});
  ASSERT_EQ(summary.layers.size(), 5u);
  EXPECT_EQ(summary.layers[1].path, "hidden");
  EXPECT_EQ(summary.layers[1].describe, "Linear 512");
  EXPECT_EQ(summary.layers[1].formula, "W x + b");
  EXPECT_EQ(summary.layers[1].input, (Type{DType::f32, {32, 784}}));
  EXPECT_EQ(summary.layers[1].output, (Type{DType::f32, {32, 512}}));
  EXPECT_EQ(summary.layers[1].parameters, 784 * 512 + 512);
  EXPECT_EQ(summary.layers[1].flops, 2 * 32 * 784 * 512 + 32 * 512);
  EXPECT_EQ(summary.layers[2].path, "2");
  EXPECT_EQ(summary.layers[2].flops, 32 * 512);
  EXPECT_EQ(summary.parameters, 784 * 512 + 512 + 512 * 10 + 10);
  EXPECT_EQ(summary.output, (Type{DType::f32, {32, 10}}));
  EXPECT_EQ(summary.equations, (Strings{"a¹ = dropout(relu(W¹x + b¹))", "y = W²a¹ + b²"}));
}

TEST(Summary, WritesNestedNetsAsFormulas) {
  Sequential net{Linear{4}, Tanh{}, Residual{LayerNorm{}, Linear{4, {.bias = false}}}, Softmax{}};
  make_parameters(net, {DType::f32, {1, 4}}, 0);
  EXPECT_EQ(equations(net), (Strings{"a¹ = tanh(W¹x + b¹)", "a² = g²norm(a¹) + b²", "y = softmax(a¹ + W³a²)"}));
  Linear alone{3};
  EXPECT_EQ(summarise(alone, {DType::f32, {2, 5}}).equations, (Strings{"y = W¹x + b¹"}));
}

TEST(MakeLayer, BuildsNetsFromSettings) {
  const Settings inner[] = {{{"kind", "linear"}, {"features", 4}}, {{"kind", "elu"}, {"alpha", 2}}};
  const Settings tables[] = {
      {{"kind", "flatten"}},
      {{"kind", "linear"}, {"name", "hidden"}, {"features", 4}, {"init", "orthogonal"}},
      {{"kind", "leaky_relu"}, {"slope", 0.2}},
      {{"kind", "residual"}, {"layers", std::vector<Settings>(std::begin(inner), std::end(inner))}},
      {{"kind", "dropout"}}};
  Sequential net = make_net(tables);
  std::vector<std::string> described;
  for (const LayerSummary& layer : summarise(net, {DType::f32, {2, 3}}).layers)
    described.push_back(text(layer.path, " ", layer.describe));
  EXPECT_EQ(described,
            (Strings{"0 Flatten", "hidden Linear 4", "2 LeakyReLU 0.2", "3.0 Linear 4", "3.1 ELU 2", "4 Dropout 0.5"}));
}

TEST(MakeLayer, SaysWhatIsWrongAtItsLine) {
  const Site at = site_of("digits.toml", 12);
  const auto made = [&](std::string_view kind, Settings::Item item) {
    item.at = at;
    Settings settings;
    settings.set(item.name, item.value, item.at);
    return error_of([&] { make_layer(kind, settings); });
  };
  EXPECT_EQ(made("linear", {"featurs", 512}),
            "digits.toml:12: layer 'linear' has no setting 'featurs'; did you mean 'features'?");
  EXPECT_EQ(made("linear", {"features", "many"}),
            "digits.toml:12: layer 'linear': 'features' must be a whole number, got \"many\"");
  EXPECT_EQ(made("linear", {"features", 0}),
            "digits.toml:12: Linear: the number of features must be at least 1, got 0");
  EXPECT_EQ(made("relu", {"slope", 0.1}), "digits.toml:12: layer 'relu' has no setting 'slope'; it has none");
  EXPECT_EQ(made("dropout", {"rate", 1.5}),
            "digits.toml:12: Dropout: the rate must be at least 0 and below 1, got 1.5");
  EXPECT_EQ(error_of([] { make_layer("linaer"); }), "there is no layer 'linaer'; did you mean 'linear'?");
  EXPECT_EQ(error_of([] { make_layer("linear"); }), "layer 'linear' needs 'features' (the number of outputs)");
  EXPECT_THROW(make_layer("linaer"), UsageError);
  const Settings bad{{"features", 3}, {"init", "glorot"}};
  EXPECT_TRUE(contains(error_of([&] { make_layer("linear", bad); }), "there is no initialiser 'glorot'"));
}

// What a contributor writes: one layer, with its own parameter.
struct Scale : Module {
  Tensor forward(Pass& pass, Tensor x) override {
    if (!factor) factor = make_parameter(pass, "factor", {}, init::constant(2), true);
    return x * pass.parameter(factor);
  }
  std::string describe() const override { return "Scale"; }
  std::string formula() const override { return "s x"; }
  std::vector<ParameterPtr> parameters() const override {
    return factor ? std::vector{factor} : std::vector<ParameterPtr>{};
  }
  ParameterPtr factor;
};

TEST(Module, ALayerOfOnesOwnJoinsANet) {
  Sequential net{{"scale", Scale{}}, ReLU{}};
  expect_near(reference_forward(net, matrix({-1, 3}, {1, 2})), {0, 6});
  EXPECT_EQ(names(all_parameters(net)), (Strings{"scale.factor"}));
  EXPECT_EQ(equations(net), (Strings{"y = relu(s¹x)"}));
}

}  // namespace
}  // namespace descent::nn
