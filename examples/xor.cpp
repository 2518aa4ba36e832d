// Exclusive or: no line separates its classes, so a net without a hidden layer cannot learn it; one with does.
#include <cstdio>
#include <vector>

#include "descent/descent.h"

using namespace descent;

namespace {

double trained_accuracy(nn::Sequential net) {
  const std::vector<float> inputs{0, 0, 0, 1, 1, 0, 1, 1};
  const std::vector<int32_t> answers{0, 1, 1, 0};
  const Array x = Array::from(std::span<const float>(inputs), {4, 2}),
              y = Array::from(std::span<const int32_t>(answers), {4});

  optim::Optimizer adam = optim::Adam{.learning_rate = 0.05};
  nn::Function step = nn::compile(
      [&](nn::Pass& pass, Tensor input, Tensor label) {
        const Tensor loss = nn::cross_entropy(net(input, pass), label);
        optim::minimize(pass, loss, adam);
        return loss;
      },
      {.training = true, .seed = 1});
  for (int i = 0; i < 500; ++i) step({x, y});

  nn::Function right = nn::compile(
      [&](nn::Pass& pass, Tensor input, Tensor label) { return mean(top_k_correct(net(input, pass), label)); });
  for (const std::string& equation : nn::equations(net)) std::printf("  %s\n", equation.c_str());
  return right({x, y})[0].item();
}

}  // namespace

int main() {
  std::printf("without a hidden layer:\n");
  std::printf("  right: %.0f%%\n", 100 * trained_accuracy({nn::Linear{2}}));
  std::printf("with one:\n");
  std::printf("  right: %.0f%%\n", 100 * trained_accuracy({nn::Linear{8}, nn::Tanh{}, nn::Linear{2}}));
}
