// Matrix products as the CPU backend runs them, against plain sums in double.
#include <gtest/gtest.h>

#include <cmath>

#include "array_testing.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"
#include "descent/graph/op.h"
#include "descent/ops/cast.h"
#include "descent/ops/fused_matmul.h"
#include "descent/ops/input.h"
#include "descent/ops/matmul.h"
#include "descent/runtime/compiled_step.h"

namespace {

using namespace descent;

struct Case {
  int64_t m, n, k;
  bool a_transposed, b_transposed;
  DType in, out;
  bool bias, relu;
};

std::string to_text(const Case& c) {
  return text(c.m, "x", c.k, "x", c.n, c.a_transposed ? " A^T" : "", c.b_transposed ? " B^T" : "", " ", c.in, " to ",
              c.out, c.bias ? " bias" : "", c.relu ? " relu" : "");
}

// The largest error of one product, in units of the rounding of its inputs' sums.
double worst_error(const Case& c) {
  Graph graph;
  const Type a_type{c.in, c.a_transposed ? Shape{c.k, c.m} : Shape{c.m, c.k}},
      b_type{c.in, c.b_transposed ? Shape{c.n, c.k} : Shape{c.k, c.n}};
  std::map<std::string, Array> arrays{
      {"a", random_array(a_type, 1)}, {"b", random_array(b_type, 2)}, {"bias", random_array({DType::f32, {c.n}}, 3)}};
  Tensor a = input(graph, "a", a_type), b = input(graph, "b", b_type);
  if (c.a_transposed) a = transpose(a);
  if (c.b_transposed) b = transpose(b);
  Tensors in{a, b};
  if (c.bias) in.push_back(input(graph, "bias", {DType::f32, {c.n}}));
  const Tensor out =
      apply(op_def<FusedMatmul>(), in, {{"activation", std::string(c.relu ? "relu" : "none")}, {"to", c.out}}, {})[0];
  const Value result = out.value();
  const Array got = run_once(graph, std::span(&result, 1), arrays)[0];
  double worst = 0;
  for (int64_t i = 0; i < c.m; ++i)
    for (int64_t j = 0; j < c.n; ++j) {
      double sum = c.bias ? arrays["bias"].at(j) : 0, size = std::abs(sum);
      for (int64_t k = 0; k < c.k; ++k) {
        const double term = arrays["a"].at(c.a_transposed ? k * c.m + i : i * c.k + k) *
                            arrays["b"].at(c.b_transposed ? j * c.k + k : k * c.n + j);
        sum += term;
        size += std::abs(term);
      }
      if (c.relu && sum < 0) sum = 0;
      const double unit = size * 0x1p-24 * std::sqrt(static_cast<double>(c.k) + 1) +
                          (c.out == DType::bf16 ? std::abs(sum) * 0x1p-8 : 0) + 1e-30;
      worst = std::max(worst, std::abs(got.at(i * c.n + j) - sum) / unit);
    }
  return worst;
}

TEST(Matmul, EveryShapeOrderTypeAndEpilogue) {
  const int64_t sizes[][3] = {{1, 1, 1},     {1, 70, 3},     {5, 7, 9},       {6, 64, 16},
                              {7, 65, 17},   {13, 10, 33},   {128, 10, 512},  {12, 130, 64},
                              {97, 200, 31}, {128, 512, 10}, {64, 1024, 128}, {40, 33, 784},
                              {1, 300, 257}, {1, 33, 784},   {1, 64, 64},     {1, 1200, 130}};
  for (const auto& [m, n, k] : sizes)
    for (const int order : {0, 1, 2, 3})
      for (const DType in : {DType::f32, DType::bf16})
        for (const DType out : {DType::f32, DType::bf16}) {
          if (in == DType::f32 && out == DType::bf16) continue;
          const Case c{m, n, k, (order & 1) != 0, (order & 2) != 0, in, out, order != 1, order != 2};
          EXPECT_LT(worst_error(c), 1.0) << to_text(c);
        }
}

// Too many operands for the second cache: in parts along k, and in halves.
TEST(Matmul, LargeOnes) {
  const Case cases[] = {{40, 1700, 900, true, false, DType::bf16, DType::f32, false, false},
                        {33, 1700, 830, false, true, DType::bf16, DType::bf16, true, true},
                        {700, 40, 1100, true, true, DType::bf16, DType::f32, false, false},
                        {33, 700, 1300, false, false, DType::bf16, DType::f32, true, false},
                        {100, 130, 1029, true, false, DType::bf16, DType::f32, false, false}};
  for (const Case& c : cases) EXPECT_LT(worst_error(c), 1.0) << to_text(c);
}

// Rows that are multiplied from where they lie: whole tiles of them and what is left, at once and in parts along k.
TEST(Matmul, RowsThatLieAlongTheSum) {
  const Case cases[] = {{97, 200, 96, false, false, DType::bf16, DType::bf16, true, true},
                        {200, 330, 128, false, true, DType::bf16, DType::f32, false, false},
                        {130, 64, 512, false, true, DType::bf16, DType::bf16, false, false},
                        {97, 200, 1056, false, false, DType::bf16, DType::bf16, true, false},
                        {97, 333, 1056, false, true, DType::bf16, DType::f32, false, true}};
  for (const Case& c : cases) EXPECT_LT(worst_error(c), 1.0) << to_text(c);
}

// The weights of a recurrent layer are multiplied with again and again, and packed once.
TEST(Matmul, OneRightOperandForMany) {
  Graph graph;
  const Tensor a = input(graph, "a", {DType::bf16, {70, 64}}), w = input(graph, "w", {DType::bf16, {64, 64}});
  std::map<std::string, Array> arrays{{"a", random_array(a.type(), 1)}, {"w", random_array(w.type(), 2)}};
  std::vector<Value> results;
  Tensor x = a;
  for (int i = 0; i < 3; ++i) {
    x = cast(matmul(x, w), DType::bf16);
    results.push_back(x.value());
  }
  CompileOptions separate;
  separate.fuse = false;
  for (int run = 0; run < 2; ++run) {
    const std::vector<Array> got = run_once(graph, results, arrays);
    std::map<std::string, Array> given = arrays;
    for (size_t i = 0; i < results.size(); ++i) {
      Graph one;
      const Value result = cast(matmul(input(one, "a", a.type()), input(one, "w", w.type())), DType::bf16).value();
      given["a"] = run_once(one, std::span(&result, 1), given, separate)[0];
      EXPECT_EQ(got[i].to_doubles(), given["a"].to_doubles()) << "product " << i;
    }
    arrays["w"] = random_array(w.type(), 3);
  }
}

// Products of so many rows, and one deep enough to be made in parts.
void expect_the_same_for_every_number_of_threads(int64_t rows) {
  const int before = thread_count();
  Graph graph;
  const Tensor a = input(graph, "a", {DType::f32, {rows, 300}}), b = input(graph, "b", {DType::f32, {300, 190}});
  const Tensor c = input(graph, "c", {DType::f32, {190, 300}}), deep = input(graph, "deep", {DType::bf16, {150, 2000}});
  const std::vector<Value> results{matmul(a, b).value(), matmul(a, transpose(c)).value(),
                                   apply<Matmul>({deep, transpose(deep)}, {{"to", DType::f32}}, {}).value()};
  const std::map<std::string, Array> arrays{{"a", random_array(a.type(), 1)},
                                            {"b", random_array(b.type(), 2)},
                                            {"c", random_array(c.type(), 3)},
                                            {"deep", random_array(deep.type(), 4)}};
  std::vector<std::vector<double>> first;
  for (const int threads : {1, 2, 3, 4}) {
    set_thread_count(threads);
    std::vector<std::vector<double>> got;
    for (const Array& each : run_once(graph, results, arrays)) got.push_back(each.to_doubles());
    if (threads == 1) first = got;
    EXPECT_EQ(first, got) << threads << " threads, " << rows << " rows";
  }
  set_thread_count(before);
}

TEST(Matmul, TheSameForEveryNumberOfThreads) {
  for (const int64_t rows : {1, 70}) expect_the_same_for_every_number_of_threads(rows);
}

// Attention's products of one new place: a row times each head's keys, transposed, and times its values.
TEST(Matmul, BatchesOfOneRow) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    Graph graph;
    const Tensor a = input(graph, "a", {dtype, {2, 3, 1, 40}}), b = input(graph, "b", {dtype, {2, 3, 70, 40}});
    const Tensor c = input(graph, "c", {dtype, {2, 3, 40, 90}});
    const std::vector<Value> results{
        apply(op_def<Matmul>(), Tensors{a, transpose(b)}, {{"to", DType::f32}}, {})[0].value(),
        apply(op_def<Matmul>(), Tensors{a, c}, {{"to", DType::f32}}, {})[0].value()};
    const std::map<std::string, Array> arrays{
        {"a", random_array(a.type(), 1)}, {"b", random_array(b.type(), 2)}, {"c", random_array(c.type(), 3)}};
    const std::vector<Array> got = run_once(graph, results, arrays);
    for (int64_t i = 0; i < 6; ++i) {
      for (int64_t n = 0; n < 70; ++n) {
        double sum = 0;
        for (int64_t k = 0; k < 40; ++k)
          sum += arrays.at("a").at(i * 40 + k) * arrays.at("b").at((i * 70 + n) * 40 + k);
        EXPECT_NEAR(got[0].at(i * 70 + n), sum, 2e-5);
      }
      for (int64_t n = 0; n < 90; ++n) {
        double sum = 0;
        for (int64_t k = 0; k < 40; ++k)
          sum += arrays.at("a").at(i * 40 + k) * arrays.at("c").at((i * 40 + k) * 90 + n);
        EXPECT_NEAR(got[1].at(i * 90 + n), sum, 2e-5);
      }
    }
  }
}

TEST(Matmul, BatchesAndNothing) {
  Graph graph;
  const Tensor a = input(graph, "a", {DType::f32, {2, 3, 4, 5}}), b = input(graph, "b", {DType::f32, {2, 3, 5, 6}});
  const Tensor e = input(graph, "e", {DType::f32, {4, 0}}), f = input(graph, "f", {DType::f32, {0, 3}});
  const std::vector<Value> results{matmul(a, b).value(), matmul(e, f).value()};
  std::map<std::string, Array> arrays{{"a", random_array(a.type(), 1)},
                                      {"b", random_array(b.type(), 2)},
                                      {"e", Array(e.type())},
                                      {"f", Array(f.type())}};
  const std::vector<Array> got = run_once(graph, results, arrays);
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t m = 0; m < 4; ++m)
      for (int64_t n = 0; n < 6; ++n) {
        double sum = 0;
        for (int64_t k = 0; k < 5; ++k)
          sum += arrays["a"].at((i * 4 + m) * 5 + k) * arrays["b"].at((i * 5 + k) * 6 + n);
        EXPECT_NEAR(got[0].at((i * 4 + m) * 6 + n), sum, 1e-5);
      }
  EXPECT_EQ(got[1].to_doubles(), std::vector<double>(12, 0.0));
}

}  // namespace
