// Recurrent layers against their formulas in plain loops, forward and in training.
#include "descent/nn/recurrent.h"

#include <cmath>

#include "descent/nn/lengths.h"
#include "descent/nn/losses.h"
#include "descent/nn/make_layer.h"
#include "descent/nn/sequential.h"
#include "descent/optim/minimize.h"
#include "descent/optim/rules.h"
#include "tests/unit/gradient_testing.h"
#include "tests/unit/step_reference.h"

namespace descent::nn {
namespace {

constexpr int64_t sequences = 2, places = 3, features = 2, hidden = 3;

using Numbers = std::vector<double>;

Array varied(Shape shape, double phase) {
  Array out(DType::f32, shape);
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, std::sin(1.7 * static_cast<double>(i) + phase));
  return out;
}

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

// x[rows, n] times w[n, columns], of one row.
Numbers product(const Numbers& row, const Array& weight) {
  const int64_t columns = weight.shape()[1];
  Numbers out(static_cast<size_t>(columns));
  for (int64_t i = 0; i < weight.shape()[0]; ++i)
    for (int64_t j = 0; j < columns; ++j) out[j] += row[i] * weight.at(i * columns + j);
  return out;
}

// Calls step(sums of the place, sequence) in the order of places, of one sequence after the other.
template <class Step>
Numbers unrolled(const Array& x, const Array& weight, const Array& bias, Step step) {
  Numbers out;
  for (int64_t s = 0; s < sequences; ++s)
    for (int64_t t = 0; t < places; ++t) {
      Numbers row;
      for (int64_t f = 0; f < features; ++f) row.push_back(x.at((s * places + t) * features + f));
      Numbers sums = product(row, weight);
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += bias.at(static_cast<int64_t>(i));
      for (const double value : step(sums, t == 0)) out.push_back(value);
    }
  return out;
}

// All parameters with values that differ.
std::vector<ParameterPtr> prepared(Module& layer, const Type& x) {
  make_parameters(layer, x, 0);
  const std::vector<ParameterPtr> all = all_parameters(layer);
  double phase = 0.1;
  for (const ParameterPtr& each : all) each->assign(varied(each->type().shape, phase += 0.37));
  return all;
}

const ParameterPtr& named(const std::vector<ParameterPtr>& all, const std::string& name) {
  return *std::ranges::find(all, name, &Parameter::name);
}

TEST(GRU, IsItsFormula) {
  GRU layer{hidden};
  const Array x = varied({sequences, places, features}, 0.9);
  const std::vector<ParameterPtr> all = prepared(layer, x.type());
  ASSERT_EQ(all.size(), 4u);
  const Array own = named(all, "weight")->array(), bias = named(all, "bias")->array();
  Numbers h;
  const auto step = [&](const Numbers& in, bool first) {
    if (first) h.assign(hidden, 0);
    const Numbers u = product(h, own);
    for (int64_t i = 0; i < hidden; ++i) {
      const double r = sigmoid_of(in[i] + u[i]), z = sigmoid_of(in[hidden + i] + u[hidden + i]);
      const double n = std::tanh(in[2 * hidden + i] + r * (u[2 * hidden + i] + bias.at(i)));
      h[i] = (1 - z) * n + z * h[i];
    }
    return h;
  };
  const Numbers expected = unrolled(x, named(all, "inputs.weight")->array(), named(all, "inputs.bias")->array(), step);
  const Array y = reference_forward(layer, x);
  EXPECT_EQ(y.shape(), (Shape{sequences, places, hidden}));
  expect_near(y, expected);
}

TEST(LSTM, IsItsFormula) {
  LSTM layer{hidden};
  const Array x = varied({sequences, places, features}, 0.9);
  const std::vector<ParameterPtr> all = prepared(layer, x.type());
  ASSERT_EQ(all.size(), 3u);
  const Array own = named(all, "weight")->array();
  Numbers h, c;
  const auto step = [&](const Numbers& in, bool first) {
    if (first) h.assign(hidden, 0), c.assign(hidden, 0);
    const Numbers u = product(h, own);
    const auto gate = [&](int64_t which, int64_t i) { return in[which * hidden + i] + u[which * hidden + i]; };
    for (int64_t i = 0; i < hidden; ++i) {
      c[i] = sigmoid_of(gate(1, i) + 1) * c[i] + sigmoid_of(gate(0, i)) * std::tanh(gate(2, i));
      h[i] = sigmoid_of(gate(3, i)) * std::tanh(c[i]);
    }
    return h;
  };
  expect_near(reference_forward(layer, x),
              unrolled(x, named(all, "inputs.weight")->array(), named(all, "inputs.bias")->array(), step));
}

// A compiled step of training does what the reference does.
template <class T>
void expect_compiled_is_reference() {
  Sequential net{{"state", T{5}}, {"again", T{4}}};
  const Array x = varied({3, 6, 4}, 0.2), y = varied({3, 6, 4}, 1.2);
  make_parameters(net, x.type(), 3);
  optim::Optimizer optimizer = optim::SGD{.learning_rate = 0.5};
  Function step = compile(
      [&](Pass& pass, Tensor in, Tensor out) {
        const Tensor loss = mean_squared_error(net(in, pass), out);
        optim::minimize(pass, loss, optimizer);
        return loss;
      },
      {.training = true, .precision = Precision::f32});
  const std::vector<ParameterPtr> all = all_parameters(net);
  std::vector<Array> start, expected;
  for (const ParameterPtr& each : all) start.push_back(each->array().clone());
  const double reference = reference_step(step, {x, y})[0].item();
  for (const ParameterPtr& each : all) expected.push_back(each->array().clone());
  for (size_t i = 0; i < all.size(); ++i) all[i]->assign(start[i]);
  EXPECT_NEAR(step({x, y})[0].item(), reference, 1e-5);
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(all[i]->name());
    expect_near(all[i]->array(), expected[i].to_doubles(), 1e-5);
  }
}
TEST(GRU, CompiledStepIsTheReferences) { expect_compiled_is_reference<GRU>(); }
TEST(LSTM, CompiledStepIsTheReferences) { expect_compiled_is_reference<LSTM>(); }

// x [B, T, F] with the order of places turned.
Array turned(const Array& x) {
  Array out = x.clone();
  const int64_t row = x.shape()[2];
  for (int64_t s = 0; s < x.shape()[0]; ++s)
    for (int64_t t = 0; t < x.shape()[1]; ++t)
      for (int64_t f = 0; f < row; ++f)
        out.set((s * x.shape()[1] + t) * row + f, x.at((s * x.shape()[1] + x.shape()[1] - 1 - t) * row + f));
  return out;
}

template <class T>
void expect_reverse_is_of_turned() {
  T layer{hidden}, back{hidden, {.reverse = true}};
  const Array x = varied({sequences, places, features}, 0.9);
  prepared(layer, x.type());
  prepared(back, x.type());
  expect_near(reference_forward(back, x), turned(reference_forward(layer, turned(x))).to_doubles());
  EXPECT_TRUE(layer.goes_place_by_place());
  EXPECT_FALSE(back.goes_place_by_place());
}
TEST(GRU, InReverseIsThatOfTheTurnedSequence) { expect_reverse_is_of_turned<GRU>(); }
TEST(LSTM, InReverseIsThatOfTheTurnedSequence) { expect_reverse_is_of_turned<LSTM>(); }

TEST(Bidirectional, IsBothSideBySide) {
  Branches both = bidirectional<GRU>(hidden);
  const Array x = varied({sequences, places, features}, 0.4);
  make_parameters(both, x.type(), 3);
  const Array y = reference_forward(both, x);
  ASSERT_EQ(y.shape(), (Shape{sequences, places, 2 * hidden}));
  const Array one = reference_forward(*both.children()[0].second, x),
              other = reference_forward(*both.children()[1].second, x);
  for (int64_t row = 0; row < sequences * places; ++row)
    for (int64_t i = 0; i < hidden; ++i) {
      EXPECT_NEAR(y.at(row * 2 * hidden + i), one.at(row * hidden + i), 1e-6);
      EXPECT_NEAR(y.at((row * 2 + 1) * hidden + i), other.at(row * hidden + i), 1e-6);
    }
}

// Sequences of lengths 4, 2 and 1, NaN behind their ends.
Array of_three_lengths() {
  Array x = varied({3, 4, 2}, 0.7);
  for (const int64_t place : {6, 7, 9, 10, 11})
    for (int64_t f = 0; f < 2; ++f) x.set(place * 2 + f, NAN);
  return x;
}

TEST(Recurrent, GradientsAreThoseOfDifferences) {
  const Array x = varied({2, 4, 2}, 0.9), uneven = of_three_lengths();
  Sequential gru{GRU{3}}, lstm{LSTM{3}}, both = recurrent_stack<GRU>(2, {.layers = 2, .bidirectional = true});
  for (Sequential* net : {&gru, &lstm, &both}) {
    make_parameters(*net, x.type(), 5);
    expect_gradients_of_differences(*net, x);
  }
  Sequential padded{EndAtNan{}, bidirectional<LSTM>(2), bidirectional<GRU>(3)};
  make_parameters(padded, uneven.type(), 6);
  expect_gradients_of_differences(padded, uneven);
}

TEST(Recurrent, IsMadeByName) {
  const ModulePtr gru = make_layer("gru", {{"hidden", int64_t{7}}}),
                  lstm = make_layer("lstm", {{"hidden", int64_t{6}}});
  EXPECT_EQ(gru->describe(), "GRU 7");
  EXPECT_EQ(lstm->describe(), "LSTM 6");
  EXPECT_EQ(make_layer("gru", {{"hidden", int64_t{7}}, {"reverse", true}})->describe(), "GRU 7, reverse");
  const ModulePtr deep =
      make_layer("lstm", {{"hidden", int64_t{5}}, {"layers", int64_t{3}}, {"bidirectional", true}, {"dropout", 0.5}});
  EXPECT_EQ(deep->children().size(), 5u);  // two dropouts
  EXPECT_FALSE(deep->goes_place_by_place());
  EXPECT_TRUE(make_layer("gru", {{"hidden", int64_t{5}}, {"layers", int64_t{2}}})->goes_place_by_place());
  const auto made = [](const char* setting, const Settings::Value& value) {
    return error_of([&] {
      make_layer("gru", {{"hidden", int64_t{5}}, {"layers", int64_t{2}}, {"reverse", true}, {setting, value}});
    });
  };
  EXPECT_TRUE(contains(made("dropout", 0.1), "'reverse' is for one layer that does not go both ways"));
  EXPECT_TRUE(contains(error_of([] { recurrent_stack<GRU>(3, {.layers = 0}); }), "at least 1, got 0"));
}

TEST(Recurrent, SaysWhatDoesNotFit) {
  const auto sentence = [](const Array& x) -> std::string {
    try {
      GRU layer{3};
      reference_forward(layer, x);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "nothing was wrong";
  };
  EXPECT_TRUE(contains(sentence(varied({2, 3}, 0)), "needs f32 inputs [sequences, places, features]"));
  EXPECT_TRUE(contains(sentence(Array(DType::i32, {1, 2, 3})), "did you mean an Embedding before it?"));
  EXPECT_TRUE(contains(sentence(Array(DType::f32, {1, 0, 3})), "at least one place"));
  EXPECT_THROW(GRU{0}, UsageError);
}

}  // namespace
}  // namespace descent::nn
