// The loop: what it computes, what it reports, when it stops, what it says of bad input.
#include <nlohmann/json.hpp>

#include "../unit/step_reference.h"
#include "descent/io/net.h"
#include "descent/nn/pooling.h"
#include "descent/nn/whitening.h"
#include "training.h"

namespace descent::train {
namespace {

using Figure = std::optional<double>;

FitOptions quiet(FitOptions options) {
  options.progress = nullptr;
  options.precision = nn::Precision::f32;
  return options;
}

// --- the curve ---

std::vector<double> losses(const Report& report) {
  std::vector<double> out;
  for (const EpochFigures& epoch : report.history) out.push_back(figure(epoch.train, "loss").value());
  return out;
}

// The same training, written out by hand and run by the ops' meanings in double.
std::vector<double> reference_losses(const data::Dataset& data, int64_t epochs, int64_t batch_size, uint64_t seed) {
  nn::Sequential net = small_net(2, 0.25);
  optim::Optimizer adam = optim::AdamW{.learning_rate = 0.02};
  nn::RandomStates random(seed);
  nn::Function step(
      [&](nn::Pass& pass, std::span<const Tensor> in) -> Tensors {
        const Tensor loss = nn::cross_entropy(net(in[0], pass), in[1]);
        optim::minimize(pass, loss, adam, {.clip = {.norm = 0.5}});
        return {loss};
      },
      {.training = true, .precision = nn::Precision::f32, .seed = seed, .random = &random});
  data::Batches batches(data, {.batch_size = batch_size, .seed = seed});
  const optim::Schedule schedule = optim::schedule::cosine(epochs * batches.batches_per_epoch());
  std::vector<double> out;
  int64_t done = 0;
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    double sum = 0;
    batches.start(static_cast<uint64_t>(epoch));
    while (const data::Batch* batch = batches.next()) {
      adam.set_learning_rate(0.02 * schedule(done++));
      const auto rows = static_cast<double>(batch->inputs.shape()[0]);
      sum += rows * reference_step(step, {batch->inputs, batch->targets})[0].item();
    }
    out.push_back(sum / static_cast<double>(data.size()));
  }
  return out;
}

TEST(Fit, LossesAreTheReferences) {
  const data::Dataset data = circle(100);
  nn::Sequential net = small_net(2, 0.25);
  Trainer trainer(net, nn::cross_entropy, optim::AdamW{.learning_rate = 0.02});
  const Report report = trainer.fit(
      data, quiet({.epochs = 6,
                   .batch_size = 32,  // the last of each epoch has 4 rows
                   .seed = 5,
                   .schedule = [](const optim::RunLength& run) { return optim::schedule::cosine(run.total_steps); },
                   .clip = {.norm = 0.5}}));
  const std::vector<double> expected = reference_losses(data, 6, 32, 5);
  // What that gave once: a change here is a change of initial values, order, masks or rules, and must be meant.
  const std::vector<double> stored{0.778512149, 0.624692624, 0.570324352, 0.571924225, 0.597213676, 0.540435581};
  ASSERT_EQ(losses(report).size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(losses(report)[i], expected[i], 2e-6) << "epoch " << i + 1;
    EXPECT_NEAR(expected[i], stored[i], 1e-6) << "epoch " << i + 1;
  }
  EXPECT_EQ(report.steps, 24);
  EXPECT_LT(expected.back(), 0.8 * expected.front());
}

// A measured step is the same step.
TEST(Fit, RecordingChangesNothingThatMatters) {
  const auto train = [](int64_t record_every) {
    nn::Sequential net = small_net();
    Trainer trainer(net, nn::cross_entropy, optim::Adam{.learning_rate = 0.02});
    return losses(trainer.fit(circle(64), quiet({.epochs = 4, .batch_size = 16, .record_every = record_every})));
  };
  const std::vector<double> plain = train(0), measured = train(1);
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(plain[i], measured[i], 1e-5);
}

TEST(Fit, BytesAreNormalisedInTheNet) {
  const data::Dataset data = sides(200);
  const data::Normalizer normalizer = data::Normalizer::fit(data.inputs);
  nn::Sequential net{nn::Normalize{normalizer.scale, normalizer.shift}, nn::Flatten{}, nn::Linear{2}};
  Trainer trainer(net, nn::cross_entropy, optim::Adam{.learning_rate = 0.01});
  trainer.fit(data, quiet({.epochs = 5, .batch_size = 20}));
  EXPECT_EQ(figure(trainer.evaluate(data).figures, "accuracy"), Figure(1.0));
}

TEST(Fit, NumbersAreLearnt) {
  nn::Sequential net{nn::Linear{1}};
  Trainer trainer(net, nn::mean_squared_error, optim::SGD{.learning_rate = 0.2});
  const Report report = trainer.fit(plane(128), quiet({.epochs = 60, .batch_size = 32, .validation = plane(50, 2)}));
  EXPECT_GT(figure(report.validation, "r2").value(), 0.9999);
  EXPECT_LT(figure(report.validation, "rmse").value(), 0.01);
  EXPECT_NEAR(nn::all_parameters(net)[0]->array().at(0), 3, 0.01);
  EXPECT_EQ(report.outcome, Outcome::finished);
}

TEST(Fit, ErrorsOfNumbersComeInTheirUnit) {
  nn::Sequential net{nn::Linear{1}};
  Trainer trainer(net, nn::mean_squared_error, optim::SGD{.learning_rate = 0});
  const data::Dataset data = plane(32);
  const double plain = figure(trainer.fit(data, quiet({.epochs = 1, .validation = data})).validation, "rmse").value();
  const double scaled =
      figure(trainer.fit(data, quiet({.epochs = 1, .validation = data, .unit = 10})).validation, "rmse").value();
  EXPECT_NEAR(scaled, 10 * plain, 1e-6);
}

// --- the best, and when to stop ---

// The learning rate grows until the net is spoilt, so that an epoch in the middle is the best.
FitOptions spoilt(const data::Dataset& validation) {
  FitOptions options = quiet({.epochs = 30, .batch_size = 16, .validation = validation});
  options.monitor = "loss";
  options.schedule = hooked([](int64_t) {}, [](int64_t step) { return step < 64 ? 1.0 : 400.0; });
  return options;
}

TEST(Fit, TheBestWeightsAreKept) {
  const data::Dataset data = circle(128), validation = circle(100, 2);
  nn::Sequential net = small_net();
  Trainer trainer(net, nn::cross_entropy, optim::SGD{.learning_rate = 0.5});
  const Report report = trainer.fit(data, spoilt(validation));
  double least = HUGE_VAL;
  int64_t epoch = 0;
  for (const EpochFigures& each : report.history)
    if (const double loss = figure(each.validation, "loss").value(); loss < least) {
      least = loss;
      epoch = each.epoch;
    }
  EXPECT_EQ(report.best_epoch, epoch);
  EXPECT_LT(epoch, 30);
  EXPECT_DOUBLE_EQ(figure(report.validation, "loss").value(), least);
  EvaluateOptions options{.precision = nn::Precision::f32};
  EXPECT_DOUBLE_EQ(figure(trainer.evaluate(validation, options).figures, "loss").value(), least);
}

TEST(Fit, PatienceEndsTheRun) {
  const data::Dataset validation = circle(100, 2);
  nn::Sequential net = small_net();
  Trainer trainer(net, nn::cross_entropy, optim::SGD{.learning_rate = 0.5});
  FitOptions options = spoilt(validation);
  options.patience = 4;
  const Report report = trainer.fit(circle(128), options);
  EXPECT_EQ(report.outcome, Outcome::stopped_early);
  EXPECT_EQ(report.epochs, report.best_epoch + 4);
}

TEST(Fit, AveragesAreJudgedAndKept) {
  const data::Dataset data = circle(64);
  nn::Sequential net = small_net();
  Trainer trainer(net, nn::cross_entropy, optim::SGD{.learning_rate = 0.5});
  const Report report =
      trainer.fit(data, quiet({.epochs = 3, .batch_size = 16, .validation = data, .average = 0.9, .keep_best = false}));
  EvaluateOptions options{.precision = nn::Precision::f32};
  EXPECT_DOUBLE_EQ(figure(trainer.evaluate(data, options).figures, "loss").value(),
                   figure(report.validation, "loss").value());
  nn::Sequential plain = small_net();
  Trainer other(plain, nn::cross_entropy, optim::SGD{.learning_rate = 0.5});
  const Report without =
      other.fit(data, quiet({.epochs = 3, .batch_size = 16, .validation = data, .keep_best = false}));
  EXPECT_NE(report.weights_sha256, without.weights_sha256);
}

// Slow weights that keep all of themselves never move, and the run ends with them.
TEST(Fit, LooksAhead) {
  nn::Sequential net = small_net(), untrained = small_net();
  Trainer trainer(net, nn::cross_entropy, optim::AdamW{.learning_rate = 0.1});
  FitOptions options{.epochs = 3, .batch_size = 32, .seed = 4, .progress = nullptr};
  options.lookahead = {.every = 2, .keep = 1};
  trainer.fit(circle(96), options);
  nn::make_parameters(untrained, {DType::f32, {1, 2}}, 4);
  const auto weights = [](const nn::Sequential& of) { return io::weights_sha256(weights_of(of)); };
  EXPECT_EQ(weights(net), weights(untrained));
  options.lookahead->keep = 0.5;
  trainer.fit(circle(96), options);
  EXPECT_NE(weights(net), weights(untrained));
}

TEST(Fit, LayersSeeExamplesAndSomeParametersAreTrainedInTheFirstEpochsOnly) {
  const data::Dataset data = sides(64);
  const data::Normalizer pixels = data::Normalizer::fit(data.inputs);
  const auto first = std::make_shared<nn::WhitenPatches>(nn::WhitenOptions{.bias_epochs = 2});
  nn::Sequential net{nn::Normalize{pixels.scale, pixels.shift}, nn::Layer(nn::ModulePtr(first)), nn::ReLU{},
                     nn::GlobalAveragePool{}, nn::Linear{2}};
  std::vector<std::vector<double>> biases;  // before each epoch but the first
  const auto look = [&](int64_t step) {
    EXPECT_FALSE(first->wants_examples());
    if (step > 0 && step % 4 == 0) biases.push_back(first->parameters()[0]->array().to_doubles());
  };
  Trainer trainer(net, nn::cross_entropy, optim::SGD{.learning_rate = 0.1, .momentum = 0.9});
  trainer.fit(data, {.epochs = 4, .batch_size = 16, .schedule = hooked(look), .progress = nullptr});
  biases.push_back(first->parameters()[0]->array().to_doubles());
  ASSERT_EQ(biases.size(), 4u);
  EXPECT_NE(biases[0], biases[1]);
  EXPECT_EQ(biases[1], biases[2]);
  EXPECT_EQ(biases[1], biases[3]);
}

// --- numbers end ---

TEST(Fit, DivergenceIsTracedToItsStepAndLayer) {
  nn::Sequential net{{"hidden", nn::Linear{8}}, nn::ReLU{}, {"scores", nn::Linear{1}}};
  Trainer trainer(net, nn::mean_squared_error, optim::SGD{.learning_rate = 1});
  FitOptions options = quiet({.epochs = 20, .batch_size = 16});
  options.schedule = hooked([](int64_t) {}, [](int64_t step) { return step < 37 ? 0.01 : 1e30; });
  const std::string error = error_of([&] { trainer.fit(plane(64), options); });
  EXPECT_TRUE(contains(error, "step 39 (epoch 10): the loss is not a finite number; it began in ")) << error;
  EXPECT_TRUE(contains(error, "the learning rate was 1e+30")) << error;
  EXPECT_TRUE(contains(error, "try a tenth of it")) << error;
  // The net is left as it was before that step.
  EXPECT_TRUE(contains(error, "hidden") || contains(error, "scores")) << error;
}

TEST(Fit, AnInfiniteInputIsFoundWithItsRow) {
  data::Dataset data = plane(8);
  data.inputs.set(2 * 5 + 1, HUGE_VAL);
  nn::Sequential net{nn::Linear{1}};
  Trainer trainer(net, nn::mean_squared_error, optim::SGD{.learning_rate = 0.01});
  const std::string error = error_of([&] { trainer.fit(data, quiet({.epochs = 2, .batch_size = 8})); });
  EXPECT_TRUE(contains(error, "step 1 (epoch 1): the loss is not a finite number; it began in the inputs, row "))
      << error;
  for (const nn::ParameterPtr& parameter : nn::all_parameters(net))
    for (const float value : parameter->array().as<float>()) EXPECT_TRUE(std::isfinite(value));
}

TEST(Fit, ANetWhoseOutputOverflowsIsNamed) {
  data::Dataset data = plane(8);
  data.inputs.set(0, 3e38);
  nn::Sequential net{{"first", nn::Linear{4, {.init = nn::init::ones()}}}, {"second", nn::Linear{1}}};
  Trainer trainer(net, nn::mean_squared_error, optim::SGD{.learning_rate = 0.01});
  data.inputs.set(1, 3e38);
  const std::string error = error_of([&] { trainer.fit(data, quiet({.epochs = 1, .batch_size = 8})); });
  EXPECT_TRUE(contains(error, "it began in the output of first (Linear 4) (infinity)")) << error;
}

// --- health ---

TEST(Fit, DeadUnitsAreToldOnce) {
  data::Dataset data = circle(64);
  for (float& value : data.inputs.as<float>()) value = std::abs(value) + 1;
  // Weights that are all negative on positive inputs: no unit ever fires.
  nn::Sequential net{{"hidden", nn::Linear{8, {.init = nn::init::constant(-1)}}}, {"relu", nn::ReLU{}}, nn::Linear{2}};
  Trainer trainer(net, nn::cross_entropy, optim::SGD{.learning_rate = 0.01});
  const Report report = trainer.fit(data, quiet({.epochs = 10, .batch_size = 16, .record_every = 2}));
  const auto told = std::ranges::count_if(report.warnings, [](const std::string& text) {
    return text.find("units of relu are dead") != std::string::npos;
  });
  EXPECT_EQ(told, 1) << report.warnings.size();
}

TEST(Fit, VanishingGradientsAreTold) {
  std::vector<nn::Layer> layers;
  for (int i = 0; i < 14; ++i) {
    layers.emplace_back(nn::Linear{8, {.init = nn::init::normal(0, 0.1)}});
    layers.emplace_back(nn::Sigmoid{});
  }
  layers.emplace_back(nn::Linear{2});
  nn::Sequential net(std::move(layers));
  Trainer trainer(net, nn::cross_entropy, optim::SGD{.learning_rate = 0.01});
  const Report report = trainer.fit(circle(64), quiet({.epochs = 4, .batch_size = 16, .record_every = 2}));
  ASSERT_FALSE(report.warnings.empty());
  EXPECT_TRUE(contains(report.warnings[0], "the gradient of 0.weight has vanished")) << report.warnings[0];
}

TEST(Fit, AHealthyRunHasNoWarnings) {
  nn::Sequential net = small_net();
  Trainer trainer(net, nn::cross_entropy, optim::Adam{.learning_rate = 0.01});
  EXPECT_TRUE(trainer.fit(circle(256), quiet({.epochs = 10, .batch_size = 32, .record_every = 5})).warnings.empty());
}

// --- bad input ---

TEST(Fit, SaysWhatDoesNotFit) {
  nn::Sequential net = small_net();
  Trainer trainer(net, nn::cross_entropy, optim::Adam{});
  const auto error = [&](const data::Dataset& data, FitOptions options) {
    return error_of([&] { trainer.fit(data, quiet(std::move(options))); });
  };
  EXPECT_EQ(error({}, {}), "fit: the training part has no rows");
  data::Dataset blind = circle(8);
  blind.targets = {};
  EXPECT_EQ(error(blind, {}), "fit: the training part has no targets to learn");
  EXPECT_EQ(error(circle(8), {.epochs = 0}), "fit: the number of epochs must be at least 1, got 0");
  EXPECT_EQ(error(circle(8), {.batch_size = 0}), "fit: the batch size must be at least 1, got 0");
  EXPECT_EQ(error(circle(8), {.patience = 3}), "fit: a patience of 3 epochs needs a validation part to judge by");
  EXPECT_EQ(error(circle(8), {.average = 1}),
            "fit: the decay of the weights' average must be at least 0 and below 1, got 1");
  EXPECT_TRUE(contains(error(circle(8), {.validation = circle(8), .monitor = "rmse"}), "no figure 'rmse' to watch"));
  data::Dataset beyond = circle(8);
  beyond.targets.set(3, 2);
  EXPECT_EQ(error(beyond, {}),
            "fit: the training part: label 2 in row 3 is out of range: there are 2 classes (0 to 1)");
  EXPECT_EQ(error(circle(8), {.validation = beyond}),
            "fit: the validation part: label 2 in row 3 is out of range: there are 2 classes (0 to 1)");
  EXPECT_EQ(error_of([&] { evaluate(net, nn::cross_entropy, beyond, {.precision = nn::Precision::f32}); }),
            "evaluate: label 2 in row 3 is out of range: there are 2 classes (0 to 1)");
}

// The classes are the net's: data without names for them may lack some.
TEST(Fit, NotEveryClassMustOccur) {
  data::Dataset some = circle(64);
  some.classes.clear();
  for (int32_t& label : some.targets.as<int32_t>()) label = std::min(label, 0);
  nn::Sequential net = small_net();
  const Evaluation judged = evaluate(net, nn::cross_entropy, some, {.precision = nn::Precision::f32});
  EXPECT_EQ(judged.confusion->classes(), 2);
  EXPECT_EQ(judged.confusion->labels(0), 64);
}

// --- files ---

TEST_F(RunFolder, NetsAreSavedAndLoaded) {
  nn::Sequential net = small_net(), other = small_net(), fresh = small_net();
  const data::Dataset data = circle(32);
  nn::make_parameters(net, data.inputs.type(), 1);
  nn::make_parameters(other, data.inputs.type(), 2);
  io::save(net, folder_ / "net.safetensors");
  EXPECT_NE(io::weights_sha256(weights_of(net)), io::weights_sha256(weights_of(other)));
  io::load(other, folder_ / "net.safetensors");
  EXPECT_EQ(io::weights_sha256(weights_of(net)), io::weights_sha256(weights_of(other)));
  EXPECT_TRUE(
      contains(error_of([&] { io::load(fresh, folder_ / "net.safetensors"); }), "made when it is first traced"));
  nn::Sequential wider = small_net(3);
  nn::make_parameters(wider, data.inputs.type(), 1);
  const std::string before = io::weights_sha256(weights_of(wider));
  EXPECT_TRUE(contains(error_of([&] { io::load(wider, folder_ / "net.safetensors"); }),
                       "'3.weight' is f32[16,2], the net's is f32[16,3]"));
  EXPECT_EQ(io::weights_sha256(weights_of(wider)), before);
}

TEST_F(RunFolder, RecordsTellEachLayer) {
  nn::Sequential net = small_net();
  Trainer trainer(net, nn::cross_entropy, optim::Adam{.learning_rate = 0.01});
  trainer.fit(circle(64), quiet({.epochs = 3, .batch_size = 16, .record_every = 4, .directory = folder_}));
  const std::vector<std::string> lines = lines_of(folder_ / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 6u);  // a record and an epoch, three times
  const auto record = nlohmann::json::parse(lines[0]), epoch = nlohmann::json::parse(lines[1]);
  EXPECT_EQ(record.at("step"), 4);
  for (const char* name : {"0.weight", "0.bias", "3.weight", "3.bias"}) {
    const auto& each = record.at("parameters").at(name);
    EXPECT_NEAR(each.at("learning_rate").get<double>(), 0.01, 1e-8);
    EXPECT_GT(each.at("gradient_norm").get<double>(), 0) << name;
    EXPECT_GT(each.at("update_ratio").get<double>(), 0) << name;
  }
  EXPECT_TRUE(record.at("dead_units").contains("1"));
  EXPECT_EQ(epoch.at("epoch"), 1);
  EXPECT_TRUE(epoch.at("train").contains("accuracy"));
}

}  // namespace
}  // namespace descent::train
