// What the table of checks cannot know of composites: published values, properties, accuracy in f32, and that a loss
// and its gradient share their work.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "descent/compile/passes.h"
#include "descent/grad/gradient.h"
#include "descent/ops/adam_update.h"
#include "descent/ops/argmax.h"
#include "descent/ops/binary_cross_entropy.h"
#include "descent/ops/binary_hinge.h"
#include "descent/ops/cross_entropy.h"
#include "descent/ops/dropout.h"
#include "descent/ops/gelu.h"
#include "descent/ops/hinge.h"
#include "descent/ops/huber.h"
#include "descent/ops/input.h"
#include "descent/ops/kl_divergence.h"
#include "descent/ops/layer_norm.h"
#include "descent/ops/leaky_relu.h"
#include "descent/ops/log_softmax.h"
#include "descent/ops/mish.h"
#include "descent/ops/momentum_update.h"
#include "descent/ops/random_normal.h"
#include "descent/ops/relu.h"
#include "descent/ops/selu.h"
#include "descent/ops/sgd_update.h"
#include "descent/ops/silu.h"
#include "descent/ops/softmax.h"
#include "descent/ops/top_k_correct.h"
#include "descent/reference/interpreter.h"

namespace descent {
namespace {

// A graph with its inputs' values, computed by the reference.
class Sheet {
 public:
  Tensor given(const Shape& shape, std::vector<double> values, DType dtype = DType::f32) {
    const std::string name = "x" + std::to_string(values_.size());
    values_[name] = dense({dtype, shape}, std::move(values));
    return input(*graph, name, values_[name].type);
  }
  Tensor given(std::vector<double> values, DType dtype = DType::f32) {
    const auto size = static_cast<int64_t>(values.size());
    return given({size}, std::move(values), dtype);
  }

  std::vector<double> exact(Tensor x) const { return compute(*graph, x.value(), true); }
  // By core ops alone, each result rounded to its dtype: what a backend would compute.
  std::vector<double> rounded(Tensor x) const {
    const Staged staged = expand_composites({graph, {x.value()}});
    return compute(*staged.graph, staged.results[0], false);
  }

  std::shared_ptr<Graph> graph = std::make_shared<Graph>();

 private:
  std::vector<double> compute(const Graph& from, Value value, bool exact) const {
    return interpret(from, values_, std::span(&value, 1), {.exact = exact})[0].values;
  }
  std::map<std::string, Dense> values_;
};

Tensor gradient(Tensor of, Tensor wrt) { return gradients(sum(of), std::span(&wrt, 1))[0]; }

void expect_near(const std::vector<double>& values, const std::vector<double>& wanted, double tolerance = 1e-12) {
  ASSERT_EQ(values.size(), wanted.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], wanted[i], tolerance) << "at " << i;
}

std::vector<double> numbers(size_t count, double low, double high, uint32_t seed = 1) {
  std::vector<double> out(count);
  for (size_t i = 0; i < count; ++i)
    out[i] = low + (high - low) * uniform_from_word(RandomSource{{seed, 0}, {0, 0}, 0}.word(i));
  return out;
}

// --- random numbers ---

// The vectors published with the generator's authors' library, Random123.
TEST(philox, known_answers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(philox, host_and_graph_draw_the_same_words) {
  const RandomSource source{{0xdeadbeef, 5}, {17, 0x80000001}, 9};
  std::vector<uint32_t> words(30);
  fill_random(words, source);
  Sheet sheet;
  const Tensor key = sheet.given({0xdeadbeef, 5}, DType::u32), counter = sheet.given({17, 0x80000001}, DType::u32);
  const std::vector<double> bits = sheet.exact(random_bits(key, counter, {5, 6}, 9));
  for (size_t i = 0; i < words.size(); ++i) {
    EXPECT_EQ(bits[i], words[i]);
    EXPECT_EQ(source.word(i), words[i]);
  }
}

TEST(philox, uniform_stays_below_1_and_normal_is_finite) {
  EXPECT_EQ(uniform_from_word(0), 0);
  EXPECT_EQ(static_cast<float>(uniform_from_word(0xffffffff)), 1 - 0x1p-24f);
  EXPECT_EQ(uniform_from_word(0x80000000), 0.5);
  EXPECT_NEAR(normal_from_words(0, 0), std::sqrt(2 * 33 * std::log(2.0)), 1e-12);
  EXPECT_NEAR(normal_from_words(0x80000000, 0x80000000), -std::sqrt(2 * std::log(2.0)), 1e-12);
}

TEST(random_normal, has_the_moments_of_a_normal) {
  Sheet sheet;
  const Tensor key = sheet.given({3, 1}, DType::u32), counter = sheet.given({0, 0}, DType::u32);
  const std::vector<double> x = sheet.exact(random_normal(key, counter, {40000}, 2, {.mean = 1, .deviation = 2}));
  double moments[5] = {};
  for (const double value : x)
    for (int power = 1; power <= 4; ++power)
      moments[power] += std::pow((value - 1) / 2, power) / static_cast<double>(x.size());
  EXPECT_NEAR(moments[1], 0, 0.02);
  EXPECT_NEAR(moments[2], 1, 0.03);
  EXPECT_NEAR(moments[3], 0, 0.08);
  EXPECT_NEAR(moments[4], 3, 0.25);
}

// --- activations ---

TEST(activations, have_the_published_values) {
  Sheet sheet;
  const Tensor x = sheet.given({-1, 0, 1});
  expect_near(sheet.exact(gelu(x)), {-0.15865525393145707, 0, 0.8413447460685429});
  expect_near(sheet.exact(gelu(x, true)), {-0.15880800939172324, 0, 0.8411919906082768});
  expect_near(sheet.exact(silu(x)), {-0.2689414213699951, 0, 0.7310585786300049});
  expect_near(sheet.exact(mish(x)), {-0.30340146137410895, 0, 0.8650983882673103});
  expect_near(sheet.exact(softplus(x)), {0.31326168751822286, 0.6931471805599453, 1.3132616875182228});
  expect_near(sheet.exact(elu(x, 2)), {-1.2642411176571153, 0, 1});
}

// What its two constants are for: a standard normal keeps mean 0 and variance 1.
TEST(selu, keeps_mean_and_variance) {
  double mean = 0, square = 0;
  for (int i = -8000; i < 8000; ++i) {
    const double x = (i + 0.5) / 1000, density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi) / 1000;
    mean += Selu::scalar(x) * density;
    square += Selu::scalar(x) * Selu::scalar(x) * density;
  }
  EXPECT_NEAR(mean, 0, 1e-7);
  EXPECT_NEAR(square, 1, 1e-6);
}

TEST(activations, keep_relative_accuracy_in_their_tails) {
  Sheet sheet;
  const Tensor x = sheet.given({-60, -20, -1e-6});
  const auto expect_relative = [&](Tensor y) {
    const std::vector<double> exact = sheet.exact(y), rounded = sheet.rounded(y);
    for (size_t i = 0; i < exact.size(); ++i)
      EXPECT_NEAR(rounded[i] / exact[i], 1, 5e-7) << y.node().op->name << " at " << i;
  };
  for (const Tensor& y : {sigmoid(x), softplus(x), elu(x), silu(x), expm1(x), log1p(sheet.given({1e-8, -1e-5, 1e-3}))})
    expect_relative(y);
}

// Whether computing `result` needs `x` when `y` is at hand.
bool needs(const Graph& graph, Value result, Value x, Value y) {
  std::set<Value> seen{result};
  std::vector<Value> open{result};
  while (!open.empty()) {
    const Value value = open.back();
    open.pop_back();
    if (value == x) return true;
    if (value == y) continue;
    for (const Value input : graph.node(value).inputs)
      if (seen.insert(input).second) open.push_back(input);
  }
  return false;
}

TEST(activations, gradients_read_the_output_alone) {
  Sheet sheet;
  const Tensor x = sheet.given({2, 3}, numbers(6, -1, 1));
  for (const Tensor& y : {relu(x), leaky_relu(x), elu(x), selu(x), sigmoid(x), expm1(x), log_softmax(x)})
    EXPECT_FALSE(needs(*sheet.graph, gradient(y, x).value(), x.value(), y.value())) << y.node().op->name;
  const Tensor y = softplus(x);  // and the test can tell: this one reads the input
  EXPECT_TRUE(needs(*sheet.graph, gradient(y, x).value(), x.value(), y.value()));
}

TEST(relu, has_slope_0_at_0) {
  Sheet sheet;
  const Tensor x = sheet.given({-1, -0.0, 0, 1e-30, 2});
  expect_near(sheet.exact(gradient(relu(x), x)), {0, 0, 0, 1, 1});
}

// --- losses ---

TEST(losses, have_the_values_of_their_formulas) {
  Sheet sheet;
  const Tensor scores = sheet.given({1, 3}, {1, 2, 3}), label = sheet.given({2}, DType::i32);
  expect_near(sheet.exact(cross_entropy(scores, label)), {0.4076059644443804});
  expect_near(sheet.exact(cross_entropy(scores, label, 0.1)), {0.5076059644443804});
  expect_near(sheet.exact(hinge(scores, sheet.given({0}, DType::i32))), {3});
  expect_near(sheet.exact(perceptron_criterion(scores, sheet.given({0}, DType::i32))), {2});
  expect_near(sheet.exact(perceptron_criterion(scores, label)), {0});
  const Tensor zeros = sheet.given({1, 3}, {0, 0, 0}), halves = sheet.given({1, 3}, {0.5, 0.25, 0.25});
  expect_near(sheet.exact(kl_divergence(zeros, halves)), {std::log(3) - 1.5 * std::log(2)});
  expect_near(sheet.exact(soft_cross_entropy(zeros, halves)), {std::log(3)});
  expect_near(sheet.exact(huber(sheet.given({3, 0.5}), sheet.given({0, 0}))), {2.5, 0.125});
  expect_near(sheet.exact(binary_hinge(sheet.given({0.25, 0.25}), sheet.given({1, -1}))), {0.75, 1.25});
  expect_near(sheet.exact(binary_cross_entropy(sheet.given({2, 2}), sheet.given({1, 0}))),
              {std::log1p(std::exp(-2)), 2 + std::log1p(std::exp(-2))});
}

TEST(losses, cross_entropy_is_infinite_for_what_is_no_class) {
  Sheet sheet;
  const Tensor scores = sheet.given({2, 3}, numbers(6, -1, 1)), labels = sheet.given({3, -1}, DType::i32);
  for (const double loss : sheet.rounded(cross_entropy(scores, labels))) EXPECT_EQ(loss, HUGE_VAL);
  for (const double loss : sheet.rounded(cross_entropy(scores, labels, 0.1))) EXPECT_EQ(loss, HUGE_VAL);
}

TEST(losses, an_impossible_class_without_target_costs_nothing) {
  Sheet sheet;
  const Tensor scores = sheet.given({1, 3}, {1, -HUGE_VAL, 1}), targets = sheet.given({1, 3}, {0.75, 0, 0.25});
  expect_near(sheet.rounded(soft_cross_entropy(scores, targets)), {std::log(2)}, 1e-6);
  expect_near(sheet.rounded(gradient(soft_cross_entropy(scores, targets), scores)), {-0.25, 0, 0.25}, 1e-6);
  expect_near(sheet.rounded(gradient(kl_divergence(scores, targets), scores)), {-0.25, 0, 0.25}, 1e-6);
}

TEST(losses, confident_ones_keep_a_gradient) {
  Sheet sheet;
  const Tensor x = sheet.given({-30, 30}), t = sheet.given({0, 1});
  const std::vector<double> slope = sheet.rounded(gradient(binary_cross_entropy(x, t), x));
  EXPECT_NEAR(slope[0] / std::exp(-30), 1, 1e-5);
  EXPECT_NEAR(sheet.rounded(binary_cross_entropy(x, t))[1] / std::exp(-30), 1, 1e-5);
}

struct Work {
  int exps = 0, reductions = 0, off_rows = 0, lookups = 0;
};

// What is left to do for `results`, all composites expanded.
Work work(const std::shared_ptr<Graph>& graph, std::vector<Value> results) {
  const Staged staged = expand_composites({graph, std::move(results)});
  Work out;
  for (const uint32_t id : live_nodes(*staged.graph, staged.results)) {
    const Node& node = staged.graph->node(id);
    out.exps += node.op->name == "exp";
    out.lookups += node.op->op_class == OpClass::index;
    if (node.op->op_class != OpClass::reduce) continue;
    const int last = staged.graph->type(node.inputs[0]).shape.rank() - 1;
    const bool rows = node.attrs.has("axes") ? node.attrs.integers("axes") == std::vector<int64_t>{last}
                                             : node.attrs.integer("axis") == last;
    ++out.reductions;
    out.off_rows += !rows;
  }
  return out;
}

// A loss a row with its gradient: one kernel must be able to do both.
void expect_shared(const std::shared_ptr<Graph>& graph, Tensor losses, Tensor wrt, int exps, int reductions) {
  const Tensor g = input(wrt.graph(), "g", losses.type());
  const Tensor slope = gradients(std::span(&losses, 1), std::span(&g, 1), std::span(&wrt, 1))[0];
  const Work both = work(graph, {losses.value(), slope.value()});
  EXPECT_EQ(both.exps, exps);
  EXPECT_EQ(both.reductions, reductions);
  EXPECT_EQ(both.off_rows, 0);
  EXPECT_EQ(both.lookups, 0);
}

TEST(losses, share_their_work_with_their_gradients) {
  Sheet sheet;
  const Tensor scores = sheet.given({4, 5}, numbers(20, -1, 1)), labels = sheet.given({0, 1, 2, 3}, DType::i32);
  const Tensor targets = sheet.given({4, 5}, numbers(20, 0, 1));
  expect_shared(sheet.graph, cross_entropy(scores, labels), scores, 1, 3);       // largest, total, the label's score
  expect_shared(sheet.graph, cross_entropy(scores, labels, 0.1), scores, 1, 4);  // and the sum of all
  expect_shared(sheet.graph, soft_cross_entropy(scores, targets), scores, 1, 4);
  expect_shared(sheet.graph, binary_cross_entropy(scores, targets), scores, 1, 0);
  expect_shared(sheet.graph, hinge(scores, labels), scores, 0, 3);
}

TEST(losses, cross_entropy_shares_with_softmax) {
  Sheet sheet;
  const Tensor scores = sheet.given({4, 5}, numbers(20, -1, 1)), labels = sheet.given({0, 1, 2, 3}, DType::i32);
  EXPECT_EQ(work(sheet.graph, {cross_entropy(scores, labels).value(), softmax(scores).value()}).exps, 1);
}

// All scores equal is where a perceptron starts.
TEST(losses, perceptron_learns_from_ties) {
  Sheet sheet;
  const Tensor scores = sheet.given({2, 3}, std::vector<double>(6)), labels = sheet.given({0, 2}, DType::i32);
  expect_near(sheet.exact(gradient(perceptron_criterion(scores, labels), scores)), {-1, 1, 0, 1, 0, -1});
  const Tensor zeros = sheet.given({0, 0}), signs = sheet.given({1, -1});
  expect_near(sheet.exact(gradient(binary_hinge(zeros, signs, 0), zeros)), {-1, 1});
}

// --- dropout ---

TEST(dropout, drops_its_rate_and_keeps_the_mean) {
  Sheet sheet;
  const Tensor x = sheet.given(std::vector<double>(40000, 1.0));
  const Tensor key = sheet.given({1, 2}, DType::u32), counter = sheet.given({0, 0}, DType::u32);
  const std::vector<double> y = sheet.exact(dropout(x, key, counter, 0.3, 4));
  const auto dropped = static_cast<double>(std::ranges::count(y, 0.0));
  EXPECT_NEAR(dropped / 40000, 0.3, 5 * std::sqrt(0.3 * 0.7 / 40000));
  for (const double value : y) EXPECT_DOUBLE_EQ(value, value == 0 ? 0 : 1 / 0.7);
}

TEST(dropout, gradient_goes_where_the_value_went) {
  Sheet sheet;
  const Tensor x = sheet.given(numbers(200, 1, 2));
  const Tensor key = sheet.given({1, 2}, DType::u32), counter = sheet.given({7, 0}, DType::u32);
  const Tensor y = dropout(x, key, counter, 0.5, 0);
  const std::vector<double> value = sheet.exact(y), slope = sheet.exact(gradient(y, x));
  for (size_t i = 0; i < value.size(); ++i) EXPECT_EQ(slope[i], value[i] == 0 ? 0 : 2);
  EXPECT_NE(value, sheet.exact(dropout(x, key, counter, 0.5, 1)));
  EXPECT_NE(value, sheet.exact(dropout(x, key, sheet.given({8, 0}, DType::u32), 0.5, 0)));
}

// --- norms ---

TEST(layer_norm, ignores_shift_and_scale_of_its_rows) {
  Sheet sheet;
  const Tensor x = sheet.given({3, 8}, numbers(24, -1, 1)), one = sheet.given(std::vector<double>(8, 1.0)),
               zero = sheet.given(std::vector<double>(8, 0.0));
  const std::vector<double> y = sheet.exact(layer_norm(x, one, zero, 0));
  expect_near(sheet.exact(layer_norm(x * 3 + 5, one, zero, 0)), y);
  for (int row = 0; row < 3; ++row) {
    double total = 0, square = 0;
    for (int i = 0; i < 8; ++i) total += y[row * 8 + i], square += y[row * 8 + i] * y[row * 8 + i];
    EXPECT_NEAR(total, 0, 1e-12);
    EXPECT_NEAR(square, 8, 1e-12);
  }
}

// --- updates ---

TEST(updates, adam_moves_by_the_rate_in_the_first_step) {
  Sheet sheet;
  const Tensor w = sheet.given({0, 0}), g = sheet.given({1e-3, -200}), zeros = sheet.given({0.0, 0.0});
  const Tensor rate = sheet.given({}, {0.01}), step = sheet.given({}, {1});
  expect_near(sheet.exact(adam_update(w, g, zeros, zeros, rate, step, {.epsilon = 0})[0]), {-0.01, 0.01}, 1e-9);
  // In f32 too, where 1 - 0.999 taken literally would be off by 1e-5.
  const std::vector<double> rounded = sheet.rounded(adam_update(w, g, zeros, zeros, rate, step, {.epsilon = 0})[0]);
  for (const double moved : rounded) EXPECT_NEAR(std::abs(moved) / 0.01, 1, 1e-6);
}

TEST(updates, decoupled_decay_is_apart_from_the_gradient) {
  Sheet sheet;
  const Tensor w = sheet.given({2, -1}), zeros = sheet.given({0.0, 0.0});
  const Tensor rate = sheet.given({}, {0.5}), step = sheet.given({}, {1});
  const AdamOptions decoupled{.weight_decay = 0.25, .decoupled = true}, coupled{.epsilon = 0, .weight_decay = 0.25};
  expect_near(sheet.exact(adam_update(w, zeros, zeros, zeros, rate, step, decoupled)[0]), {1.75, -0.875});
  expect_near(sheet.exact(adam_update(w, zeros, zeros, zeros, rate, step, coupled)[0]), {1.5, -0.5}, 1e-9);
}

// The accelerated gradient as it was first written: the gradient is taken ahead of the point, at point + momentum *
// speed. The update's weight is that place ahead.
TEST(updates, nesterov_is_the_accelerated_gradient) {
  constexpr double momentum = 0.75, rate = 0.125;
  const auto slope = [](double x) { return 3 * x - 1; };
  double point = 2, speed = 0, weight = 2, velocity = 0;
  for (int step = 0; step < 8; ++step) {
    speed = momentum * speed - rate * slope(point + momentum * speed);
    point += speed;
    Sheet sheet;
    const Tensor w = sheet.given({weight}), g = sheet.given({slope(weight)}), v = sheet.given({velocity});
    const Tensors next = momentum_update(w, g, v, sheet.given({}, {rate}), {.momentum = momentum, .nesterov = true});
    weight = sheet.exact(next[0])[0];
    velocity = sheet.exact(next[1])[0];
    EXPECT_NEAR(weight, point + momentum * speed, 1e-5);
  }
}

TEST(updates, momentum_0_is_gradient_descent) {
  Sheet sheet;
  const Tensor w = sheet.given({1, 2}), g = sheet.given({4, -8}), v = sheet.given({9, 9}),
               rate = sheet.given({}, {0.25});
  EXPECT_EQ(sheet.exact(momentum_update(w, g, v, rate, {.momentum = 0})[0]), sheet.exact(sgd_update(w, g, rate)));
  expect_near(sheet.exact(sgd_update(w, g, rate, 0.5)), {-0.125, 3.75});
}

// --- metrics ---

TEST(top_k_correct, first_is_argmax) {
  Sheet sheet;
  std::vector<double> values = numbers(400, 0, 4);
  for (double& value : values) value = std::floor(value);  // ties in every row
  const Tensor scores = sheet.given({100, 4}, values), labels = sheet.given({100}, numbers(100, 0, 4, 2), DType::i32);
  const Tensor same = cast(equal(argmax(scores), labels), DType::f32);
  const std::vector<double> correct = sheet.exact(top_k_correct(scores, labels));
  EXPECT_EQ(correct, sheet.exact(same));
  EXPECT_GT(std::ranges::count(correct, 1.0), 5);
  EXPECT_EQ(sheet.exact(top_k_correct(scores, labels, 4)), std::vector<double>(100, 1.0));
}

TEST(top_k_correct, neither_nan_nor_sameness_is_an_answer) {
  Sheet sheet;
  const Tensor scores = sheet.given({3, 3}, {NAN, NAN, NAN, 0, 0, 0, NAN, 1, 2}),
               labels = sheet.given({0, 1, 2}, DType::i32);
  EXPECT_EQ(sheet.rounded(top_k_correct(scores, labels)), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(sheet.rounded(top_k_correct(scores, labels, 2)), (std::vector<double>{0, 1, 1}));
}

// --- errors ---

TEST(composites, say_whose_line_it_was) {
  Sheet sheet;
  const Tensor scores = sheet.given({4, 10}, numbers(40, -1, 1)), labels = sheet.given({1, 2, 3}, DType::i32);
  const int line = __LINE__ + 2;
  try {
    cross_entropy(scores, labels);
    FAIL() << "accepted";
  } catch (const Error& error) {
    const std::string wanted =
        text("composites.cpp:", line, ": cross_entropy: scores f32[4,10] take labels i32[4], got i32[3]");
    EXPECT_NE(std::string(error.what()).find(wanted), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace descent
