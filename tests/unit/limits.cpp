// What is asked for that no machine can do, as a slip of the finger in a recipe may: one sentence, and no number that
// has run over.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "data_testing.h"
#include "descent/data/batches.h"
#include "descent/nn/conv.h"
#include "descent/nn/linear.h"
#include "descent/nn/nets.h"
#include "descent/nn/pooling.h"
#include "descent/ops/broadcast.h"
#include "descent/ops/input.h"
#include "descent/ops/max_pool.h"
#include "descent/optim/schedules.h"

namespace descent {
namespace {

using data::error_of;

constexpr int64_t huge = int64_t{1} << 62;

TEST(Limits, ElementsOfAShape) {
  EXPECT_EQ((Shape{1 << 24, 1 << 24}).elements(), int64_t{1} << 48);
  EXPECT_EQ(error_of([] {
              Shape{784, huge}.elements();
            }),
            "the shape [784,4611686018427387904] has more elements than any memory can hold");
  EXPECT_EQ(error_of([] {
              Array(DType::u8, {1 << 24, 1 << 24, 2});
            }),
            "the shape [16777216,16777216,2] has more elements than any memory can hold");
}

TEST(Limits, ElementsOfAValueInAGraph) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {1, 1 << 20}});
  const std::string error = error_of([&] { broadcast(x, {1 << 30, 1 << 20}); });
  EXPECT_NE(error.find("limits.cpp:"), error.npos) << error;
  EXPECT_NE(error.find("[1073741824,1048576] has more elements than"), error.npos) << error;
}

std::string error_of_making(nn::Layer layer, const Shape& input) {
  nn::Sequential net{std::move(layer)};
  return error_of([&] { nn::make_parameters(net, {DType::f32, input}, 0); });
}

TEST(Limits, Layers) {
  EXPECT_EQ(error_of_making(nn::Linear{huge}, {1, 784}),
            "the parameter 0.weight [784,4611686018427387904]: the shape [784,4611686018427387904] has more elements "
            "than any memory can hold");
  EXPECT_NE(error_of([] {
              nn::Conv(8, {3, huge});
            }).find("Conv: the kernel must be at most 2147483648, got 3x46116860"),
            std::string::npos);
  EXPECT_NE(error_of([] { nn::Conv(8, 3, {.dilation = huge}); }).find("Conv: the dilation must be at most 2147483648"),
            std::string::npos);
  EXPECT_NE(error_of([] { nn::MaxPool{huge}; }).find("MaxPool: the kernel must be at most 2147483648, got 46116860"),
            std::string::npos);
  EXPECT_NE(error_of([] { nn::Upsample{huge}; }).find("Upsample: the factor must be from 1 to 16384"),
            std::string::npos);
  EXPECT_NE(error_of([] { nn::vgg_small(10, huge); }), "");
  EXPECT_NE(error_of([] { nn::resnet18(10, huge); }), "");
}

// Windows that are larger than the image are told so, up to the largest.
TEST(Limits, Windows) {
  const std::string error =
      error_of_making(nn::Conv{4, 1 << 30, {.stride = 1 << 30, .padding = 1 << 30, .dilation = 1 << 30}}, {1, 8, 8, 1});
  EXPECT_NE(error, "");
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {1, 8, 8, 1}});
  EXPECT_NE(error_of([&] {
              max_pool(x, {2, 2}, {.strides = {1, huge}, .low = {0, 0}, .high = {0, 0}});
            }).find("nothing can be larger than 2147483648, got 4611686018427387904"),
            std::string::npos);
}

TEST(Limits, Schedules) {
  const optim::RunLength run{1000, 10};
  const auto made = [&](std::string_view kind, std::string name, double value) {
    return optim::make_schedule(kind, {{std::move(name), value}}, run);
  };
  EXPECT_EQ(made("steps", "every", 1e300)(999), 1);  // later than the run's end: never
  EXPECT_EQ(made("warm_restarts", "first", 1e300)(999), 1);
  EXPECT_LT(made("constant", "warm_up", std::numeric_limits<double>::infinity())(999), 1e-6);
  EXPECT_EQ(error_of([&] { made("steps", "every", NAN); }), "schedule every must be at least 0, got nan");
}

TEST(Limits, CosinesThatGrowByLessThanAStep) {
  const optim::Schedule slowly = optim::schedule::warm_restarts(1, 1.25);  // 1, 1.25, 1.5625, 1.953125 .. steps
  EXPECT_EQ(slowly(1), 1);
  EXPECT_NEAR(slowly(5), (1 + std::cos(std::numbers::pi * (5 - 3.8125) / 1.953125)) / 2, 1e-12);
}

TEST(Limits, Batches) {
  data::Dataset numbers;
  numbers.inputs = Array(DType::f32, {3, 2});
  numbers.targets = Array(DType::f32, {3, 1});
  EXPECT_EQ(error_of([&] { data::Batches(numbers, {.batch_size = huge}); }),
            "batches: a batch size of 4611686018427387904 is more than 4294967295");
}

}  // namespace
}  // namespace descent
