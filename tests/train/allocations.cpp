// A steady training step allocates nothing: not in the step, not in the batcher, not in a library.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>

#include "descent/backend/cpu/processor.h"
#include "descent/data/go_games.h"
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

// In thirty steps on images of `image`, after an epoch.
long allocations_in_steps(nn::Sequential net, const Shape& image, nn::Precision precision) {
  constexpr int64_t images = 2048;
  data::Dataset examples;
  Shape shape{images};
  for (const int64_t size : image) shape.push_back(size);
  examples.inputs = Array(DType::u8, shape);
  examples.targets = Array(DType::i32, {images});
  examples.classes = data::numbered_classes(10);
  data::Batches batches(examples, {.batch_size = 64, .drop_last = true, .augment = data::AugmentOptions{.shift = 1}});
  optim::Optimizer adam = optim::AdamW{.learning_rate = 1e-3};
  nn::RandomStates random(1);
  nn::Function step = nn::compile(
      [&](nn::Pass& pass, Tensor x, Tensor y) {
        const Tensor loss = nn::cross_entropy(net.forward(pass, cast(x, DType::f32)), y);
        optim::minimize(pass, loss, adam);
        return loss;
      },
      {.training = true, .precision = precision, .random = &random});
  const auto run_step = [&] {
    const data::Batch* batch = batches.next();
    if (batch == nullptr) return false;
    const Array inputs[] = {batch->inputs, batch->targets};
    EXPECT_GT(step(inputs)[0].item(), 0);
    return true;
  };
  batches.start(0);
  while (run_step()) {
  }
  batches.start(1);
  allocations = 0;
  counting = true;
  for (int i = 0; i < 30; ++i) run_step();
  counting = false;
  return allocations;
}

TEST(Allocations, NoneInASteadyStep) {
  const auto net = [] {
    return nn::Sequential{nn::Flatten{}, nn::Linear{64}, nn::ReLU{}, nn::Dropout{0.2}, nn::Linear{10}};
  };
  EXPECT_EQ(allocations_in_steps(net(), {28, 28}, nn::Precision::f32), 0);
  EXPECT_EQ(allocations_in_steps(net(), {28, 28}, nn::Precision::automatic), 0);
}

// On other processors oneDNN makes convolutions, and allocates in every call.
bool has_own_convolutions() { return cpu::processor().avx512; }

// Those of the recipes, narrow: what is asked of the library does not depend on the width.
TEST(Allocations, NoneInAStepOfAConvolutionalNet) {
  if (!has_own_convolutions()) GTEST_SKIP() << "no convolutions of our own";
  for (const nn::Precision precision : {nn::Precision::f32, nn::Precision::automatic}) {
    EXPECT_EQ(allocations_in_steps(nn::lenet5(), {28, 28}, precision), 0);
    EXPECT_EQ(allocations_in_steps(nn::resnet20(10, 16), {16, 16, 3}, precision), 0);
    EXPECT_EQ(allocations_in_steps(nn::vgg_small(10, 16), {16, 16, 3}, precision), 0);
    EXPECT_EQ(allocations_in_steps(nn::go_resnet(16, 2, false), {3, 3, 3}, precision), 0);
  }
}

// Counts while the trainer does the steps from `begin` to before `end`.
std::function<optim::Schedule(const optim::RunLength&)> counting_steps(int64_t begin, int64_t end) {
  return [begin, end](const optim::RunLength&) {
    return optim::Schedule("counting", [begin, end](int64_t step) {
      if (step == begin) allocations = 0;
      counting = step >= begin && step < end;
      return 1 - 1e-3 * static_cast<double>(step);
    });
  };
}

nn::Sequential dense_net() { return {nn::Flatten{}, nn::Linear{32}, nn::ReLU{}, nn::Dropout{0.2}, nn::Linear{10}}; }

// The same of the trainer's own loop, batch threads included: counted from step 100 to step 200 of an epoch.
long allocations_in_fit(nn::Sequential body, std::optional<data::AugmentOptions> augment) {
  data::Dataset digits{Array(DType::u8, {16000, 28, 28}), Array(DType::i32, {16000}), data::numbered_classes(10), {}};
  for (int64_t i = 0; i < 16000; ++i) digits.targets.set(i, static_cast<double>(i % 10));
  const data::Normalizer pixels{{1 / 255.0F}, {0}};
  nn::Sequential net{nn::Normalize{pixels.scale, pixels.shift}, std::move(body)};
  train::Trainer trainer{net, nn::cross_entropy, optim::AdamW{.learning_rate = 1e-3}};
  const train::Report report = trainer.fit(digits, {.epochs = 1,
                                                    .batch_size = 64,
                                                    .schedule = counting_steps(100, 200),
                                                    .clip = {.norm = 1},
                                                    .average = 0.99,
                                                    .lookahead = optim::LookaheadOptions{},
                                                    .augment = augment,
                                                    .record_every = 0,
                                                    .progress = nullptr});
  EXPECT_EQ(report.steps, 250);
  return allocations;
}

TEST(Allocations, NoneInTheTrainersLoop) {
  EXPECT_EQ(allocations_in_fit(dense_net(), {}), 0);
  EXPECT_EQ(allocations_in_fit(dense_net(), data::AugmentOptions{.shift = 1, .rotate = 5, .elastic_alpha = 8}), 0);
}

// Sequences of different lengths and CTC, a sequence a thread.
TEST(Allocations, NoneInATrainingOnTranscripts) {
  if (!has_own_convolutions()) GTEST_SKIP() << "no convolutions of our own";
  constexpr int64_t rows = 640, places = 40, features = 8, most = 5;
  data::Dataset frames{Array(DType::f32, {rows, places, features}), Array(DType::i32, {rows, most}), {"a", "b"}, {}};
  for (int64_t i = 0; i < frames.inputs.elements(); ++i) {
    const bool there = i / features % places < 20 + i / features / places % 20;
    frames.inputs.set(i, there ? static_cast<double>(i % 13) / 13 : NAN);
  }
  for (int64_t i = 0; i < frames.targets.elements(); ++i)
    frames.targets.set(i, i % most < 2 + i / most % 3 ? static_cast<double>(i % 2) : -1);
  nn::Sequential net{nn::EndAtNan(), nn::Conv1d{16, 3}, nn::ReLU{}, nn::Linear{3}, nn::BlankAfterEnd()};
  train::Trainer trainer{net, nn::ctc, optim::AdamW{.learning_rate = 1e-3}};
  const train::Report report = trainer.fit(
      frames,
      {.epochs = 1, .batch_size = 16, .schedule = counting_steps(10, 30), .record_every = 0, .progress = nullptr});
  EXPECT_EQ(report.steps, 40);
  EXPECT_EQ(allocations, 0);
}

// Positions of Go, made and turned in a data thread, and the loss of a policy with a value.
TEST(Allocations, NoneInATrainingOnGo) {
  constexpr int64_t rows = 640;
  Array packed(DType::u8, {rows, static_cast<int64_t>(go::packed_bytes(9))}), targets(DType::i32, {rows, 2});
  go::Game game(9);
  for (int64_t row = 0; row < rows; ++row) {
    const go::Point point = static_cast<go::Point>(row * 7 % 81);
    if (row % 60 == 0) game = go::Game(9);
    game.play({game.to_move(), game.board().is_legal(game.to_move(), point) ? point : go::pass});
    go::pack(go::Position(game), packed.rows(row, row + 1).bytes());
    targets.set(2 * row, static_cast<double>(point));
  }
  data::Dataset positions{{}, targets, data::numbered_classes(82), {}, std::make_shared<data::GoRows>(9, packed, true)};
  nn::Sequential net{nn::Normalize{std::vector{1 / 255.0F}, std::vector{0.0F}}, nn::Flatten{}, nn::Linear{83}};
  train::Trainer trainer{net, nn::policy_and_value, optim::SGD{.learning_rate = 0.01, .momentum = 0.9}};
  const train::Report report = trainer.fit(
      positions,
      {.epochs = 1, .batch_size = 16, .schedule = counting_steps(10, 30), .record_every = 0, .progress = nullptr});
  EXPECT_EQ(report.steps, 40);
  EXPECT_EQ(allocations, 0);
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
