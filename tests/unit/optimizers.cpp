#include "descent/optim/optimizer.h"

#include <cmath>
#include <functional>

#include "descent/nn/linear.h"
#include "descent/nn/losses.h"
#include "descent/nn/sequential.h"
#include "descent/ops/add.h"
#include "descent/ops/mul.h"
#include "descent/ops/sum.h"
#include "descent/optim/average.h"
#include "descent/optim/lookahead.h"
#include "descent/optim/minimize.h"
#include "tests/unit/step_reference.h"

namespace descent::optim {
namespace {

using nn::FunctionOptions, nn::Parameter, nn::ParameterPtr, nn::Pass;

// A net of one parameter w[3] with the loss sum(c w^2 / 2) + sum(argument * w), so the gradient is c w + argument.
struct Bowl {
  ParameterPtr w = std::make_shared<Parameter>("w", matrix({1, -2, 0.5f}, {3}));
  double curvature = 0.5;

  Tensor loss(Pass& pass, Tensor slope) {
    const Tensor x = pass.parameter(w);
    return sum(x * x * (curvature / 2) + slope * x);
  }
};

// One element's optimiser in double: (w, g, step) -> w, with its moments inside.
using Element = std::function<double(double w, double g, double step)>;

// Five steps of the optimiser on the bowl, against one Element each for the three weights.
void expect_follows(Optimizer optimizer, const std::function<Element()>& make, bool decays = true, double rate = 1) {
  Bowl bowl;
  bowl.w->decays = decays;
  bowl.w->rate = rate;
  const nn::Function step = nn::compile([&](Pass& pass, Tensor slope) {
    const Tensor loss = bowl.loss(pass, slope);
    minimize(pass, loss, optimizer);
    return loss;
  });
  std::vector<Element> elements{make(), make(), make()};
  std::vector<double> w = bowl.w->array().to_doubles();
  const Array slopes[] = {matrix({0.1f, 3, -1}, {3}), matrix({0, 0, 0}, {3}), matrix({1, -1, 1}, {3})};
  for (int t = 0; t < 5; ++t) {
    const Array& slope = slopes[t % 3];
    for (size_t i = 0; i < 3; ++i)
      w[i] = elements[i](w[i], bowl.curvature * w[i] + slope.at(static_cast<int64_t>(i)), t + 1);
    reference_step(step, {slope});
    expect_near(bowl.w->array(), w, 1e-5);
  }
  EXPECT_EQ(optimizer.steps(), 5);
}

TEST(Optimizers, Sgd) {
  expect_follows(SGD{.learning_rate = 0.1, .weight_decay = 0.2},
                 [] { return [](double w, double g, double) { return w - 0.1 * (g + 0.2 * w); }; });
}

TEST(Optimizers, SgdWithMomentumAndNesterov) {
  for (const bool nesterov : {false, true})
    expect_follows(SGD{.learning_rate = 0.1, .momentum = 0.9, .nesterov = nesterov}, [=] {
      return [=, v = 0.0](double w, double g, double) mutable {
        v = 0.9 * v + g;
        return w - 0.1 * (nesterov ? g + 0.9 * v : v);
      };
    });
}

// Decoupled: a gradient of 1 moves a weight by the rate in the end, and a rate of its own does not change what decays.
TEST(Optimizers, SgdDecoupled) {
  for (const double factor : {1.0, 8.0})
    expect_follows(
        SGD{.learning_rate = 0.2, .momentum = 0.75, .nesterov = true, .weight_decay = 0.1, .decoupled = true},
        [=] {
          return [=, v = 0.0](double w, double g, double) mutable {
            const double d = g + 0.1 / 0.2 / factor * w;
            v = 0.75 * v + d;
            return w - factor * 0.2 * 0.25 * (d + 0.75 * v);
          };
        },
        true, factor);
  double moved = 0, velocity = 0;
  for (int t = 0; t < 200; ++t) {  // the rule above, after one gradient of 1 and many of 0
    const double d = t == 0 ? 1 : 0;
    velocity = 0.75 * velocity + d;
    moved += 0.2 * 0.25 * (d + 0.75 * velocity);
  }
  EXPECT_NEAR(moved, 0.2, 1e-12);
}

TEST(Optimizers, SgdDecaysAllIfAsked) {
  for (const bool all : {false, true})
    expect_follows(
        SGD{.learning_rate = 0.1, .weight_decay = 0.2, .decay_all = all},
        [=] { return [=](double w, double g, double) { return w - 0.1 * (g + (all ? 0.2 : 0) * w); }; }, false);
}

Element adam(double rate, double beta1, double beta2, double epsilon, double coupled, double decoupled) {
  return [=, m = 0.0, v = 0.0](double w, double g, double t) mutable {
    g += coupled * w;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const double mean = m / (1 - std::pow(beta1, t)), square = v / (1 - std::pow(beta2, t));
    return w - rate * decoupled * w - rate * mean / (std::sqrt(square) + epsilon);
  };
}

TEST(Optimizers, Adam) {
  expect_follows(Adam{.learning_rate = 0.1}, [] { return adam(0.1, 0.9, 0.999, 1e-8, 0, 0); });
  expect_follows(Adam{.learning_rate = 0.1, .beta1 = 0.5, .beta2 = 0.9, .epsilon = 0.1, .weight_decay = 0.3},
                 [] { return adam(0.1, 0.5, 0.9, 0.1, 0.3, 0); });
}

TEST(Optimizers, AdamW) {
  expect_follows(AdamW{.learning_rate = 0.1, .weight_decay = 0.3}, [] { return adam(0.1, 0.9, 0.999, 1e-8, 0, 0.3); });
}

TEST(Optimizers, RmsProp) {
  expect_follows(RMSProp{.learning_rate = 0.1, .decay = 0.9, .epsilon = 1e-3, .weight_decay = 0.1}, [] {
    return [s = 0.0](double w, double g, double) mutable {
      g += 0.1 * w;
      s = 0.9 * s + 0.1 * g * g;
      return w - 0.1 * g / (std::sqrt(s) + 1e-3);
    };
  });
}

TEST(Optimizers, Adagrad) {
  expect_follows(Adagrad{.learning_rate = 0.1}, [] {
    return [s = 0.0](double w, double g, double) mutable {
      s += g * g;
      return w - 0.1 * g / (std::sqrt(s) + 1e-10);
    };
  });
}

TEST(Optimizers, DecayOnlyWhatDecays) {
  expect_follows(
      AdamW{.learning_rate = 0.1, .weight_decay = 0.3}, [] { return adam(0.1, 0.9, 0.999, 1e-8, 0, 0); }, false);
  expect_follows(
      SGD{.learning_rate = 0.1, .weight_decay = 0.3},
      [] { return [](double w, double g, double) { return w - 0.1 * g; }; }, false);
}

Strings names(const std::vector<nn::StatePtr>& states) {
  Strings out;
  for (const nn::StatePtr& state : states) out.push_back(state->name());
  return out;
}

TEST(Optimizers, KeepNamedStates) {
  nn::Sequential net{{"hidden", nn::Linear{2}}};
  Optimizer optimizer = SGD{.momentum = 0.9};
  EXPECT_EQ(names(optimizer.states()), (Strings{"optimizer.learning_rate", "optimizer.step"}));
  const nn::Function step = nn::compile([&](Pass& pass, Tensor x) {
    const Tensor loss = sum(net(x, pass));
    minimize(pass, loss, optimizer);
    return loss;
  });
  reference_step(step, {matrix({1, 1, 1}, {1, 3})});
  reference_step(step, {matrix({1, 1, 1, 1, 1, 1}, {2, 3})});  // traced for another shape: the same states
  EXPECT_EQ(names(optimizer.states()),
            (Strings{"optimizer.learning_rate", "optimizer.step", "hidden.weight.momentum", "hidden.bias.momentum"}));
  EXPECT_EQ(optimizer.steps(), 2);
  expect_near(optimizer.states()[3]->array(), {0.9 * 1 + 2, 0.9 * 1 + 2});
  const Optimizer plain = SGD{};
  EXPECT_EQ(plain.states().size(), 2u);
}

TEST(Optimizers, TheLearningRateIsAState) {
  Bowl bowl;
  Optimizer optimizer = SGD{.learning_rate = 0.5};
  const nn::Function step = nn::compile([&](Pass& pass, Tensor slope) {
    const Tensor loss = bowl.loss(pass, slope);
    minimize(pass, loss, optimizer);
    return loss;
  });
  const Array none = matrix({0, 0, 0}, {3});
  reference_step(step, {none});
  expect_near(bowl.w->array(), {0.75, -1.5, 0.375});
  optimizer.set_learning_rate(0);
  reference_step(step, {none});
  expect_near(bowl.w->array(), {0.75, -1.5, 0.375}, 0);
  EXPECT_EQ(optimizer.learning_rate(), 0);
  EXPECT_EQ(optimizer.base_learning_rate(), 0.5);
  EXPECT_TRUE(contains(error_of([] { Optimizer(SGD{.learning_rate = -1}); }),
                       "SGD: the learning rate must be at least 0, got -1"));
}

TEST(Optimizers, TwoInOneStepNeedTwoNames) {
  Bowl a, b;
  b.w = std::make_shared<Parameter>("v", matrix({1, 1, 1}, {3}));
  const auto traced = [&](std::string second) {
    Optimizer one = SGD{}, two(SGD{}, second);
    const nn::Function step = nn::compile([&](Pass& pass, Tensor x) {
      const Tensor first = a.loss(pass, x), other = b.loss(pass, x);
      minimize(pass, first, one, {.parameters = {a.w}});
      minimize(pass, other, two, {.parameters = {b.w}});
      return first;
    });
    return error_of([&] { reference_step(step, {matrix({0, 0, 0}, {3})}); });
  };
  EXPECT_EQ(traced("critic"), "no error");
  EXPECT_TRUE(contains(traced("optimizer"), "two different states are called 'optimizer.step'"));
}

TEST(Optimizers, ByName) {
  EXPECT_EQ(make_optimizer("adamw", {{"learning_rate", 0.5}}).learning_rate(), 0.5);
  EXPECT_EQ(make_optimizer("sgd", {{"momentum", 1}}).name(), "SGD");
  for (const nn::Kind<Optimizer>& kind : optimizer_kinds()) EXPECT_GT(make_optimizer(kind.name).learning_rate(), 0);
  EXPECT_EQ(error_of([] { make_optimizer("adamm"); }), "there is no optimiser 'adamm'; did you mean 'adam'?");
  EXPECT_EQ(error_of([] {
              make_optimizer("adam", {{"learningrate", 1}});
            }),
            "optimiser 'adam' has no setting 'learningrate'; did you mean 'learning_rate'?");
  expect_follows(make_optimizer("adam", {{"learning_rate", 0.1}, {"beta1", 0.5}, {"beta2", 0.9}, {"epsilon", 0.1}}),
                 [] { return adam(0.1, 0.5, 0.9, 0.1, 0, 0); });
  expect_follows(make_optimizer("adamw", {{"learning_rate", 0.1}, {"weight_decay", 0.3}}),
                 [] { return adam(0.1, 0.9, 0.999, 1e-8, 0, 0.3); });
}

// The step that SGD with rate 1 makes is the gradient after clipping and penalties.
std::vector<double> gradient_with(const MinimizeOptions& options, bool decays = true) {
  Bowl bowl;
  bowl.w->decays = decays;
  Optimizer optimizer = SGD{.learning_rate = 1};
  const nn::Function step = nn::compile([&](Pass& pass, Tensor slope) {
    const Tensor loss = bowl.loss(pass, slope);
    minimize(pass, loss, optimizer, options);
    return loss;
  });
  const std::vector<double> before = bowl.w->array().to_doubles();
  reference_step(step, {matrix({2.5f, 1, -4.25f}, {3})});  // the gradient is 3, 0, -4
  std::vector<double> out = bowl.w->array().to_doubles();
  for (size_t i = 0; i < 3; ++i) out[i] = before[i] - out[i];
  return out;
}

void expect_all_near(const std::vector<double>& actual, const std::vector<double>& expected) {
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-6) << i;
}

TEST(Minimize, Clips) {
  expect_all_near(gradient_with({}), {3, 0, -4});
  expect_all_near(gradient_with({.clip = {.value = 3.5}}), {3, 0, -3.5});
  expect_all_near(gradient_with({.clip = {.norm = 2.5}}), {1.5, 0, -2});
  expect_all_near(gradient_with({.clip = {.norm = 5.5}}), {3, 0, -4});
  expect_all_near(gradient_with({.clip = {.value = 3, .norm = std::sqrt(2)}}), {1, 0, -1});
  EXPECT_TRUE(contains(error_of([] { gradient_with({.clip = {.norm = -1}}); }),
                       "minimize: clipping by norm must be at least 0, got -1"));
}

TEST(Minimize, AddsPenalties) {
  expect_all_near(gradient_with({.regularization = {.l2 = 0.1}}), {3.1, -0.2, -3.95});
  expect_all_near(gradient_with({.regularization = {.l1 = 0.1}}), {3.1, -0.1, -3.9});
  expect_all_near(gradient_with({.regularization = {.l1 = 0.1, .l2 = 0.1}}, false), {3, 0, -4});
}

TEST(Minimize, ReportsNormsAndRatiosIfAsked) {
  Bowl bowl;
  Optimizer optimizer = SGD{.learning_rate = 0.5};
  const nn::Function step = nn::compile([&](Pass& pass, Tensor slope) {
    const Tensor loss = bowl.loss(pass, slope);
    const Minimized done =
        minimize(pass, loss, optimizer, {.clip = {.norm = 2.5}, .gradient_norm = true, .per_parameter = true});
    EXPECT_EQ(done.parameters.size(), 1u);
    EXPECT_EQ(done.parameters[0].parameter, bowl.w);
    return done.gradient_norm * 10000 + done.parameters[0].gradient_norm * 100 + done.parameters[0].update_ratio;
  });
  const double ratio = 0.5 * 2.5 / std::sqrt(1 + 4 + 0.25);
  EXPECT_NEAR(reference_step(step, {matrix({2.5f, 1, -4.25f}, {3})})[0].item(), 50000 + 500 + ratio, 5e-3);
  const nn::Function unasked = nn::compile([&](Pass& pass, Tensor slope) {
    const Tensor loss = bowl.loss(pass, slope);
    const Minimized done = minimize(pass, loss, optimizer);
    EXPECT_FALSE(done.gradient_norm);
    EXPECT_TRUE(done.parameters.empty());
    return loss;
  });
  reference_step(unasked, {matrix({0, 0, 0}, {3})});
}

TEST(Minimize, LeavesFrozenParametersAlone) {
  Bowl bowl;
  const auto frozen = std::make_shared<Parameter>("frozen", matrix({1, 1, 1}, {3}));
  frozen->trainable = false;
  Optimizer optimizer = SGD{.learning_rate = 1};
  const nn::Function step = nn::compile([&](Pass& pass, Tensor slope) {
    const Tensor loss = bowl.loss(pass, slope * pass.parameter(frozen));
    minimize(pass, loss, optimizer);
    return loss;
  });
  reference_step(step, {matrix({1, 1, 1}, {3})});
  expect_near(frozen->array(), {1, 1, 1}, 0);
  expect_near(bowl.w->array(), {-0.5, -2, -0.75});
}

TEST(Minimize, SaysWhatIsMissing) {
  Optimizer optimizer = SGD{};
  const auto traced = [&](auto body) {
    return error_of([&] { reference_step(nn::compile(body), {matrix({1, 2}, {2})}); });
  };
  EXPECT_TRUE(contains(traced([&](Pass& pass, Tensor x) { return minimize(pass, sum(x), optimizer), x; }),
                       "minimize: this step has no trainable parameter"));
  Bowl bowl;
  EXPECT_TRUE(
      contains(traced([&](Pass& pass, Tensor x) { return minimize(pass, pass.parameter(bowl.w), optimizer), x; }),
               "a loss is one number, this one is f32[3]"));
}

TEST(Average, FollowsTheWeights) {
  Bowl bowl;
  Optimizer optimizer = SGD{.learning_rate = 0.1};
  ExponentialMovingAverage average(0.3);
  const nn::Function step = nn::compile([&](Pass& pass, Tensor slope) {
    const Tensor loss = bowl.loss(pass, slope);
    minimize(pass, loss, optimizer);
    average.update(pass);
    return loss;
  });
  std::vector<double> expected = bowl.w->array().to_doubles();
  for (int t = 0; t < 6; ++t) {
    reference_step(step, {matrix({1, 2, 3}, {3})});
    const double decay = std::min(0.3, (1.0 + t) / (10 + t));
    for (size_t i = 0; i < 3; ++i)
      expected[i] = decay * expected[i] + (1 - decay) * bowl.w->array().at(static_cast<int64_t>(i));
  }
  EXPECT_EQ(names(average.states()), (Strings{"average.step", "w.average"}));
  expect_near(average.states()[1]->array(), expected, 1e-6);

  const std::vector<double> weights = bowl.w->array().to_doubles();
  const uint64_t version = bowl.w->version();
  {
    const ExponentialMovingAverage::Swapped averaged(average);
    expect_near(bowl.w->array(), expected, 1e-6);
    EXPECT_GT(bowl.w->version(), version);  // compiled steps must notice
  }
  expect_near(bowl.w->array(), weights, 0);
  expect_near(average.states()[1]->array(), expected, 1e-6);
  EXPECT_TRUE(contains(error_of([] { ExponentialMovingAverage(1.0); }), "must be at least 0 and below 1, got 1"));
}

TEST(Lookahead, ReturnsTowardsSlowWeights) {
  const auto w = std::make_shared<nn::State>("w", matrix({1, 2}, {2}));
  const auto count = std::make_shared<nn::State>("count", Array(DType::i32, {}));
  Lookahead lookahead({.every = 2, .keep = 0.8, .power = 2});
  lookahead.follow({w, count});
  lookahead.follow({w, count});  // once
  EXPECT_EQ(names(lookahead.states()), (Strings{"w.slow"}));
  w->assign(matrix({3, 6}, {2}));
  lookahead.after_step(1, 5);
  expect_near(w->array(), {3, 6}, 0);
  const uint64_t version = w->version();
  lookahead.after_step(2, 5);
  const double keep = 0.8 * 0.4 * 0.4;
  const std::vector<double> slow{keep * 1 + (1 - keep) * 3, keep * 2 + (1 - keep) * 6};
  expect_near(w->array(), slow);
  expect_near(lookahead.states()[0]->array(), slow);
  EXPECT_GT(w->version(), version);  // compiled steps must notice
  w->assign(matrix({0, 0}, {2}));
  lookahead.after_step(5, 5);  // the end
  expect_near(w->array(), slow);
  EXPECT_TRUE(contains(error_of([] { Lookahead({.every = 0}); }), "at least 1 step between returns, got 0"));
  EXPECT_TRUE(contains(error_of([] { Lookahead({.keep = 1.5}); }), "must be from 0 to 1, got 1.5"));
}

// The compiled step does what the reference does, for a whole net and every optimiser.
TEST(Compiled, StepsEqualTheReference) {
  for (const nn::Kind<Optimizer>& kind : optimizer_kinds()) {
    SCOPED_TRACE(kind.name);
    const auto run = [&](bool compiled) {
      nn::Sequential net{nn::Linear{5}, nn::Linear{2}};
      Optimizer optimizer = make_optimizer(kind.name, {{"learning_rate", 0.05}, {"weight_decay", 0.1}});
      ExponentialMovingAverage average(0.9);
      nn::Function step = nn::compile(
          [&](Pass& pass, Tensor x, Tensor y) {
            const Tensor loss = nn::mean_squared_error(net(x, pass), y);
            minimize(pass, loss, optimizer, {.regularization = {.l1 = 0.01}, .clip = {.norm = 1}});
            average.update(pass);
            return loss;
          },
          {.training = true, .precision = nn::Precision::f32});
      const std::vector<Array> batch{matrix({1, 2, 3, 4, 5, 6}, {2, 3}), matrix({1, 0, 0, 1}, {2, 2})};
      std::vector<double> out;
      for (int t = 0; t < 4; ++t) out.push_back((compiled ? step(batch)[0] : reference_step(step, batch)[0]).item());
      for (const nn::StatePtr& state : all_states(net))
        for (const double value : state->array().to_doubles()) out.push_back(value);
      for (const nn::StatePtr& state : average.states())
        for (const double value : state->array().to_doubles()) out.push_back(value);
      out.push_back(static_cast<double>(optimizer.steps()));
      return out;
    };
    const std::vector<double> actual = run(true), expected = run(false);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(actual[i], expected[i], 2e-5 * std::max(1.0, std::abs(expected[i]))) << i;
  }
}

}  // namespace
}  // namespace descent::optim
