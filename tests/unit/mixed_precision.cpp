// Mixed precision: what is rounded, what is stored rounded, and what stays exact.
#include <gtest/gtest.h>

#include "descent/compile/compile.h"
#include "descent/compile/lower.h"
#include "descent/grad/gradient.h"
#include "descent/ops/ops.h"
#include "descent/runtime/compiled_step.h"

namespace {

using namespace descent;

Program compiled(const Graph& graph, std::initializer_list<Tensor> results, CompileOptions options) {
  std::vector<Value> values;
  for (const Tensor& result : results) values.push_back(result.value());
  return compile_graph(graph, values, options).program;
}

Array numbers(const Shape& shape, const std::vector<double>& values) {
  Array out(Type{DType::f32, shape});
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, values[static_cast<size_t>(i)]);
  return out;
}

TEST(MixedPrecision, RoundsProductsOnlyAndKeepsOneCopy) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {8, 4}}), w = input(graph, "w", {DType::f32, {4, 4}});
  const Tensor h = relu(matmul(x, w));
  const Tensor out = matmul(h, w) + h;
  const Program program = compiled(graph, {out}, {.mixed_precision = true});
  int bf16_products = 0, f32_copies_of_h = 0;
  for (const Step& step : program.steps)
    if (const auto* call = std::get_if<CallStep>(&step.work)) {
      bf16_products += call->reads[0].dtype == DType::bf16 && call->reads[1].dtype == DType::bf16;
      f32_copies_of_h += call->attrs.has("activation") && call->writes[0].dtype == DType::f32;
    }
  EXPECT_EQ(bf16_products, 2);
  EXPECT_EQ(f32_copies_of_h, 0) << to_text(program);
}

// What the products of 1024 x 128 are stored as, in order.
std::vector<DType> stored_products(const Program& program) {
  std::vector<DType> out;
  for (const Step& step : program.steps)
    if (std::holds_alternative<CallStep>(step.work))
      for (const View& view : writes_of(step))
        if (view.elements() == 1024 * 128) out.push_back(view.dtype);
  return out;
}

TEST(MixedPrecision, TheBranchesOfAResidualAreRounded) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {1024, 128}}), w = input(graph, "w", {DType::f32, {128, 128}});
  Tensor residual = x;
  for (int i = 0; i < 2; ++i) residual = residual + matmul(residual / sum(residual, {1}, true), w);
  const Tensor scores = matmul(residual, w), added = scores + x;
  const Program program = compiled(graph, {residual, sum(residual), added, sum(added)}, {.mixed_precision = true});
  const std::vector<DType> wanted{DType::bf16, DType::bf16, DType::f32};  // what is a result is exact
  EXPECT_EQ(stored_products(program), wanted) << to_text(program);
  EXPECT_EQ(program.buffers[program.outputs[0]].type.dtype, DType::f32);
}

TEST(MixedPrecision, ABiasThatSeveralSeeIsNoResidual) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {1024, 128}}), w = input(graph, "w", {DType::f32, {128, 128}});
  const Tensor all = matmul(x, w) + broadcast(input(graph, "bias", {DType::f32, {128}}), {1024, 128});
  const Tensor first = slice_axis(all, 0, 0, 512), second = slice_axis(all, 0, 512, 1024);
  const Program program = compiled(graph, {tanh(first), tanh(second)}, {.mixed_precision = true});
  EXPECT_EQ(stored_products(program), std::vector{DType::f32}) << to_text(program);
}

TEST(MixedPrecision, MakesRoundedWhatGeluAndItsGradientShowRounded) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {8, 4}}), w = input(graph, "w", {DType::f32, {4, 4}});
  const auto text_of = [&](bool approximate, bool mixed) {
    const Tensor out = mean(matmul(gelu(matmul(x, w), approximate), w));
    return to_text(compiled(graph, {gradients(out, std::span(&w, 1))[0]}, {.mixed_precision = mixed}));
  };
  const auto has = [](const std::string& program, std::string_view what) {
    return program.find(what) != std::string::npos;
  };
  const std::string rounded = text_of(false, true);
  EXPECT_TRUE(has(rounded, "rounded_gelu.bf16") && has(rounded, "rounded_gelu_slope.bf16")) << rounded;
  EXPECT_FALSE(has(rounded, "erf")) << rounded;
  for (const std::string& other : {text_of(false, false), text_of(true, true)})
    EXPECT_FALSE(has(other, "rounded_gelu")) << other;
}

TEST(MixedPrecision, StoresTheSlopeOfAConvolutionsGelu) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {2, 6, 6, 3}}), bias = input(graph, "bias", {DType::f32, {3}});
  const Tensor w = input(graph, "w", {DType::f32, {3, 3, 3, 3}});
  const Tensor out = mean(conv(gelu(conv(x, w) + bias), w));
  const std::string program =
      to_text(compiled(graph, {gradients(out, std::span(&w, 1))[0]}, {.mixed_precision = true}));
  EXPECT_NE(program.find("rounded_gelu_slope.bf16"), std::string::npos) << program;
  EXPECT_EQ(program.find("erf"), std::string::npos) << program;
}

// A product reads the largest elements rounded, and their gradient looks for the elements that equal them.
TEST(MixedPrecision, FindsTheLargestElementsThatAProductReads) {
  const std::map<std::string, Array> arrays{{"x", numbers({2, 3}, {1.001, 3.003, 3.003, -1.1, -2.2, -0.7})},
                                            {"w", numbers({1, 2}, {2, 6})},
                                            {"v", numbers({3, 1}, {1, 1, 1})}};
  for (const bool rounded : {false, true}) {  // x in bf16 as well, for another product
    Graph graph;
    const Tensor x = input(graph, "x", {DType::f32, {2, 3}}), all = x * 1.5;
    const Tensor w = input(graph, "w", {DType::f32, {1, 2}}), v = input(graph, "v", {DType::f32, {3, 1}});
    Tensor loss = sum(matmul(max(all, {1}, true), w));
    if (rounded) loss = loss + sum(matmul(all, v));
    const Value results[] = {gradients(loss, std::span(&x, 1))[0].value(), loss.value()};
    const Array result = run_once(graph, results, arrays, {.mixed_precision = true})[0];
    const double rest = rounded ? 1.5 : 0, wanted[] = {0, 6, 6, 0, 0, 12};
    for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(result.at(i), wanted[i] + rest) << i << rounded;
  }
}

}  // namespace
