#include "descent/data/batches.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>

#include "data_testing.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DESCENT_THREAD_SANITIZER
#endif
#endif

#ifndef DESCENT_THREAD_SANITIZER  // which has its own operator new
// Every allocation of the program is counted, whichever thread makes it. (Inlined, GCC takes free() for a mistake.)
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace descent::data {
namespace {

// Row i holds i in its first two bytes and its target.
Dataset images(int64_t rows, int64_t side = 4) {
  Dataset out{Array(DType::u8, {rows, side, side}), Array(DType::i32, {rows}), numbered_classes(1000), {}};
  for (int64_t i = 0; i < out.inputs.elements(); ++i) out.inputs.as<uint8_t>()[i] = static_cast<uint8_t>(13 * i % 256);
  for (int64_t i = 0; i < rows; ++i) {
    out.inputs.as<uint8_t>()[i * side * side] = static_cast<uint8_t>(i & 255);
    out.inputs.as<uint8_t>()[i * side * side + 1] = static_cast<uint8_t>(i >> 8);
    out.targets.as<int32_t>()[i] = static_cast<int32_t>(i);
  }
  return out;
}

constexpr AugmentOptions some{.shift = 1, .rotate = 20, .elastic_alpha = 8, .elastic_sigma = 2};

// A transform that does nothing, so that batches go through the threads.
void pass(std::span<std::byte>, uint64_t) {}

struct Epoch {
  std::vector<int64_t> indices;
  std::vector<double> targets;
  std::vector<std::byte> inputs;
  friend bool operator==(const Epoch&, const Epoch&) = default;
};

Epoch run(Batches& batches, uint64_t epoch, int64_t first = 0) {
  Epoch out;
  batches.start(epoch, first);
  while (const Batch* batch = batches.next()) {
    out.indices.push_back(batch->index);
    for (const double target : batch->targets.to_doubles()) out.targets.push_back(target);
    const auto bytes = batch->inputs.bytes();
    out.inputs.insert(out.inputs.end(), bytes.begin(), bytes.end());
  }
  return out;
}

TEST(Batches, GivesEveryRowOnceInOrder) {
  const Dataset data = images(300);
  for (const int threads : {0, 1, 3}) {
    Batches batches(data, {.batch_size = 32, .shuffle = false, .transform = pass, .threads = threads});
    EXPECT_EQ(batches.batches_per_epoch(), 10);
    const Epoch epoch = run(batches, 0);
    std::vector<int64_t> indices(10);
    std::iota(indices.begin(), indices.end(), 0);
    EXPECT_EQ(epoch.indices, indices);
    EXPECT_EQ(epoch.targets, data.targets.to_doubles());
    EXPECT_EQ(epoch.inputs, bytes_of(data.inputs));
  }
}

TEST(Batches, ShufflesByTheSeedAndEpoch) {
  const Dataset data = images(300);
  Batches batches(data, {.batch_size = 32, .seed = 5}), other(data, {.batch_size = 32, .seed = 6});
  const Epoch first = run(batches, 0), second = run(batches, 1), again = run(batches, 0);
  EXPECT_EQ(first, again);
  EXPECT_NE(first.targets, second.targets);
  EXPECT_NE(first.targets, run(other, 0).targets);
  std::vector<double> sorted = first.targets;
  std::ranges::sort(sorted);
  EXPECT_EQ(sorted, data.targets.to_doubles());
  for (size_t i = 0; i < first.targets.size(); ++i)
    EXPECT_EQ(std::to_integer<int>(first.inputs[16 * i]) + 256 * std::to_integer<int>(first.inputs[16 * i + 1]),
              first.targets[i])
        << "a row keeps its target";
}

TEST(Batches, ShufflesFairly) {
  Batches batches(images(4), {.batch_size = 4});
  std::set<std::vector<double>> orders;
  double first_is_zero = 0;
  for (uint64_t epoch = 0; epoch < 2400; ++epoch) {
    const Epoch order = run(batches, epoch);
    orders.insert(order.targets);
    first_is_zero += order.targets[0] == 0;
  }
  EXPECT_EQ(orders.size(), 24u);
  EXPECT_NEAR(first_is_zero, 600, 100);
}

TEST(Batches, AreTheSameWhateverTheThreads) {
  const Dataset data = images(500, 8);
  Batches one(data, {.batch_size = 16, .seed = 9, .augment = some, .threads = 0});
  const Epoch expected = run(one, 3);
  for (const int threads : {1, 2, 5})
    for (const int prefetch : {1, 4, 50}) {
      Batches many(data, {.batch_size = 16, .seed = 9, .augment = some, .threads = threads, .prefetch = prefetch});
      EXPECT_EQ(run(many, 3), expected) << threads << " threads, prefetch " << prefetch;
    }
}

TEST(Batches, AnEpochCanBeginAnywhere) {
  const Dataset data = images(203, 8);
  for (const int threads : {0, 2}) {
    Batches batches(data, {.batch_size = 10, .seed = 1, .augment = some, .threads = threads});
    const Epoch whole = run(batches, 7);
    for (const int64_t first : {0, 1, 13, 20, 21}) {
      const Epoch rest = run(batches, 7, first);
      EXPECT_EQ(rest.targets,
                std::vector<double>(whole.targets.begin() + std::min<int64_t>(10 * first, 203), whole.targets.end()));
      EXPECT_TRUE(std::equal(rest.inputs.rbegin(), rest.inputs.rend(), whole.inputs.rbegin()));
      EXPECT_EQ(rest.indices.size(), static_cast<size_t>(21 - first));
    }
  }
}

TEST(Batches, SeveralEpochsShareAPass) {
  const Dataset data = images(103);
  Batches batches(data, {.batch_size = 16, .seed = 4, .epoch_size = 40, .augment = some});
  Batches whole(data, {.batch_size = 16, .seed = 4, .augment = some});
  EXPECT_EQ(batches.batches_per_epoch(), 3);
  const std::vector<double> pass = run(whole, 0).targets, next = run(whole, 1).targets;
  const Epoch first = run(batches, 0), second = run(batches, 1), third = run(batches, 2);
  EXPECT_EQ(first.targets, std::vector<double>(pass.begin(), pass.begin() + 40));
  EXPECT_EQ(second.targets, std::vector<double>(pass.begin() + 40, pass.begin() + 80));
  EXPECT_EQ(third.targets, std::vector<double>(next.begin(), next.begin() + 40)) << "the last 23 are left out";
  EXPECT_EQ(run(batches, 1), second);
  EXPECT_EQ(run(batches, 1, 2).targets, std::vector<double>(second.targets.begin() + 32, second.targets.end()));
}

TEST(Batches, AnEpochLargerThanTheDataIsAll) {
  const Dataset data = images(50);
  Batches large(data, {.batch_size = 16, .seed = 4, .epoch_size = 64, .augment = some});
  Batches whole(data, {.batch_size = 16, .seed = 4, .augment = some});
  for (uint64_t epoch = 0; epoch < 3; ++epoch) EXPECT_EQ(run(large, epoch), run(whole, epoch));
  EXPECT_EQ(error_of([&] { Batches(data, {.batch_size = 16, .drop_last = true, .epoch_size = 8}); }),
            "batches: 8 rows make no whole batch of 16, and drop_last leaves out the rest");
  EXPECT_EQ(error_of([&] { Batches(data, {.epoch_size = -1}); }), "batches: an epoch of -1 rows is not at least 0");
}

TEST(Batches, AugmentationDependsOnTheSampleNotItsPlace) {
  const Dataset data = images(64, 8);
  Batches shuffled(data, {.batch_size = 7, .seed = 2, .augment = some});
  Batches ordered(data, {.batch_size = 64, .shuffle = false, .seed = 2, .augment = some});
  const Epoch a = run(shuffled, 4), b = run(ordered, 4), later = run(ordered, 5);
  for (size_t i = 0; i < 64; ++i) {
    const auto row = static_cast<size_t>(a.targets[i]);
    EXPECT_TRUE(std::equal(a.inputs.begin() + 64 * i, a.inputs.begin() + 64 * (i + 1), b.inputs.begin() + 64 * row));
  }
  EXPECT_NE(b.inputs, later.inputs) << "each epoch augments anew";
}

TEST(Batches, TheLastBatchHasItsRealSize) {
  const Dataset data = images(70);
  for (const int threads : {0, 2}) {
    Batches batches(data, {.batch_size = 32, .transform = pass, .threads = threads});
    batches.start(0);
    std::vector<int64_t> sizes;
    while (const Batch* batch = batches.next()) {
      EXPECT_EQ(batch->targets.shape()[0], batch->inputs.shape()[0]);
      sizes.push_back(batch->inputs.shape()[0]);
    }
    EXPECT_EQ(sizes, (std::vector<int64_t>{32, 32, 6}));
    EXPECT_EQ(batches.next(), nullptr);
  }
  Batches whole(data, {.batch_size = 32, .drop_last = true});
  EXPECT_EQ(run(whole, 0).targets.size(), 64u);
  Batches larger(data, {.batch_size = 100});
  EXPECT_EQ(run(larger, 0).targets.size(), 70u);
}

TEST(Batches, ABatchStaysValidUntilTheNext) {
  Batches batches(images(400), {.batch_size = 8, .shuffle = false, .transform = pass, .threads = 2, .prefetch = 2});
  batches.start(0);
  for (int64_t i = 0; i < 50; ++i) {
    const Batch* batch = batches.next();
    const std::vector<double> before = batch->targets.to_doubles();
    std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(i % 7 == 0 ? 500 : 0));
    EXPECT_EQ(batch->targets.to_doubles(), before);
    EXPECT_EQ(before[0], static_cast<double>(8 * i));
  }
}

TEST(Batches, TransformsSamplesByTheirKey) {
  const Dataset data = images(40);
  const auto mark = [](std::span<std::byte> sample, uint64_t key) { sample[2] = static_cast<std::byte>(key); };
  Batches one(data, {.batch_size = 8, .transform = mark, .threads = 0});
  Batches two(data, {.batch_size = 8, .transform = mark, .threads = 2});
  EXPECT_EQ(run(one, 0), run(two, 0));
  EXPECT_NE(run(one, 0).inputs, run(one, 1).inputs);
}

TEST(Batches, AnExceptionIsThrownInItsTurn) {
  for (const int threads : {0, 1, 3}) {
    const auto picky = [](std::span<std::byte> sample, uint64_t) {
      if (sample[0] == std::byte{20}) throw std::runtime_error("row 20 is bad");
    };
    Batches batches(images(48), {.batch_size = 8, .shuffle = false, .transform = picky, .threads = threads});
    for (uint64_t epoch = 0; epoch < 3; ++epoch) {
      batches.start(epoch);
      EXPECT_EQ(batches.next()->index, 0);
      EXPECT_EQ(batches.next()->index, 1);
      EXPECT_THROW(
          {
            try {
              batches.next();
            } catch (const std::runtime_error& error) {
              EXPECT_STREQ(error.what(), "row 20 is bad");
              throw;
            }
          },
          std::runtime_error);
      EXPECT_EQ(batches.next()->index, 3);
    }
  }
}

TEST(Batches, StopsInTheMiddleOfAnything) {
  for (int round = 0; round < 60; ++round) {
    Batches batches(images(200, 8),
                    {.batch_size = 4, .augment = some, .threads = 1 + round % 3, .prefetch = 1 + round % 5});
    if (round % 4 == 0) continue;  // never started
    batches.start(0);
    for (int i = 0; i < round % 7; ++i) batches.next();
    if (round % 2 == 1) continue;
    batches.start(1, 3);  // with batches of the first epoch under way
    EXPECT_EQ(batches.next()->index, 3);
  }
}

TEST(Batches, AllocatesNothingWhileItRuns) {
#ifdef DESCENT_THREAD_SANITIZER
  GTEST_SKIP() << "allocations cannot be counted here";
#endif
  const Dataset data = images(300, 8);
  for (const int threads : {0, 1, 3}) {
    Batches batches(data, {.batch_size = 16, .augment = some, .transform = pass, .threads = threads});
    Batches quick(data, {.batch_size = 16});
    int64_t before = 0;
    for (uint64_t epoch = 0; epoch < 5; ++epoch) {
      if (epoch == 1) before = allocations;
      batches.start(epoch);
      while (batches.next()) {
      }
      quick.start(epoch);
      while (quick.next()) {
      }
    }
    EXPECT_EQ(allocations - before, 0) << threads << " threads";
  }
}

TEST(Batches, FlipsAlternateFromEpochToEpoch) {
  const Dataset data = images(400);
  Batches batches(
      data, {.batch_size = 400, .shuffle = false, .seed = 3, .augment = AugmentOptions{.flip = Flip::alternating}});
  const Epoch first = run(batches, 0), second = run(batches, 1), third = run(batches, 2);
  EXPECT_EQ(first.inputs, third.inputs);
  int flipped = 0;
  for (int64_t row = 0; row < 400; ++row) {
    const auto same = [&](const Epoch& epoch) {
      return std::equal(epoch.inputs.begin() + 16 * row, epoch.inputs.begin() + 16 * (row + 1),
                        data.inputs.bytes().begin() + 16 * row);
    };
    EXPECT_NE(same(first), same(second)) << row;
    flipped += !same(first);
  }
  EXPECT_NEAR(flipped, 200, 50) << "half of them begin with a flip";
}

TEST(Batches, MixturesMixTargetsAlike) {
  // Each image is plain, its value ten times its class.
  Dataset data{Array(DType::u8, {90, 8, 8, 3}), Array(DType::i32, {90}), numbered_classes(9), {}};
  for (int64_t i = 0; i < 90; ++i) {
    data.targets.set(i, static_cast<double>(i % 9));
    std::ranges::fill(data.inputs.as<uint8_t>().subspan(192 * i, 192), static_cast<uint8_t>(20 * (i % 9)));
  }
  for (const AugmentOptions& mix : {AugmentOptions{.mixup = 0.5}, AugmentOptions{.cutmix = 1},
                                    AugmentOptions{.mixup = 1, .cutmix = 1, .mix_part = 0.5}}) {
    EXPECT_EQ(to_text(target_row_type(data, mix)), "f32[9]");
    Epoch expected;
    for (const int threads : {0, 1, 3}) {
      Batches batches(data, {.batch_size = 16, .seed = 4, .augment = mix, .threads = threads});
      batches.start(1);
      int mixed = 0;
      while (const Batch* batch = batches.next()) {
        const int64_t rows = batch->inputs.shape()[0];
        ASSERT_EQ(batch->targets.shape(), (Shape{rows, 9}));
        for (int64_t row = 0; row < rows; ++row) {
          double mass = 0, mean = 0, value = 0, largest = 0;
          for (int64_t c = 0; c < 9; ++c) {
            const double part = batch->targets.at(9 * row + c);
            mass += part;
            mean += part * 20 * static_cast<double>(c);
            largest = std::max(largest, part);
          }
          for (int64_t i = 0; i < 192; ++i) value += batch->inputs.at(192 * row + i) / 192;
          EXPECT_NEAR(mass, 1, 1e-6);
          EXPECT_NEAR(value, mean, 1) << "pixels are mixed as the targets say";
          mixed += largest < 0.99;
        }
      }
      EXPECT_GT(mixed, mix.mix_part < 1 ? 15 : 35);
      const Epoch epoch = run(batches, 1);
      if (threads == 0) expected = epoch;
      EXPECT_EQ(epoch, expected) << threads;
    }
  }
}

TEST(Batches, MixturesNeedClasses) {
  const Dataset numbers{Array(DType::u8, {4, 2, 2}), Array(DType::f32, {4, 1}), {}, {}};
  EXPECT_EQ(error_of([&] { Batches(numbers, {.augment = AugmentOptions{.mixup = 1}}); }),
            "batches: mixup and cutmix mix classes, and the data have none as targets");
}

TEST(Batches, TablesAndTargetsOfNumbers) {
  Dataset data{Array(DType::f32, {10, 3}), Array(DType::f32, {10, 2}), {}, {}};
  for (int64_t i = 0; i < 30; ++i) data.inputs.set(i, static_cast<double>(i));
  for (int64_t i = 0; i < 20; ++i) data.targets.set(i, static_cast<double>(i));
  Batches batches(data, {.batch_size = 4, .shuffle = false});
  batches.start(0, 1);
  const Batch* batch = batches.next();
  EXPECT_EQ(to_text(batch->inputs.type()), "f32[4,3]");
  EXPECT_EQ(to_text(batch->targets.type()), "f32[4,2]");
  EXPECT_EQ(batch->inputs.at(0), 12);
  EXPECT_EQ(batch->targets.at(0), 8);
  data.targets = Array();
  Batches unlabelled(data, {.batch_size = 4});
  unlabelled.start(0);
  EXPECT_FALSE(unlabelled.next()->targets);
}

// Row i is i + 1 numbers i; there is room for 4, 8 or 16.
class Lengths : public RowSource {
 public:
  explicit Lengths(int64_t rows) : rows_(rows) {}
  Type row_type() const override { return {DType::i32, {16}}; }
  int64_t size() const override { return rows_; }
  int64_t room(int64_t row) const override { return row % 16 < 4 ? 4 : row % 16 < 8 ? 8 : 16; }
  void read(int64_t row, std::span<std::byte> out) const override {
    const std::span<int32_t> values(reinterpret_cast<int32_t*>(out.data()), out.size() / sizeof(int32_t));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<int64_t>(i) <= row % 16 ? static_cast<int32_t>(row) : -1;
  }

 private:
  int64_t rows_;
};

Dataset lengths(int64_t rows) {
  Dataset out{{}, Array(DType::i32, {rows}), numbered_classes(rows), {}, std::make_shared<Lengths>(rows)};
  for (int64_t i = 0; i < rows; ++i) out.targets.as<int32_t>()[i] = static_cast<int32_t>(i);
  return out;
}

TEST(Batches, AreCutToTheRoomOfTheirRows) {
  const Dataset data = lengths(100);
  std::vector<std::vector<int64_t>> orders;
  for (const int threads : {0, 2}) {
    Batches batches(data, {.batch_size = 8, .seed = 3, .threads = threads});
    for (const uint64_t epoch : {0, 1}) {
      std::set<std::string> shapes;
      std::vector<int64_t> order;
      batches.start(epoch);
      while (const Batch* batch = batches.next()) {
        const int64_t count = batch->inputs.shape()[0], room = batch->inputs.shape()[1];
        int64_t needed = 0;
        for (int64_t i = 0; i < count; ++i) {
          const auto row = static_cast<int64_t>(batch->targets.at(i));
          order.push_back(row);
          needed = std::max(needed, data.source->room(row));
          for (int64_t k = 0; k < room; ++k)
            EXPECT_EQ(batch->inputs.at(i * room + k), k <= row % 16 ? static_cast<double>(row) : -1);
        }
        EXPECT_EQ(room, needed);
        shapes.insert(to_text(batch->inputs.type()));
      }
      EXPECT_LE(shapes.size(), 4u) << "three rooms, and a smaller last batch";
      EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 100u);
      orders.push_back(order);
    }
  }
  EXPECT_EQ(orders[0], orders[2]);
  EXPECT_EQ(orders[1], orders[3]);
  EXPECT_NE(orders[0], orders[1]);
  // Not first the short ones and then the long.
  EXPECT_FALSE(std::ranges::is_sorted(orders[0], {}, [&](int64_t row) { return data.source->room(row); }));
}

TEST(Batches, OfDifferentRoomResumeAndLeaveOutAnyRow) {
  Batches batches(lengths(100), {.batch_size = 8, .seed = 3, .drop_last = true});
  std::vector<std::vector<std::byte>> whole;
  batches.start(5);
  while (const Batch* batch = batches.next())
    whole.emplace_back(batch->inputs.bytes().begin(), batch->inputs.bytes().end());
  ASSERT_EQ(whole.size(), 12u);
  batches.start(5, 7);
  for (size_t i = 7; i < whole.size(); ++i) {
    const Batch* batch = batches.next();
    ASSERT_NE(batch, nullptr);
    EXPECT_TRUE(std::ranges::equal(batch->inputs.bytes(), whole[i]));
  }
  std::set<int64_t> seen;
  for (uint64_t epoch = 0; epoch < 20; ++epoch) {
    batches.start(epoch);
    while (const Batch* batch = batches.next())
      for (int64_t i = 0; i < batch->targets.elements(); ++i) seen.insert(static_cast<int64_t>(batch->targets.at(i)));
  }
  EXPECT_EQ(seen.size(), 100u) << "the longest are not left out each time";
}

TEST(Batches, ReadInputsIsCutToTheRoomOfItsRows) {
  const Dataset data = lengths(20);
  EXPECT_EQ(data.read_inputs(0, 4).shape(), (Shape{4, 4}));
  EXPECT_EQ(data.read_inputs(2, 7).shape(), (Shape{5, 8}));
  EXPECT_EQ(data.read_inputs(0, 20).shape(), (Shape{20, 16}));
  const std::vector<int64_t> chosen{1, 5};
  EXPECT_EQ(data.select(chosen).read_inputs(0, 2).shape(), (Shape{2, 8}));
  EXPECT_EQ(data.read_inputs(2, 7).at(8 * 3 + 5), 5);
}

TEST(Batches, NamesWhatDoesNotFit) {
  const auto error_for = [](const Dataset& data, const BatchOptions& options) {
    return error_of([&] { Batches(data, options); });
  };
  const Dataset data = images(10);
  EXPECT_EQ(error_for({}, {}), "batches: the data set has no rows");
  EXPECT_EQ(error_for(data, {.batch_size = 0}), "batches: a batch size of 0 is not at least 1");
  EXPECT_EQ(error_for(data, {.batch_size = 11, .drop_last = true}),
            "batches: 10 rows make no whole batch of 11, and drop_last leaves out the rest");
  EXPECT_EQ(error_for(data, {.prefetch = 0}),
            "batches: 1 threads and 0 batches prefetched; at least 0 and 1 are needed");
  const Dataset table{Array(DType::f32, {10, 3}), {}, {}, {}};
  EXPECT_EQ(error_for(table, {.augment = some}),
            "batches: augmentation is for images u8[N,H,W] or u8[N,H,W,C], but the inputs are f32[10,3]");
  EXPECT_EQ(error_for({data.inputs, Array(DType::i32, {9}), {}, {}}, {}),
            "batches: inputs of u8[10,4,4] and targets of i32[9] differ in rows");
  Batches batches(data, {.batch_size = 4});
  EXPECT_EQ(batches.next(), nullptr) << "nothing was started";
  EXPECT_EQ(error_of([&] { batches.start(0, 4); }), "batches: an epoch of 3 batches cannot start at batch 4");
}

}  // namespace
}  // namespace descent::data
