// The smallest use of the engine: a step written by hand, compiled once, run many times.
#include <cstdio>
#include <random>

#include "descent/descent.h"

using namespace descent;

int main() {
  // y = 3 a - 2 b + 1, with some noise.
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  Array x(DType::f32, {200, 2}), y(DType::f32, {200, 1});
  for (int i = 0; i < 200; ++i) {
    const float a = normal(random), b = normal(random);
    x.as<float>()[2 * i] = a;
    x.as<float>()[2 * i + 1] = b;
    y.as<float>()[i] = 3 * a - 2 * b + 1 + 0.1f * normal(random);
  }

  nn::Linear line{1};
  optim::Optimizer sgd = optim::SGD{.learning_rate = 0.1};
  nn::Function step = nn::compile(
      [&](nn::Pass& pass, Tensor input, Tensor target) {  // traced once
        const Tensor loss = nn::mean_squared_error(line(input, pass), target);
        optim::minimize(pass, loss, sgd);  // gradients and updates join the graph
        return loss;
      },
      {.training = true, .precision = nn::Precision::f32});

  for (int i = 1; i <= 100; ++i) {
    const double loss = step({x, y})[0].item();
    if (i % 20 == 0) std::printf("step %3d  loss %.5f\n", i, loss);
  }
  const Array &w = line.parameters()[0]->array(), &b = line.parameters()[1]->array();
  std::printf("y = %.2f a + %.2f b + %.2f\n", w.at(0), w.at(1), b.at(0));
}
