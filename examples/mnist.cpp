// Handwritten digits with a loop of one's own. (train::Trainer does this and more: see README.md.)
#include <cstdio>

#include "descent/descent.h"

using namespace descent;

int main() {
  const data::Splits digits = data::load("mnist");
  const data::Normalizer normalizer = data::Normalizer::fit(digits.train.inputs);
  nn::Sequential net{nn::Normalize{normalizer.scale, normalizer.shift},
                     nn::Flatten{},
                     nn::Linear{512},
                     nn::ReLU{},
                     nn::Dropout{0.2},
                     nn::Linear{10}};

  constexpr int epochs = 5;
  data::Batches batches(digits.train, {.batch_size = 128, .seed = 1, .drop_last = true});
  nn::RandomStates random(1);
  optim::Optimizer adam = optim::AdamW{.learning_rate = 1e-3};
  const optim::Schedule schedule = optim::schedule::cosine(epochs * batches.batches_per_epoch());
  nn::Function step = nn::compile(
      [&](nn::Pass& pass, Tensor image, Tensor label) {
        const Tensor loss = nn::cross_entropy(net(image, pass), label);
        optim::minimize(pass, loss, adam);
        return loss;
      },
      {.training = true, .seed = 1, .random = &random});

  nn::Function right = nn::compile(
      [&](nn::Pass& pass, Tensor image, Tensor label) { return sum(top_k_correct(net(image, pass), label)); });
  const auto accuracy = [&](const data::Dataset& part) {
    double count = 0;
    for (int64_t begin = 0; begin < part.size(); begin += 1000) {
      const data::Dataset rows = part.rows(begin, std::min(begin + 1000, part.size()));
      count += right({rows.inputs, rows.targets})[0].item();
    }
    return count / static_cast<double>(part.size());
  };

  for (int epoch = 0; epoch < epochs; ++epoch) {
    double loss = 0;
    batches.start(static_cast<uint64_t>(epoch));
    while (const data::Batch* batch = batches.next()) {
      adam.set_learning_rate(adam.base_learning_rate() * schedule(adam.steps()));
      loss += step({batch->inputs, batch->targets})[0].item();
    }
    std::printf("epoch %d  loss %.4f  test accuracy %.2f%%\n", epoch + 1,
                loss / static_cast<double>(batches.batches_per_epoch()), 100 * accuracy(digits.test));
  }
}
