// Layers for sequences: what they compute, by hand or by what must hold, and what they say of bad input.
#include <cmath>

#include "descent/nn/attention.h"
#include "descent/nn/embedding.h"
#include "descent/nn/layers.h"
#include "descent/nn/losses.h"
#include "descent/nn/make_layer.h"
#include "descent/nn/nets.h"
#include "descent/nn/summary.h"
#include "descent/nn/transformer.h"
#include "descent/optim/minimize.h"
#include "descent/optim/rules.h"
#include "tests/unit/step_reference.h"

namespace descent::nn {
namespace {

Array tokens(std::vector<int32_t> values, Shape shape) { return Array::from(std::span<const int32_t>(values), shape); }

// Different numbers of about one.
Array varied(Shape shape) {
  Array out(DType::f32, shape);
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, std::sin(1.7 * static_cast<double>(i) + 0.3));
  return out;
}

template <class F>
std::string sentence_of(F work) {
  try {
    work();
  } catch (const std::exception& problem) {
    return problem.what();
  }
  return "nothing was wrong";
}

TEST(Embedding, GivesRows) {
  Embedding layer{4, 2};
  make_parameters(layer, {DType::i32, {1}}, 0);
  layer.parameters()[0]->assign(matrix({0, 1, 10, 11, 20, 21, 30, 31}, {4, 2}));
  const Array y = reference_forward(layer, tokens({3, 0, 1, 9}, {2, 2}));
  EXPECT_EQ(y.shape(), (Shape{2, 2, 2}));
  expect_near(y, {30, 31, 0, 1, 10, 11, 30, 31});
  Array bytes(DType::u8, {1});
  bytes.set(0, 2);
  expect_near(reference_forward(layer, bytes), {20, 21});
  EXPECT_TRUE(contains(sentence_of([&] { reference_forward(layer, varied({2})); }), "which are integers"));
  EXPECT_TRUE(contains(sentence_of([] { Embedding(0, 3); }), "at least one token and one feature, got 0 and 3"));
}

TEST(TiedScores, AreProductsWithTheEmbedding) {
  const auto embedding = std::make_shared<Embedding>(3, 2);
  Sequential net{{"tokens", Layer(ModulePtr(embedding))}, {"scores", TiedScores(embedding)}};
  make_parameters(net, {DType::i32, {1, 1}}, 0);
  ASSERT_EQ(all_parameters(net).size(), 1u);  // one weight for both
  embedding->weight()->assign(matrix({1, 2, 3, 4, 5, 6}, {3, 2}));
  expect_near(reference_forward(net, tokens({1}, {1, 1})), {11, 25, 39});
  Sequential lone{TiedScores(std::make_shared<Embedding>(3, 2))};
  EXPECT_TRUE(contains(sentence_of([&] { reference_forward(lone, varied({1, 2})); }), "comes before its embedding"));
}

TEST(Positions, AreAdded) {
  LearntPositions learnt{3};
  make_parameters(learnt, {DType::f32, {1, 3, 2}}, 0);
  learnt.parameters()[0]->assign(matrix({1, 2, 3, 4, 5, 6}, {3, 2}));
  expect_near(reference_forward(learnt, matrix({10, 20, 30, 40}, {1, 2, 2})), {11, 22, 33, 44});
  EXPECT_TRUE(contains(sentence_of([&] {
                         reference_forward(learnt, varied({1, 4, 2}));
                       }),
                       "has 4 places, but there are vectors for 3"));
  SinusoidalPositions waves;
  const Array y = reference_forward(waves, matrix({0, 0, 0, 0, 0, 0, 0, 0}, {1, 2, 4}));
  expect_near(y, {0, 0, 1, 1, std::sin(1.0), std::sin(0.01), std::cos(1.0), std::cos(0.01)});
  EXPECT_TRUE(contains(sentence_of([&] { reference_forward(waves, varied({1, 2, 3})); }), "come in pairs"));
}

TEST(RmsNorm, ByHand) {
  RmsNorm layer{0};
  make_parameters(layer, {DType::f32, {1, 2}}, 0);
  layer.parameters()[0]->assign(matrix({1, 10}, {2}));
  const double root = std::sqrt(12.5);
  expect_near(reference_forward(layer, matrix({3, 4}, {1, 2})), {3 / root, 40 / root});
}

// One head whose queries, keys and values are x itself.
TEST(SelfAttention, ByHand) {
  SelfAttention layer{1, {.causal = true, .input = {.bias = false}, .output = {.bias = false}}};
  make_parameters(layer, {DType::f32, {1, 2, 1}}, 0);
  const std::vector<ParameterPtr> weights = all_parameters(layer);
  ASSERT_EQ(weights.size(), 2u);
  weights[0]->assign(matrix({1, 1, 1}, {1, 3}));
  weights[1]->assign(matrix({2}, {1, 1}));
  const double e1 = std::exp(1.0 * 2), e2 = std::exp(2.0 * 2);  // the second place's products with both
  expect_near(reference_forward(layer, matrix({1, 2}, {1, 2, 1})), {2, 2 * (e1 * 1 + e2 * 2) / (e1 + e2)});
}

// Changes of a place change nothing before it, and something from there on.
void expect_causal(Module& net, const Array& x, const Array& changed, int64_t place) {
  const Array before = reference_forward(net, x), after = reference_forward(net, changed);
  const int64_t row = before.elements() / before.shape()[1];
  for (int64_t i = 0; i < place * row; ++i) ASSERT_EQ(before.at(i), after.at(i)) << "at " << i;
  double difference = 0;
  for (int64_t i = place * row; i < before.elements(); ++i) difference += std::abs(before.at(i) - after.at(i));
  EXPECT_GT(difference, 1e-6);
}

TEST(Decoder, SeesNothingOfWhatComes) {
  for (const char* positions : {"learnt", "sinusoidal", "rotary", "none"}) {
    SCOPED_TRACE(positions);
    DecoderOptions options{.outputs = 7, .layers = 2, .context = 6, .positions = positions};
    options.block.width = 8;
    options.block.heads = 2;
    Sequential net = decoder(options);
    const Array x = tokens({1, 2, 3, 4, 5, 6}, {1, 6}), changed = tokens({1, 2, 3, 0, 5, 6}, {1, 6});
    make_parameters(net, x.type(), 0);
    expect_causal(net, x, changed, 3);
  }
}

// The same tokens in another order are other sentences, if there are positions; without, the last place sees a set.
TEST(Decoder, KnowsPlaces) {
  const auto last_scores = [](const std::string& positions, std::vector<int32_t> text) {
    DecoderOptions options{.outputs = 7, .layers = 1, .context = 4, .positions = positions};
    options.block.width = 8;
    options.block.heads = 2;
    Sequential net = decoder(options);
    const Array x = tokens(std::move(text), {1, 4});
    make_parameters(net, x.type(), 0);
    for (const ParameterPtr& each : all_parameters(net))  // larger than they start, so that differences show
      if (each->type().shape.rank() == 2) each->assign(varied(each->type().shape));
    const std::vector<double> scores = reference_forward(net, x).to_doubles();
    return std::vector<double>(scores.end() - 7, scores.end());
  };
  for (const char* positions : {"learnt", "sinusoidal", "rotary", "none"}) {
    const std::vector<double> one = last_scores(positions, {1, 2, 3, 4}), other = last_scores(positions, {3, 1, 2, 4});
    double difference = 0;
    for (size_t i = 0; i < one.size(); ++i) difference = std::max(difference, std::abs(one[i] - other[i]));
    if (std::string(positions) == "none")
      EXPECT_LT(difference, 1e-4);
    else
      EXPECT_GT(difference, 1e-3) << positions;
  }
}

TEST(Decoder, HasTheParametersOfItsSizes) {
  const auto count = [](DecoderOptions options) {
    options.block.bias = false;
    Sequential net = decoder(options);
    return summarise(net, {DType::i32, {1, 4}}, 0).parameters;
  };
  // nanoGPT counts 0.80 million for this net, without positions: 65 x 128 + 4 x 12 x 128^2, and the norms' gains (and
  // here biases).
  EXPECT_EQ(count({.outputs = 65, .layers = 4, .context = 64}), 65 * 128 + 64 * 128 + 4 * 12 * 128 * 128 + 9 * 2 * 128);
  EXPECT_EQ(count({.outputs = 65, .layers = 1, .context = 64, .positions = "rotary", .tied = false}),
            2 * 65 * 128 + 12 * 128 * 128 + 3 * 2 * 128);
}

// A compiled step does what the reference does: every op of the block with its gradient, at once.
TEST(Decoder, CompiledStepIsTheReferences) {
  for (const char* positions : {"learnt", "rotary"}) {
    SCOPED_TRACE(positions);
    DecoderOptions options{.outputs = 11, .layers = 2, .context = 8, .positions = positions};
    options.block.width = 16;
    options.block.heads = 2;
    Sequential net = decoder(options);
    Array x(DType::i32, {3, 8}), y(DType::i32, {3, 8});
    for (int64_t i = 0; i < x.elements(); ++i) x.set(i, (i * 7) % 11), y.set(i, (i * 5 + 3) % 11);
    make_parameters(net, x.type(), 1);
    optim::Optimizer optimizer = optim::SGD{.learning_rate = 0.5};
    Function step = compile(
        [&](Pass& pass, Tensor in, Tensor out) {
          const Tensor loss = cross_entropy(net(in, pass), out);
          optim::minimize(pass, loss, optimizer);
          return loss;
        },
        {.training = true, .precision = Precision::f32});
    std::vector<Array> start;
    for (const ParameterPtr& each : all_parameters(net)) start.push_back(each->array().clone());
    const double reference = reference_step(step, {x, y})[0].item();
    std::vector<Array> expected;
    for (const ParameterPtr& each : all_parameters(net)) expected.push_back(each->array().clone());
    for (size_t i = 0; i < start.size(); ++i) all_parameters(net)[i]->assign(start[i]);
    EXPECT_NEAR(step({x, y})[0].item(), reference, 1e-5);
    for (size_t i = 0; i < expected.size(); ++i) {
      SCOPED_TRACE(all_parameters(net)[i]->name());
      expect_near(all_parameters(net)[i]->array(), expected[i].to_doubles(), 2e-5);
    }
  }
}

TEST(SequenceLayers, AreMadeByName) {
  const auto shape_of = [](std::vector<Settings> tables, const Type& input) {
    Sequential net = make_net(tables);
    return summarise(net, input, 0).output.shape;
  };
  const std::vector<Settings> tables{{{"kind", "embedding"}, {"count", int64_t{9}}, {"features", int64_t{6}}},
                                     {{"kind", "sinusoidal_positions"}},
                                     {{"kind", "self_attention"}, {"heads", int64_t{3}}},
                                     {{"kind", "transformer_block"}, {"width", int64_t{6}}, {"heads", int64_t{2}}},
                                     {{"kind", "transformer_encoder"}, {"width", int64_t{6}}, {"heads", int64_t{2}}},
                                     {{"kind", "rms_norm"}},
                                     {{"kind", "linear"}, {"features", int64_t{4}}}};
  EXPECT_EQ(shape_of(tables, {DType::i32, {2, 5}}), (Shape{2, 5, 4}));
  const Sequential net = make_ready_net("decoder", {{"outputs", int64_t{9}}, {"width", int64_t{8}}});
  EXPECT_EQ(net.children().front().first, "tokens");
}

TEST(SequenceLayers, SayWhatDoesNotFit) {
  SelfAttention three{3};
  EXPECT_TRUE(contains(sentence_of([&] { reference_forward(three, varied({2, 4, 8})); }), "into 3 heads"));
  EXPECT_TRUE(contains(sentence_of([&] {
                         reference_forward(three, varied({2, 9}));
                       }),
                       "needs f32 inputs [sequences, places, features], got f32[2,9]"));
  SelfAttention odd{2, {.rotary = true}};
  EXPECT_TRUE(contains(sentence_of([&] { reference_forward(odd, varied({1, 2, 6})); }), "turn pairs of features"));
  EXPECT_TRUE(contains(sentence_of([] { decoder({.positions = "rotery"}); }), "rotary"));
  EXPECT_TRUE(contains(sentence_of([] { decoder({.layers = 0}); }), "at least one layer, got 0"));
  EXPECT_TRUE(contains(sentence_of([] { transformer_block({.width = 10, .heads = 4}); }), "into 4 heads"));
}

}  // namespace
}  // namespace descent::nn
