// The programs of a few nets as text: a change of the compiler shows here as a change of kernels, to be looked at and
// then accepted with `golden_programs --update`.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "descent/descent.h"

namespace {

using namespace descent;

bool update = false;

struct Net {
  std::string name;
  std::vector<nn::Layer> layers;
  Type input, target;
  bool mixed;
};

std::vector<Net> nets() {
  const Type images{DType::u8, {32, 28, 28}}, labels{DType::i32, {32}};
  return {
      {"perceptron", {nn::Linear{1}}, {DType::f32, {4, 2}}, {DType::i32, {4}}, false},
      {"mlp_f32", {nn::Flatten{}, nn::Linear{64}, nn::ReLU{}, nn::Linear{10}}, images, labels, false},
      {"mlp_bf16", {nn::Flatten{}, nn::Linear{64}, nn::ReLU{}, nn::Linear{10}}, images, labels, true},
      {"deep_bf16",
       {nn::Flatten{}, nn::Linear{64}, nn::LayerNorm{}, nn::GELU{}, nn::Dropout{0.3}, nn::Linear{64}, nn::Tanh{},
        nn::Linear{10}},
       images,
       labels,
       true},
      {"conv_bf16",
       {nn::Conv{16, 3, {.bias = false}}, nn::BatchNorm{}, nn::ReLU{}, nn::MaxPool{2},
        nn::Residual{nn::Conv{16, 3}, nn::ReLU{}}, nn::GlobalAveragePool{}, nn::Linear{10}},
       images,
       labels,
       true},
  };
}

std::string program_of(const Net& net) {
  nn::Sequential layers(net.layers);
  nn::RandomStates random(1);
  optim::Optimizer adam = optim::AdamW{.learning_rate = 1e-3};
  const nn::Loss loss = net.name == "perceptron" ? nn::Loss(nn::perceptron) : nn::Loss(nn::cross_entropy);
  const nn::Function step = nn::compile(
      [&](nn::Pass& pass, Tensor x, Tensor y) {
        const Tensor value = loss(layers.forward(pass, cast(x, DType::f32)), y);
        optim::minimize(pass, value, adam);
        return value;
      },
      {.training = true, .precision = nn::Precision::f32, .random = &random});
  const Type types[] = {net.input, net.target};
  nn::Function::Traced traced = step.trace(types);
  traced.options.mixed_precision = net.mixed;
  std::vector<Value> results;
  for (const Tensor& result : traced.results) results.push_back(result.value());
  return to_text(compile_graph(*traced.graph, results, traced.options).program);
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Golden, ProgramsOfTheNets) {
#ifdef __clang__
  GTEST_SKIP() << "the texts are GCC's: which operand of a * b is traced first is the compiler's choice";
#endif
  for (const Net& net : nets()) {
    const std::filesystem::path path = std::filesystem::path(DESCENT_SOURCE_DIR) / "tests/golden" / (net.name + ".txt");
    const std::string now = program_of(net);
    if (update) std::ofstream(path) << now;
    EXPECT_EQ(read(path), now) << net.name
                               << ": the compiled program has changed; if that is meant, run golden_programs --update";
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  update = argc > 1 && std::string(argv[1]) == "--update";
  return RUN_ALL_TESTS();
}
