// The losses of small trainings, step by step, beside those that the ops' own meanings give in double. The latter are
// stored in tests/golden/curves.txt: a change there is a change of initial values, order, masks, gradients or rules. If
// it is meant, `train_curves --update` accepts it.
#include <cstdio>
#include <map>

#include "../unit/step_reference.h"
#include "descent/runtime/backend.h"
#include "descent/train/step.h"
#include "training.h"

namespace descent::train {

bool update = false;

namespace {

constexpr int64_t steps = 18, batch_size = 16;
constexpr uint64_t seed = 11;

struct Training {
  std::string name;
  std::vector<nn::Layer> layers;
  nn::Loss loss;
  optim::Optimizer optimizer;
  data::Dataset data;
  StepOptions options = {};
};

nn::Residual residual() { return nn::Residual{nn::Sequential{nn::LayerNorm{}, nn::Linear{16}, nn::SiLU{}}}; }

std::vector<Training> trainings() {
  using namespace nn;
  const data::Dataset points = circle(5 * batch_size + 4), line = plane(5 * batch_size + 4), images = sides(40);
  const data::Normalizer pixels = data::Normalizer::fit(images.inputs);
  return {
      {"perceptron", {Linear{1}}, perceptron, optim::SGD{.learning_rate = 0.1}, points},
      {"softmax_regression", {Linear{2}}, cross_entropy, optim::SGD{.learning_rate = 0.5, .momentum = 0.9}, points},
      {"one_hidden_layer",
       {Linear{16}, ReLU{}, Dropout{0.25}, Linear{2}},
       CrossEntropy{.label_smoothing = 0.1},
       optim::AdamW{.learning_rate = 0.02},
       points,
       {.clip = {.norm = 0.5}}},
      {"residual_blocks",
       {Linear{16}, residual(), residual(), GELU{}, Linear{2}},
       cross_entropy,
       optim::Adam{.learning_rate = 0.01},
       points,
       {.regularization = {.l1 = 1e-3, .l2 = 1e-2}, .average = 0.9}},
      {"images",
       {Normalize{pixels.scale, pixels.shift}, Flatten{}, Linear{8}, Tanh{}, Linear{2}},
       cross_entropy,
       optim::SGD{.learning_rate = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 1e-3},
       images},
      {"huber", {Linear{16}, Tanh{}, Linear{1}}, Huber{.delta = 0.7}, optim::RMSProp{.learning_rate = 0.01}, line},
      {"absolute", {Linear{16}, ELU{}, Linear{1}}, mean_absolute_error, optim::Adagrad{.learning_rate = 0.1}, line},
      {"hinge",
       {Linear{16}, LeakyReLU{}, Linear{2}},
       nn::hinge,
       optim::Adam{.learning_rate = 0.02},
       points,
       {.clip = {.value = 0.05}}},
      {"yes_or_no",
       {Linear{16}, Sigmoid{}, Linear{1}},
       binary_cross_entropy,
       optim::AdamW{.learning_rate = 0.05},
       points},
  };
}

using Curve = std::vector<double>;

// One loss a step, from whatever runs the step on a batch; the learning rate falls as it goes.
template <class Run>
Curve curve_of(TrainingStep& step, const data::Dataset& data, Run run) {
  data::Batches batches(data, {.batch_size = batch_size, .seed = seed});
  Curve out;
  for (uint64_t epoch = 0; std::ssize(out) < steps; ++epoch) {
    batches.start(epoch);
    while (const data::Batch* batch = std::ssize(out) < steps ? batches.next() : nullptr) {
      const double factor = 1 - 0.5 * static_cast<double>(out.size()) / steps;
      step.optimizer().set_learning_rate(step.optimizer().base_learning_rate() * factor);
      out.push_back(run(*batch));
    }
  }
  return out;
}

Curve compiled_curve(const Training& training, nn::Precision precision) {
  nn::Sequential net(training.layers);
  StepOptions options = training.options;
  options.seed = seed;
  options.precision = precision;
  TrainingStep step(net, training.loss, training.optimizer, options);
  return curve_of(step, training.data, [&](const data::Batch& batch) { return step.run(batch).loss; });
}

Curve reference_curve(const Training& training) {
  nn::Sequential net(training.layers);
  StepOptions options = training.options;
  options.seed = seed;
  options.precision = nn::Precision::f32;
  TrainingStep step(net, training.loss, training.optimizer, options);
  return curve_of(step, training.data, [&](const data::Batch& batch) {
    const nn::Function::Traced traced = step.traced(batch.inputs.type(), batch.targets.type());
    return reference_step(traced, {batch.inputs, batch.targets})[0].item();
  });
}

const std::filesystem::path file = std::filesystem::path(DESCENT_SOURCE_DIR) / "tests/golden/curves.txt";

std::map<std::string, Curve> stored_curves() {
  std::map<std::string, Curve> out;
  std::ifstream in(file);
  std::string name;
  int64_t step = 0;
  for (double loss = 0; in >> name >> step >> loss;) out[name].push_back(loss);
  return out;
}

void store(const std::string& name, const Curve& curve) {
  std::FILE* out = std::fopen(file.c_str(), "a");
  for (size_t i = 0; i < curve.size(); ++i) std::fprintf(out, "%s %zu %.9f\n", name.c_str(), i + 1, curve[i]);
  std::fclose(out);
}

void expect_curve(const std::string& name, const Curve& got, const Curve& stored, double relative, double absolute) {
  ASSERT_EQ(got.size(), stored.size()) << name;
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], stored[i], relative * stored[i] + absolute) << name << ", step " << i + 1;
}

TEST(Curves, TheStoredOnesAreTheReferences) {
  if (update) std::filesystem::remove(file);
  for (const Training& training : trainings()) {
    const Curve now = reference_curve(training);
    if (update) store(training.name, now);
    expect_curve(training.name, now, stored_curves()[training.name], 1e-6, 1e-7);
    EXPECT_LT(now.back(), 0.9 * now.front()) << training.name << " learns nothing";
  }
  EXPECT_EQ(stored_curves().size(), trainings().size());
}

TEST(Curves, CompiledStepsFollowThem) {
  std::map<std::string, Curve> stored = stored_curves();
  for (const Training& training : trainings())
    expect_curve(training.name, compiled_curve(training, nn::Precision::f32), stored[training.name], 1e-5, 1e-6);
}

// Mixed precision takes a path of its own, but not far from it.
TEST(Curves, MixedPrecisionStaysNear) {
  if (!default_backend().fast_bf16()) GTEST_SKIP() << "no bf16 products in hardware";
  std::map<std::string, Curve> stored = stored_curves();
  for (const Training& training : trainings())
    expect_curve(training.name, compiled_curve(training, nn::Precision::bf16), stored[training.name], 0.05, 0.04);
}

}  // namespace
}  // namespace descent::train

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  descent::train::update = argc > 1 && std::string(argv[1]) == "--update";
  return RUN_ALL_TESTS();
}
