// A steady training step allocates nothing: not in the step, not in the batcher, not in a library.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "descent/descent.h"

namespace {

std::atomic<long> allocations{0};
std::atomic<bool> counting{false};

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// Every allocation of the process comes by here: operator new and the libraries end in these.
extern "C" void* malloc(size_t size) {
  static const auto real = next<void* (*)(size_t)>("malloc");
  if (counting.load(std::memory_order_relaxed)) ++allocations;
  return real(size);
}
extern "C" void* realloc(void* pointer, size_t size) {
  static const auto real = next<void* (*)(void*, size_t)>("realloc");
  if (counting.load(std::memory_order_relaxed)) ++allocations;
  return real(pointer, size);
}
extern "C" void* aligned_alloc(size_t alignment, size_t size) {
  static const auto real = next<void* (*)(size_t, size_t)>("aligned_alloc");
  if (counting.load(std::memory_order_relaxed)) ++allocations;
  return real(alignment, size);
}

namespace {

using namespace descent;

long allocations_in_steps(nn::Precision precision) {
  data::Dataset digits;
  digits.inputs = Array(DType::u8, {2048, 28, 28});
  digits.targets = Array(DType::i32, {2048});
  digits.classes = data::numbered_classes(10);
  data::Batches batches(digits, {.batch_size = 64, .drop_last = true, .augment = data::AugmentOptions{.shift = 1}});
  nn::Sequential net{nn::Flatten{}, nn::Linear{64}, nn::ReLU{}, nn::Dropout{0.2}, nn::Linear{10}};
  optim::Optimizer adam = optim::AdamW{.learning_rate = 1e-3};
  nn::RandomStates random(1);
  nn::Function step = nn::compile(
      [&](nn::Pass& pass, Tensor x, Tensor y) {
        const Tensor loss = nn::cross_entropy(net.forward(pass, cast(x, DType::f32)), y);
        optim::minimize(pass, loss, adam);
        return loss;
      },
      {.training = true, .precision = precision, .random = &random});
  const auto run_epoch = [&](uint64_t epoch) {
    batches.start(epoch);
    while (const data::Batch* batch = batches.next()) {
      const Array inputs[] = {batch->inputs, batch->targets};
      EXPECT_GT(step(inputs)[0].item(), 0);
    }
  };
  run_epoch(0);
  batches.start(1);
  allocations = 0;
  counting = true;
  for (int i = 0; i < 30; ++i) {
    const data::Batch* batch = batches.next();
    const Array inputs[] = {batch->inputs, batch->targets};
    step(inputs);
  }
  counting = false;
  return allocations;
}

TEST(Allocations, NoneInASteadyStep) {
  EXPECT_EQ(allocations_in_steps(nn::Precision::f32), 0);
  EXPECT_EQ(allocations_in_steps(nn::Precision::automatic), 0);
}

// The same of the trainer's own loop, batch threads included: counted from step 100 to step 200 of an epoch.
long allocations_in_fit(std::optional<data::AugmentOptions> augment) {
  data::Dataset digits{Array(DType::u8, {16000, 28, 28}), Array(DType::i32, {16000}), data::numbered_classes(10), {}};
  for (int64_t i = 0; i < 16000; ++i) digits.targets.set(i, static_cast<double>(i % 10));
  const data::Normalizer pixels{{1 / 255.0F}, {0}};
  nn::Sequential net{nn::Normalize{pixels.scale, pixels.shift},
                     nn::Flatten{},
                     nn::Linear{32},
                     nn::ReLU{},
                     nn::Dropout{0.2},
                     nn::Linear{10}};
  train::Trainer trainer{net, nn::cross_entropy, optim::AdamW{.learning_rate = 1e-3}};
  const auto schedule = [](const optim::RunLength&) {
    return optim::Schedule("counting", [](int64_t step) {
      if (step == 100) allocations = 0;
      counting = step >= 100 && step < 200;
      return 1 - 1e-3 * static_cast<double>(step);
    });
  };
  const train::Report report = trainer.fit(digits, {.epochs = 1,
                                                    .batch_size = 64,
                                                    .schedule = schedule,
                                                    .clip = {.norm = 1},
                                                    .average = 0.99,
                                                    .augment = augment,
                                                    .record_every = 0,
                                                    .progress = nullptr});
  EXPECT_EQ(report.steps, 250);
  return allocations;
}

TEST(Allocations, NoneInTheTrainersLoop) {
  EXPECT_EQ(allocations_in_fit({}), 0);
  EXPECT_EQ(allocations_in_fit(data::AugmentOptions{.shift = 1, .rotate = 5, .elastic_alpha = 8}), 0);
}

TEST(Allocations, TheCountSeesOne) {
  allocations = 0;
  counting = true;
  const Array here(DType::f32, {100});  // allocated inside the library
  counting = false;
  EXPECT_GE(allocations, 1);
  EXPECT_EQ(here.at(0), 0);
}

}  // namespace
