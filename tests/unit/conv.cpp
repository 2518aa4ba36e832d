// Convolutions and pooling as the CPU backend runs them, at sizes that the table of checks leaves out, against the ops'
// meanings in double.
#include <gtest/gtest.h>

#include <cmath>

#include "array_testing.h"
#include "descent/base/threads.h"
#include "descent/ops/conv.h"
#include "descent/ops/input.h"
#include "descent/ops/sum_pool.h"
#include "descent/reference/interpreter.h"
#include "descent/runtime/compiled_step.h"

namespace {

using namespace descent;

// A case's convolution and its two gradients on random operands: what the CPU gives, and by which kernels.
struct Outcome {
  std::vector<Array> results;
  std::vector<std::string> kernels;
};
struct Kind {
  const OpDef* op;
  Type first, second;
  Attrs attrs;
};

std::vector<Kind> kinds_of(const ConvCase& c) {
  Attrs attrs = c.attrs();
  attrs.set("to", DType::f32);
  return {{&op_def<Conv>(), c.image(), c.weights(), attrs},
          {&op_def<ConvInputGradient>(), c.result(), c.weights(), Attrs(attrs).set("sizes", spatial_sizes(c.x))},
          {&op_def<ConvWeightGradient>(), c.image(), c.result(), Attrs(attrs).set("window", c.window)}};
}

Outcome run(const Kind& kind, const Array& a, const Array& b) {
  Graph graph;
  const Tensor in[] = {input(graph, "a", kind.first), input(graph, "b", kind.second)};
  const Value result = apply(*kind.op, in, kind.attrs, {})[0].value();
  CompiledStep step(graph, std::span(&result, 1), {}, default_backend(), {.profile = true});
  step.bind("a", a);
  step.bind("b", b);
  step.run();
  return {{step.result(0).clone()}, {step.step_times()[0].kernel}};
}

// The largest error, in parts of what rounding sums of that many products may make.
double worst_error(const Kind& kind, const Array& a, const Array& b, const Array& got) {
  const std::vector<Dense> in{dense(a), dense(b)};
  std::vector<Dense> squares = in;
  for (Dense& each : squares)
    for (double& value : each.values) value *= value;
  std::vector<Dense> ones = in;
  for (Dense& each : ones) std::ranges::fill(each.values, 1);
  const Dense want = evaluate_op(*kind.op, kind.attrs, in, {.exact = true})[0];
  const Dense size = evaluate_op(*kind.op, kind.attrs, squares, {.exact = true})[0];
  const Dense count = evaluate_op(*kind.op, kind.attrs, ones, {.exact = true})[0];
  double worst = 0;
  for (size_t i = 0; i < want.values.size(); ++i) {
    const double allowed =
        0x1p-23 * (std::abs(want.values[i]) + std::sqrt((count.values[i] + 1) * size.values[i])) + 1e-30;
    worst = std::max(worst, std::abs(got.at(static_cast<int64_t>(i)) - want.values[i]) / allowed);
  }
  return worst;
}

const std::vector<ConvCase>& larger_cases() {
  static const std::vector<ConvCase> cases{
      {"first layer", {11, 12, 13, 3}, {3, 3}, 24, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"one channel", {9, 28, 28, 1}, {5, 5}, 6, {1, 1}, {2, 2}, {2, 2}, {1, 1}},
      {"deep", {5, 6, 7, 64}, {3, 3}, 48, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"strided", {10, 9, 8, 33}, {3, 3}, 16, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
      {"one by one", {4, 5, 5, 40}, {1, 1}, 70, {1, 1}, {0, 0}, {0, 0}, {1, 1}},
      {"one by one strided", {4, 8, 8, 32}, {1, 1}, 64, {2, 2}, {0, 0}, {0, 0}, {1, 1}},
      {"depthwise", {3, 9, 9, 32}, {3, 3}, 32, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 32},
      {"groups", {3, 6, 6, 32}, {3, 3}, 64, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 4},
      {"one image", {1, 16, 16, 8}, {3, 3}, 8, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"sound", {3, 160, 8}, {9}, 16, {2}, {4}, {4}, {1}},
      {"long sound", {2, 500, 4}, {5}, 8, {1}, {2}, {2}, {1}}};
  return cases;
}

bool processor_has(const char* what) { return default_backend().describe().find(what) != std::string::npos; }

TEST(Conv, LargerShapesAreRight) {
  for (ConvCase c : larger_cases())
    for (const DType dtype : {DType::f32, DType::bf16}) {
      c.dtype = dtype;
      for (const Kind& kind : kinds_of(c)) {
        const Array a = random_array(kind.first, 1), b = random_array(kind.second, 2);
        const Outcome done = run(kind, a, b);
        EXPECT_LT(worst_error(kind, a, b, done.results[0]), 4)
            << c.name << " " << kind.op->name << " " << to_text(dtype) << " by " << done.kernels[0];
      }
    }
}

// Batches that our own kernels take where the processor has AVX-512, or matrix tiles: whole and broken groups of
// images, blocks of channels and bands of rows.
const std::vector<ConvCase>& tiled_cases() {
  static const std::vector<ConvCase> cases{
      {"whole", {32, 4, 4, 32}, {3, 3}, 32, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"half", {16, 5, 3, 40}, {3, 3}, 48, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"broken", {61, 4, 5, 33}, {3, 2}, 70, {1, 1}, {1, 0}, {1, 1}, {1, 1}},
      {"few channels", {45, 7, 6, 3}, {3, 3}, 24, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"one channel", {48, 9, 9, 1}, {5, 5}, 6, {2, 2}, {2, 2}, {2, 2}, {1, 1}},
      {"many windows", {30, 6, 6, 8}, {3, 3}, 17, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"strided", {32, 9, 8, 20}, {3, 3}, 16, {2, 3}, {1, 1}, {1, 1}, {1, 1}},
      {"gaps", {32, 7, 7, 34}, {1, 1}, 36, {2, 2}, {0, 0}, {0, 0}, {1, 1}},
      {"dilated", {32, 8, 9, 18}, {3, 3}, 20, {3, 1}, {2, 2}, {2, 2}, {2, 3}},
      {"far padding", {32, 2, 2, 20}, {3, 3}, 18, {2, 2}, {2, 2}, {2, 2}, {1, 1}},
      {"pixels", {128, 1, 1, 50}, {1, 1}, 40, {1, 1}, {0, 0}, {0, 0}, {1, 1}},
      {"alone", {96, 1, 1, 24}, {3, 3}, 24, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"many rows", {16, 70, 9, 64}, {3, 1}, 20, {1, 1}, {1, 0}, {1, 0}, {1, 1}},
      {"sound", {32, 90, 24}, {5}, 18, {2}, {2}, {2}, {1}},
      {"several bands", {31, 40, 12, 96}, {3, 3}, 8, {1, 1}, {1, 1}, {1, 1}, {1, 1}}};
  return cases;
}

TEST(Conv, OurOwnKernelsAreRight) {
  int vectors = 0;
  for (ConvCase c : tiled_cases())
    for (const DType dtype : {DType::f32, DType::bf16}) {
      c.dtype = dtype;
      for (const Kind& kind : kinds_of(c)) {
        const Array a = random_array(kind.first, 1), b = random_array(kind.second, 2);
        const Outcome done = run(kind, a, b), again = run(kind, a, b);
        const std::string what = text(c.name, " ", kind.op->name, " ", to_text(dtype), " by ", done.kernels[0]);
        EXPECT_LT(worst_error(kind, a, b, done.results[0]), 4) << what;
        EXPECT_EQ(done.results[0].to_doubles(), again.results[0].to_doubles()) << what;
        if (dtype == DType::bf16) {
          EXPECT_EQ(done.kernels[0].starts_with("tiles"), processor_has("AMX")) << what;
        }
        vectors += done.kernels[0].starts_with("vectors") ? 1 : 0;
      }
    }
  EXPECT_TRUE(vectors > 10 || !processor_has("AVX-512")) << vectors;
}

// Windows of few numbers: edges, several panels of channels, more numbers than registers hold sums of, one image.
const std::vector<ConvCase>& direct_cases() {
  static const std::vector<ConvCase> cases{
      {"digits", {7, 13, 11, 1}, {3, 3}, 32, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"two panels", {3, 9, 8, 1}, {3, 3}, 50, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"narrow", {5, 8, 8, 3}, {2, 2}, 5, {1, 1}, {0, 0}, {0, 0}, {1, 1}},
      {"many numbers", {6, 7, 9, 1}, {4, 4}, 24, {1, 1}, {1, 2}, {2, 1}, {1, 1}},
      {"strided, dilated", {4, 12, 11, 1}, {3, 3}, 18, {2, 3}, {2, 1}, {1, 2}, {2, 1}},
      {"leaves some out", {4, 12, 11, 2}, {2, 2}, 18, {5, 4}, {0, 0}, {0, 0}, {1, 1}},
      {"far padding", {4, 2, 2, 2}, {2, 2}, 20, {2, 2}, {3, 3}, {3, 3}, {1, 1}},
      {"sound", {9, 70, 2}, {5}, 40, {2}, {2}, {2}, {1}},
      {"one image", {1, 6, 6, 1}, {3, 3}, 33, {1, 1}, {1, 1}, {1, 1}, {1, 1}}};
  return cases;
}

TEST(Conv, WindowsOfFewNumbersAreMultipliedWhereTheyLie) {
  for (ConvCase c : direct_cases())
    for (const DType dtype : {DType::f32, DType::bf16}) {
      c.dtype = dtype;
      for (const Kind& kind : kinds_of(c)) {
        const Array a = random_array(kind.first, 1), b = random_array(kind.second, 2);
        const Outcome done = run(kind, a, b);
        const std::string what = text(c.name, " ", kind.op->name, " ", to_text(dtype), " by ", done.kernels[0]);
        EXPECT_LT(worst_error(kind, a, b, done.results[0]), 4) << what;
        if (kind.op != &op_def<ConvInputGradient>() && processor_has(dtype == DType::f32 ? "AVX-512" : "BF16")) {
          EXPECT_EQ(done.kernels[0], "vectors, direct") << what;
        }
      }
    }
}

// Rounded to bf16 where a net keeps its images so.
TEST(Conv, OurOwnKernelsRoundTheirResults) {
  const ConvCase deep{"rounded", {48, 5, 5, 24}, {3, 3}, 40, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1, DType::bf16};
  const ConvCase first{"rounded", {48, 9, 9, 1}, {3, 3}, 40, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1, DType::bf16};
  for (const ConvCase& c : {deep, first})
    for (Kind kind : kinds_of(c)) {
      const Array a = random_array(kind.first, 1), b = random_array(kind.second, 2);
      const std::vector<double> exact = run(kind, a, b).results[0].to_doubles();
      kind.attrs.set("to", DType::bf16);
      const std::vector<double> got = run(kind, a, b).results[0].to_doubles();
      for (size_t i = 0; i < got.size(); ++i)
        ASSERT_EQ(got[i], float_from_bf16(bf16_from_float(static_cast<float>(exact[i])))) << kind.op->name;
    }
}

TEST(Conv, TheSameForEveryNumberOfThreads) {
  const int before = thread_count();
  for (ConvCase c : {direct_cases()[0], direct_cases()[3], larger_cases()[2], tiled_cases()[2], tiled_cases()[3],
                     tiled_cases()[12], tiled_cases()[14]})
    for (const DType dtype : {DType::f32, DType::bf16}) {
      c.dtype = dtype;
      for (const Kind& kind : kinds_of(c)) {
        const Array a = random_array(kind.first, 1), b = random_array(kind.second, 2);
        std::vector<double> first;
        for (const int threads : {1, 2, 3, 7}) {
          set_thread_count(threads);
          const std::vector<double> got = run(kind, a, b).results[0].to_doubles();
          if (threads == 1) first = got;
          EXPECT_EQ(first, got) << kind.op->name << " " << to_text(dtype) << " on " << threads << " threads";
        }
      }
    }
  set_thread_count(before);
}

// oneDNN 2.6 writes beside its buffers there, so its kernel is not used.
TEST(Conv, WideRowsGoAroundTheBrokenKernel) {
  for (const int64_t groups : {1, 2})
    for (const int64_t examples : {1, 3, 1000}) {
      const ConvCase c{"wide", {examples, 400, 4}, {3}, 4, {1}, {1}, {1}, {1}, groups, DType::bf16};
      const Kind kind = kinds_of(c)[2];
      const Array a = random_array(kind.first, 1), b = random_array(kind.second, 2);
      const Outcome done = run(kind, a, b);
      EXPECT_FALSE(done.kernels[0].starts_with("oneDNN")) << done.kernels[0];
      EXPECT_LT(worst_error(kind, a, b, done.results[0]), 4) << examples << " examples, " << groups << " groups";
    }
}

TEST(Conv, CountsItsWork) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {2, 8, 8, 6}}),
               weights = input(graph, "w", {DType::f32, {3, 3, 2, 9}});
  const Tensor y = conv(x, weights, {.strides = {2, 2}, .low = {1, 1}, .high = {1, 1}, .groups = 3});
  EXPECT_EQ(y.shape(), (Shape{2, 4, 4, 9}));
  EXPECT_EQ(contraction_flops(graph, y.node()), 2 * (2 * 4 * 4) * 9 * (3 * 3 * 2));
  const Tensor back = conv_input_gradient(y, weights, {8, 8}, y.node().attrs, {});
  EXPECT_EQ(contraction_flops(graph, back.node()), 2 * (2 * 4 * 4) * 9 * (3 * 3 * 2));
}

TEST(Conv, TransposedSizesAreThoseOfTheConv) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {1, 4, 5, 6}}),
               weights = input(graph, "w", {DType::f32, {3, 2, 7, 6}});
  EXPECT_EQ(conv_transpose(x, weights, {.strides = {2, 3}, .low = {1, 0}, .high = {1, 0}}).shape(),
            (Shape{1, 7, 14, 7}));
  EXPECT_EQ(conv_transpose(x, weights, {.strides = {2, 3}}, {1, 2}).shape(), (Shape{1, 10, 16, 7}));
}

TEST(Pooling, WideImagesInEveryType) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Array a = random_array({dtype, {5, 14, 14, 70}}, 3);
    Graph graph;
    const Tensor x = input(graph, "x", a.type()),
                 largest = max_pool(x, {3, 3}, {.strides = {2, 2}, .low = {1, 1}, .high = {1, 1}});
    const Tensor mean = average_pool(x, {2, 2});
    const std::vector<Value> values{largest.value(), mean.value()};
    const std::vector<Array> got = run_once(graph, values, {{"x", a}});
    const std::vector<Dense> want = interpret(graph, {{"x", dense(a)}}, values);
    EXPECT_EQ(got[0].to_doubles(), want[0].values);
    for (size_t i = 0; i < want[1].values.size(); ++i)
      ASSERT_NEAR(got[1].at(static_cast<int64_t>(i)), want[1].values[i], dtype == DType::f32 ? 1e-6 : 0.01);
  }
}

// Windows apart, overlapping and with gaps: one source an element, several, or none; ties and NaN go to the first.
TEST(Pooling, GivesBackToTheChosenElements) {
  struct Case {
    std::vector<int64_t> window, strides, low;
  };
  for (const Case& c : {Case{{2, 2}, {2, 2}, {0, 0}}, Case{{3, 3}, {2, 2}, {1, 1}}, Case{{2, 1}, {3, 2}, {0, 0}}})
    for (const DType dtype : {DType::f32, DType::bf16}) {
      Array a = random_array({dtype, {4, 9, 8, 52}}, 5);
      for (int64_t i = 0; i < a.elements(); ++i) a.set(i, i % 89 == 0 ? NAN : std::round(a.at(i) * 2) / 2);
      Graph graph;
      const Tensor x = input(graph, "x", a.type());
      const Attrs attrs{{"window", c.window}, {"strides", c.strides}, {"low", c.low}, {"high", c.low}};
      const Tensor in[] = {x};
      const Tensors largest = apply(op_def<MaxPool>(), in, attrs, {});
      const Array g = random_array({dtype, largest[0].shape()}, 6);
      const Tensor back = max_pool_gradient(input(graph, "g", g.type()), largest[1], {9, 8}, attrs, {});
      const std::vector<Value> values{largest[0].value(), largest[1].value(), back.value()};
      const std::vector<Array> got = run_once(graph, values, {{"x", a}, {"g", g}});
      const std::vector<Dense> want = interpret(graph, {{"x", dense(a)}, {"g", dense(g)}}, values);
      for (size_t i = 0; i < want[0].values.size(); ++i) {
        const double value = got[0].at(static_cast<int64_t>(i)), wanted = want[0].values[i];
        ASSERT_TRUE(value == wanted || (std::isnan(value) && std::isnan(wanted))) << value << " and not " << wanted;
      }
      EXPECT_EQ(got[1].to_doubles(), want[1].values);
      for (size_t i = 0; i < want[2].values.size(); ++i)
        ASSERT_NEAR(got[2].at(static_cast<int64_t>(i)), want[2].values[i], dtype == DType::f32 ? 1e-6 : 0.02);
    }
}

}  // namespace
