// Kernels that run on each piece of a matrix product: the same bits as product and kernel one after the other.
#include <gtest/gtest.h>

#include <algorithm>

#include "array_testing.h"
#include "descent/base/threads.h"
#include "descent/compile/compile.h"
#include "descent/ops/add.h"
#include "descent/ops/cast.h"
#include "descent/ops/div.h"
#include "descent/ops/input.h"
#include "descent/ops/less.h"
#include "descent/ops/matmul.h"
#include "descent/ops/mul.h"
#include "descent/ops/rounded_gelu_slope.h"
#include "descent/ops/sqrt.h"
#include "descent/ops/sub.h"
#include "descent/ops/sum.h"
#include "descent/ops/where.h"
#include "descent/runtime/compiled_step.h"

namespace {

using namespace descent;

struct Case {
  int64_t m, n, k;
  bool a_transposed;
  DType in;
};

enum class Work { update, mask, gelu, scale };
constexpr Work works[] = {Work::update, Work::mask, Work::gelu, Work::scale};

// Of a product a b: as the gradient of a weight w an update of that and of its moment; a sum of columns of what a mask
// leaves of it; its gelu and the slope; or what rounded factors make of it.
struct Update {
  Graph graph;
  std::vector<Value> results;
  std::map<std::string, Array> inputs;

  explicit Update(const Case& c, Work work) {
    const Type a_type{c.in, c.a_transposed ? Shape{c.k, c.m} : Shape{c.m, c.k}}, b_type{c.in, {c.k, c.n}},
        w_type{DType::f32, {c.m, c.n}};
    inputs = {{"a", random_array(a_type, 1)},
              {"b", random_array(b_type, 2)},
              {"w", random_array(w_type, 3)},
              {"v", random_array(w_type, 4)}};
    for (int64_t i = 0; i < c.m * c.n; ++i) inputs["v"].set(i, std::abs(inputs["v"].at(i)));
    Tensor a = input(graph, "a", a_type);
    const Tensor b = input(graph, "b", b_type), w = input(graph, "w", w_type), v = input(graph, "v", w_type);
    if (c.a_transposed) a = transpose(a);
    const Tensor product = apply<Matmul>({a, b}, {{"to", DType::f32}}, {});
    if (work == Work::gelu) {
      results = {rounded_gelu(product).value(), rounded_gelu_slope(product).value()};
    } else if (work == Work::scale) {
      inputs["s"] = random_array({DType::bf16, w_type.shape}, 5);
      const Tensor s = input(graph, "s", {DType::bf16, w_type.shape});
      results = {cast(product * cast(s, DType::f32), DType::bf16).value()};
    } else if (work == Work::mask) {
      const Tensor kept = where(less(0.5, w), product, 0.0);
      results = {kept.value(), sum(kept, {0}).value()};
    } else {
      const Tensor moment = v * 0.9 + product * product * 0.1;
      results = {moment.value(), (w - product * 0.01 / (sqrt(moment) + 1e-8)).value()};
    }
  }

  Program program(bool fuse) const {
    CompileOptions options;
    options.fuse = fuse;
    return compile_graph(graph, results, options).program;
  }
  std::vector<Array> run(bool fuse) const {
    CompileOptions options;
    options.fuse = fuse;
    return run_once(graph, results, inputs, options);
  }
};

int64_t epilogues(const Program& program) {
  return std::ranges::count_if(program.steps, [](const Step& step) {
    const auto* call = std::get_if<CallStep>(&step.work);
    return call != nullptr && call->epilogue.has_value();
  });
}

void expect_equal(const Update& update, const std::string& what) {
  EXPECT_EQ(epilogues(update.program(true)), 1) << what;
  EXPECT_EQ(epilogues(update.program(false)), 0) << what;
  const std::vector<Array> fused = update.run(true), plain = update.run(false);
  for (size_t r = 0; r < plain.size(); ++r) {
    int64_t different = 0;
    for (int64_t i = 0; i < plain[r].elements(); ++i) different += fused[r].at(i) != plain[r].at(i);
    EXPECT_EQ(different, 0) << what << ", result " << r << " of " << plain[r].elements() << " elements";
  }
}

TEST(Epilogue, GivesTheSameBitsAsAKernelOfItsOwn) {
  const Case cases[] = {
      {128, 128, 64, false, DType::f32}, {784, 512, 128, true, DType::f32},   {150, 130, 37, false, DType::f32},
      {128, 128, 64, true, DType::bf16}, {784, 512, 128, true, DType::bf16},  {150, 130, 37, false, DType::bf16},
      {2000, 10, 33, true, DType::bf16}, {16, 2000, 100, false, DType::bf16}, {1100, 1040, 300, true, DType::bf16}};
  for (const int threads : {1, 2}) {
    set_thread_count(threads);
    for (const Case& c : cases)
      for (const Work work : works)
        expect_equal(Update(c, work), text(c.m, "x", c.k, "x", c.n, c.a_transposed ? " A^T " : " ", c.in, ", work ",
                                           static_cast<int>(work), ", ", threads, " threads"));
  }
}

// Its slopes go past the caches.
TEST(Epilogue, GivesTheSameBitsOfALargeGelu) {
  expect_equal(Update({2100, 2048, 40, false, DType::bf16}, Work::gelu), "large");
}

TEST(Epilogue, IsOnlyForTheProductsOnlyReader) {
  Update update({128, 128, 8, false, DType::f32}, Work::update);
  const Tensor a = input(update.graph, "a", {DType::f32, {128, 8}}),
               b = input(update.graph, "b", {DType::f32, {8, 128}});
  update.results.push_back(
      apply<Matmul>({a, b}, {{"to", DType::f32}}, {}).value());  // the product itself is wanted too
  EXPECT_EQ(epilogues(update.program(true)), 0);
}

TEST(Epilogue, IsNotWorthItForSmallProducts) {
  EXPECT_EQ(epilogues(Update({32, 32, 8, false, DType::f32}, Work::update).program(true)), 0);
}

}  // namespace
