// Which loop kernels become machine code. (That it computes what the tile machine does: unit/tile_machine and
// unit/tile_kernels run every kernel on each target, code among them.)
#include <gtest/gtest.h>

#include "descent/backend/cpu/tile_machine.h"
#include "descent/compile/compile.h"
#include "descent/grad/gradient.h"
#include "descent/ops/add.h"
#include "descent/ops/batch_norm.h"
#include "descent/ops/cast.h"
#include "descent/ops/cross_entropy.h"
#include "descent/ops/div.h"
#include "descent/ops/dropout.h"
#include "descent/ops/exp.h"
#include "descent/ops/gelu.h"
#include "descent/ops/input.h"
#include "descent/ops/layer_norm.h"
#include "descent/ops/log.h"
#include "descent/ops/mean.h"
#include "descent/ops/mul.h"
#include "descent/ops/relu.h"
#include "descent/ops/rounded_gelu_slope.h"
#include "descent/ops/sigmoid.h"
#include "descent/ops/softmax.h"
#include "descent/ops/split.h"
#include "descent/ops/sqrt.h"
#include "descent/ops/sub.h"
#include "descent/ops/tanh.h"

namespace {

using namespace descent;

// Whether all large loops of a graph's program are machine code.
bool all_native(const Graph& graph, std::vector<Value> results) {
  const Program program = compile_graph(graph, results, {}).program;
  int64_t large = 0;
  for (const Step& step : program.steps) {
    const auto* loop = std::get_if<LoopStep>(&step.work);
    if (loop == nullptr || loop->kernels[0].rows * loop->kernels[0].columns < 1000) continue;
    ++large;
    if (!cpu::TileLaunch(*loop, program, 2).is_native()) return false;
  }
  EXPECT_GT(large, 0);
  return true;
}

class NativeLoops : public testing::Test {
 protected:
  void SetUp() override {
    if (!cpu::tile_target().ends_with("+CODE")) GTEST_SKIP() << "this processor has no native loops";
  }
  Graph graph_;
};

TEST_F(NativeLoops, RunAnUpdateLikeAdams) {
  const Type type{DType::f32, {100, 70}};
  const Tensor w = input(graph_, "w", type), m = input(graph_, "m", type), v = input(graph_, "v", type);
  const Tensor g = input(graph_, "g", type), rate = input(graph_, "rate", {DType::f32, {}});
  const Tensor moment = m * 0.9 + g * 0.1, square = v * 0.999 + g * g * 0.001;
  const Tensor next = w - moment / (sqrt(square) + 1e-8) * rate;
  EXPECT_TRUE(all_native(graph_, {moment.value(), square.value(), next.value(), cast(next, DType::bf16).value()}));
}

TEST_F(NativeLoops, RunBatchNormAndItsSums) {
  const Tensor x = input(graph_, "x", {DType::bf16, {64, 8, 8, 48}});
  const Tensor gain = input(graph_, "gain", {DType::f32, {48}}), bias = input(graph_, "bias", {DType::f32, {48}});
  const Tensor y = relu(batch_norm(cast(x, DType::f32), gain, bias)[0]);
  EXPECT_TRUE(all_native(graph_, {cast(y, DType::bf16).value()}));
}

TEST_F(NativeLoops, RunNormsAndTheirGradients) {
  const Tensor x = input(graph_, "x", {DType::f32, {40, 100}}), y = input(graph_, "y", {DType::f32, {40, 100}});
  const Tensor gain = input(graph_, "gain", {DType::f32, {100}}), bias = input(graph_, "bias", {DType::f32, {100}});
  const Tensor sum = x + y, normal = layer_norm(sum, gain, bias);
  EXPECT_TRUE(all_native(graph_, {sum.value(), cast(normal, DType::bf16).value()}));
  const Tensor back = gradients(std::span(&normal, 1), std::span(&y, 1), std::span(&x, 1))[0];
  EXPECT_TRUE(all_native(graph_, {(back + y).value()}));
  EXPECT_TRUE(all_native(graph_, {softmax(x).value()}));
}

TEST_F(NativeLoops, RunTheLossOfClassesAndItsGradient) {
  const Tensor scores = input(graph_, "scores", {DType::f32, {40, 100}});
  const Tensor classes = input(graph_, "classes", {DType::i32, {40}});
  const Tensor loss = mean(cross_entropy(scores, classes), {0}), one = constant(graph_, 1.0);
  const Tensor back = gradients(std::span(&loss, 1), std::span(&one, 1), std::span(&scores, 1))[0];
  EXPECT_TRUE(all_native(graph_, {loss.value(), cast(back, DType::bf16).value()}));
}

TEST_F(NativeLoops, RunDropoutBesideANorm) {
  const Type words{DType::u32, {2}};
  const Tensor key = input(graph_, "key", words), counter = input(graph_, "counter", words);
  const Tensor x = input(graph_, "x", {DType::f32, {40, 100}}), y = input(graph_, "y", {DType::f32, {40, 100}});
  const Tensor gain = input(graph_, "gain", {DType::f32, {100}}), bias = input(graph_, "bias", {DType::f32, {100}});
  const Tensor sum = x + dropout(y, key, counter, 0.1, 0);
  EXPECT_TRUE(all_native(graph_, {sum.value(), cast(layer_norm(sum, gain, bias), DType::bf16).value()}));
}

TEST_F(NativeLoops, RunGeluBesideItsSlope) {
  const Tensor x = input(graph_, "x", {DType::f32, {40, 100}});
  EXPECT_TRUE(all_native(graph_, {cast(gelu(x), DType::bf16).value(), cast(gelu_slope(x), DType::bf16).value()}));
  EXPECT_TRUE(all_native(graph_, {rounded_gelu(x).value(), rounded_gelu_slope(x).value()}));
}

TEST_F(NativeLoops, RunPartsOfRows) {
  const Tensor sums = input(graph_, "sums", {DType::f32, {30, 96}}), bias = input(graph_, "bias", {DType::f32, {48}});
  const Tensors gates = split(sums, 1, 2);
  EXPECT_TRUE(all_native(graph_, {(sigmoid(gates[0]) * tanh(gates[1] + bias)).value()}));
}

TEST_F(NativeLoops, LeaveWhatTheyLackToTheTileMachine) {
  const Tensor x = input(graph_, "x", {DType::f32, {5000}});
  EXPECT_TRUE(all_native(graph_, {exp(x).value()}));
  EXPECT_FALSE(all_native(graph_, {log(x).value()}));
}

}  // namespace
