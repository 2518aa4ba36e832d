// Encoder-decoder nets: padding changes nothing, nothing of what comes is seen, all of what is answered is, and
// gradients are those of differences.
#include "descent/nn/encoder_decoder.h"

#include <cmath>

#include "descent/nn/cross_attention.h"
#include "descent/nn/embedding.h"
#include "descent/nn/losses.h"
#include "descent/nn/make_layer.h"
#include "descent/nn/nets.h"
#include "descent/nn/recurrent.h"
#include "descent/optim/minimize.h"
#include "descent/optim/rules.h"
#include "tests/unit/gradient_testing.h"
#include "tests/unit/step_reference.h"

namespace descent::nn {
namespace {

constexpr const char* cells[] = {"transformer", "gru", "lstm"};
constexpr int64_t tokens = 9;

// Small, with weights large enough for differences to show.
Sequential net_of(const std::string& cell, const std::string& positions = "rotary") {
  EncoderDecoderOptions options{.cell = cell, .outputs = tokens, .layers = 2, .context = 8, .positions = positions};
  options.block.width = 8;
  options.block.heads = 2;
  Sequential net = encoder_decoder(options);
  make_parameters(net, {DType::i32, {1, 8}}, 3);
  for (const ParameterPtr& parameter : all_parameters(net)) {
    if (parameter->type().shape.rank() < 2) continue;
    Array values = parameter->array().clone();
    for (float& value : values.as<float>()) value *= cell == "transformer" ? 8.0F : 2.0F;
    parameter->assign(values);
  }
  return net;
}

// A row: what is asked, then the answer, each padded to `places`.
std::vector<int32_t> row(std::vector<int32_t> asked, std::vector<int32_t> answer, size_t places) {
  asked.resize(places, -1);
  answer.resize(places, -1);
  asked.insert(asked.end(), answer.begin(), answer.end());
  return asked;
}

Array rows(const std::vector<std::vector<int32_t>>& all) {
  std::vector<int32_t> flat;
  for (const std::vector<int32_t>& each : all) flat.insert(flat.end(), each.begin(), each.end());
  return Array::from(std::span<const int32_t>(flat), {std::ssize(all), std::ssize(all[0])});
}

// The scores of the places of a row's answer.
std::vector<double> scores_of(const Array& scores, int64_t at, int64_t count) {
  const Array own = scores.rows(at, at + 1);
  std::vector<double> out = own.to_doubles();
  out.resize(static_cast<size_t>(count * tokens));
  return out;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

TEST(EncoderDecoder, PaddingChangesNoResult) {
  for (const char* cell : cells) {
    SCOPED_TRACE(cell);
    Sequential net = net_of(cell);
    const std::vector<int32_t> asked{1, 2, 3}, answer{4, 5}, asks_more{8, 7, 6, 5, 4}, answers_more{1, 2, 3, 4, 5, 6};
    const Array alone = reference_forward(net, rows({row(asked, answer, 3)}));
    const Array together = reference_forward(net, rows({row(asked, answer, 6), row(asks_more, answers_more, 6)}));
    EXPECT_EQ(together.shape(), (Shape{2, 6, tokens}));
    EXPECT_LT(largest_difference(scores_of(alone, 0, 2), scores_of(together, 0, 2)), 1e-5);
  }
}

TEST(EncoderDecoder, SeesAllThatIsAskedAndNothingOfWhatComes) {
  for (const char* cell : cells) {
    SCOPED_TRACE(cell);
    Sequential net = net_of(cell);
    const auto scores = [&](std::vector<int32_t> asked, std::vector<int32_t> answer) {
      return reference_forward(net, rows({row(std::move(asked), std::move(answer), 4)})).to_doubles();
    };
    const std::vector<double> first = scores({1, 2, 3, 4}, {5, 6, 7, 8});
    for (size_t place = 0; place < 4; ++place) {  // of what is asked each place counts for each of the answer
      std::vector<int32_t> asked{1, 2, 3, 4};
      asked[place] = 0;
      const std::vector<double> other = scores(asked, {5, 6, 7, 8});
      for (size_t at = 0; at < 4; ++at) {
        double difference = 0;
        for (size_t i = at * tokens; i < (at + 1) * tokens; ++i)
          difference = std::max(difference, std::abs(first[i] - other[i]));
        EXPECT_GT(difference, 1e-5) << place << " " << at;
      }
    }
    for (size_t place = 0; place < 4; ++place) {
      std::vector<int32_t> answer{5, 6, 7, 8};
      answer[place] = 0;
      const std::vector<double> other = scores({1, 2, 3, 4}, answer);
      for (size_t i = 0; i < place * tokens; ++i) EXPECT_EQ(first[i], other[i]) << place;
      double difference = 0;
      for (size_t i = place * tokens; i < first.size(); ++i)
        difference = std::max(difference, std::abs(first[i] - other[i]));
      EXPECT_GT(difference, 1e-4) << place;
    }
  }
}

TEST(EncoderDecoder, GradientsAreThoseOfDifferences) {
  const Array x = rows({row({1, 2, 3, 4}, {5, 6}, 4), row({7, 3}, {1, 2, 8, 4}, 4)});
  const Array y = rows({{6, 7, -1, -1, -1}, {2, 8, 4, 0, -1}});
  for (const char* cell : cells) {
    SCOPED_TRACE(cell);
    Sequential net = net_of(cell, "learnt");
    expect_gradients_of_differences({x, y}, [&](Pass& pass, std::span<const Tensor> in) {
      return sequence_cross_entropy(net(in[0], pass), in[1]);
    });
  }
}

// A compiled step of training does what the reference does, and padding changes none.
TEST(EncoderDecoder, CompiledStepIsTheReferences) {
  const Array x = rows({row({1, 2, 3, 4}, {5, 6}, 4), row({7, 3}, {1, 2, 8, 4}, 4)});
  const Array wide = rows({row({1, 2, 3, 4}, {5, 6}, 7), row({7, 3}, {1, 2, 8, 4}, 7)});
  const Array y = rows({{6, 7, -1, -1, -1, -1, -1}, {2, 8, 4, 0, -1, -1, -1}});
  for (const char* cell : cells) {
    SCOPED_TRACE(cell);
    Sequential net = net_of(cell);
    optim::Optimizer optimizer = optim::SGD{.learning_rate = 0.1};
    Function step = compile(
        [&](Pass& pass, Tensor in, Tensor out) {
          const Tensor loss = sequence_cross_entropy(net(in, pass), out);
          optim::minimize(pass, loss, optimizer);
          return loss;
        },
        {.training = true, .precision = Precision::f32});
    const std::vector<ParameterPtr> all = all_parameters(net);
    std::vector<Array> start, expected;
    for (const ParameterPtr& each : all) start.push_back(each->array().clone());
    const double reference = reference_step(step, {x, y})[0].item();
    for (const ParameterPtr& each : all) expected.push_back(each->array().clone());
    for (const Array& input : {x, wide}) {
      for (size_t i = 0; i < all.size(); ++i) all[i]->assign(start[i]);
      EXPECT_NEAR(step({input, y})[0].item(), reference, 1e-5);
      for (size_t i = 0; i < all.size(); ++i) {
        SCOPED_TRACE(all[i]->name());
        expect_near(all[i]->array(), expected[i].to_doubles(), 3e-5);
      }
    }
  }
}

// One head over two places, by hand.
TEST(CrossAttention, ByHand) {
  CrossAttention layer{1, {.queries = {.bias = false}, .source = {.bias = false}, .output = {.bias = false}}};
  const auto seen = [&](const Array& x, const Array& source, std::vector<int32_t> lengths) {
    const Function function(
        [&](Pass& pass, std::span<const Tensor> in) -> Tensors {
          pass.set_source(in[1], in[2]);
          return {layer(in[0], pass)};
        },
        {});
    return reference_step(function, {x, source, Array::from(std::span<const int32_t>(lengths), {1})});
  };
  const Array x = matrix({2}, {1, 1, 1}), source = matrix({1, 3}, {1, 2, 1});
  seen(x, source, {2});
  const std::vector<ParameterPtr> weights = all_parameters(layer);
  ASSERT_EQ(weights.size(), 3u);
  weights[0]->assign(matrix({1}, {1, 1}));
  weights[1]->assign(matrix({1, 10}, {1, 2}));  // keys are the source, values ten times it
  weights[2]->assign(matrix({1}, {1, 1}));
  const double e1 = std::exp(2.0 * 1), e2 = std::exp(2.0 * 3);
  expect_near(seen(x, source, {2})[0], {(e1 * 10 + e2 * 30) / (e1 + e2)}, 1e-5);
  expect_near(seen(x, source, {1})[0], {10});
}

TEST(EncoderDecoder, IsMadeByNameAndOfParts) {
  const Sequential ready =
      make_ready_net("encoder_decoder", {{"outputs", int64_t{9}}, {"cell", std::string("gru")}, {"width", int64_t{8}}});
  EXPECT_EQ(ready.children().front().second->describe(), "EncoderDecoder");
  EXPECT_TRUE(ready.goes_place_by_place());
  // Sides of one's own.
  Sequential own{
      EncoderDecoder{Sequential{Embedding(9, 8), TransformerEncoder(1, {.width = 8, .heads = 2})},
                     Sequential{Embedding(9, 8), TransformerDecoder(1, {.width = 8, .heads = 2}), Linear{9}}}};
  EXPECT_EQ(reference_forward(own, rows({row({1, 2}, {3}, 4)})).shape(), (Shape{1, 4, 9}));
}

TEST(EncoderDecoder, SaysWhatDoesNotFit) {
  Sequential net = net_of("gru");
  EXPECT_TRUE(contains(error_of([&] { reference_forward(net, rows({{1, 2, 3}})); }), "half of them to be answered"));
  EXPECT_TRUE(contains(error_of([&] { reference_forward(net, matrix({1, 2}, {1, 2})); }), "needs tokens i32"));
  EXPECT_TRUE(contains(error_of([] { encoder_decoder({.cell = "gro"}); }), "did you mean 'gru'?"));
  EXPECT_TRUE(contains(error_of([] { encoder_decoder({.layers = 0}); }), "at least one layer on each side, got 0"));
  EXPECT_TRUE(contains(error_of([] { encoder_decoder({.cell = "gru", .block = {.width = 7}}); }), "must be even"));
  EXPECT_TRUE(contains(error_of([] { TransformerEncoder(0); }), "at least one layer, got 0"));
  Sequential lone{CrossAttention{1}};
  EXPECT_TRUE(contains(error_of([&] {
                         reference_forward(lone, matrix({1, 2}, {1, 1, 2}));
                       }),
                       "there is no other sequence to look at"));
  Sequential begins{GRU{2, {.from_source = true}}};
  EXPECT_TRUE(contains(error_of([&] {
                         reference_forward(begins, matrix({1, 2}, {1, 1, 2}));
                       }),
                       "there is no other sequence to begin from"));
}

}  // namespace
}  // namespace descent::nn
