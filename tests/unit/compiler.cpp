// The compiler's decisions: what becomes a view, what is fused, where memory goes.
#include <gtest/gtest.h>

#include <algorithm>

#include "descent/compile/compile.h"
#include "descent/compile/lower.h"
#include "descent/compile/passes.h"
#include "descent/compile/view.h"
#include "descent/grad/gradient.h"
#include "descent/ops/ops.h"
#include "descent/runtime/compiled_step.h"

namespace {

using namespace descent;

const LoopStep* loop(const Program& program, size_t step) { return std::get_if<LoopStep>(&program.steps[step].work); }

size_t count_calls(const Program& program) {
  return static_cast<size_t>(std::ranges::count_if(
      program.steps, [](const Step& step) { return std::holds_alternative<CallStep>(step.work); }));
}

// Loads of the first input in its own order.
size_t count_reads_of_whole(const Program& program) {
  size_t count = 0;
  for (const Step& step : program.steps)
    for (const View& view : reads_of(step))
      count += view.buffer == program.inputs[0] && view.dense() &&
               view.elements() == program.buffers[view.buffer].type.shape.elements();
  return count;
}

Program compiled(const Graph&, std::initializer_list<Tensor> results, CompileOptions options = {}) {
  std::vector<Value> values;
  for (const Tensor& result : results) values.push_back(result.value());
  return compile_graph(results.begin()->graph(), values, options).program;
}

// --- views ---

TEST(Views, ReshapeOfADenseViewIsFreeAndOfATransposeIsNot) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {4, 6}});
  const View dense = dense_view(0, x.type());
  EXPECT_EQ(with_sizes(dense, {2, 2, 6})->strides, (std::vector<int64_t>{12, 6, 1}));
  const View transposed = *through(transpose(x).node(), dense);
  EXPECT_EQ(transposed.strides, (std::vector<int64_t>{1, 6}));
  EXPECT_FALSE(with_sizes(transposed, {24}).has_value());
  EXPECT_EQ(with_sizes(transposed, {2, 3, 4})->strides, (std::vector<int64_t>{3, 1, 6}));
}

TEST(Views, BroadcastSliceAndFlipAreStrides) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {5}});
  const View dense = dense_view(0, x.type());
  const View repeated = *through(broadcast(x, {3, 5}).node(), dense);
  EXPECT_EQ(repeated.strides, (std::vector<int64_t>{0, 1}));
  const View part = *through(slice(x, {1}, {5}, {2}).node(), dense);
  EXPECT_EQ(part.offset, 1);
  EXPECT_EQ(part.sizes, (std::vector<int64_t>{2}));
  EXPECT_EQ(part.strides, (std::vector<int64_t>{2}));
  const View reversed = *through(flip(x, {0}).node(), dense);
  EXPECT_EQ(reversed.offset, 4);
  EXPECT_EQ(reversed.strides, (std::vector<int64_t>{-1}));
}

TEST(Views, CollapsingKeepsTheMap) {
  const View view{0, DType::f32, 3, {2, 1, 3, 4}, {24, 99, 4, 1}};
  const View small = collapsed(view);
  EXPECT_EQ(small.sizes, (std::vector<int64_t>{2, 12}));
  EXPECT_EQ(small.strides, (std::vector<int64_t>{24, 1}));
  EXPECT_EQ(small.offset, 3);
}

// --- passes ---

TEST(Simplify, FoldsNumbersAndDropsWhatDoesNothing) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {3}});
  const Tensor same = reshape(transpose(transpose(reshape(x * 1.0 + 0.0, {3, 1}))), {3});
  const Tensor folded = same * (constant(graph, 2.0) * 3.0);
  const Staged staged = simplify({std::shared_ptr<Graph>(&graph, [](Graph*) {}), {folded.value()}});
  std::vector<std::string> names;
  for (const uint32_t id : live_nodes(*staged.graph, staged.results))
    names.emplace_back(staged.graph->node(id).op->name);
  EXPECT_EQ(names, (std::vector<std::string>{"input", "constant", "broadcast", "mul"}));
}

TEST(Simplify, ATransposedProductIsOneOfTransposedOperands) {
  Graph graph;
  const Tensor a = input(graph, "a", {DType::f32, {3, 4}}), b = input(graph, "b", {DType::f32, {4, 5}});
  const Tensor product = matmul(a, b);
  const auto last = [&](std::vector<Value> results) {
    const Staged staged = simplify({std::shared_ptr<Graph>(&graph, [](Graph*) {}), std::move(results)});
    return std::string(staged.graph->node(staged.results[0].node).op->name);
  };
  EXPECT_EQ(last({transpose(product).value()}), "matmul");
  EXPECT_EQ(last({transpose(product).value(), product.value()}), "permute");  // made once, and read both ways
}

// --- fusion ---

struct Mlp {
  Graph graph;
  std::vector<Tensor> parameters;
  std::vector<Tensor> results;
  CompileOptions options;
};

// A training step of a classifier with one hidden layer, Adam and all.
std::unique_ptr<Mlp> mlp(bool mixed) {
  auto out = std::make_unique<Mlp>();
  Graph& graph = out->graph;
  const Tensor x = input(graph, "x", {DType::f32, {16, 20}}), y = input(graph, "y", {DType::i32, {16}});
  const Type types[] = {{DType::f32, {20, 32}}, {DType::f32, {32}}, {DType::f32, {32, 5}}, {DType::f32, {5}}};
  for (int i = 0; i < 4; ++i) out->parameters.push_back(input(graph, text("p", i), types[i]));
  const auto& p = out->parameters;
  const Tensor scores = matmul(relu(matmul(x, p[0]) + p[1]), p[2]) + p[3];
  out->results.push_back(mean(cross_entropy(scores, y)));
  const Tensors gradient = gradients(out->results[0], p);
  const Tensor rate = input(graph, "rate", {DType::f32, {}}), step = input(graph, "step", {DType::f32, {}});
  for (int i = 0; i < 4; ++i) {
    const std::string names[] = {text("p", i), text("m", i), text("v", i)};
    const Tensors updated =
        adam_update(p[i], gradient[i], input(graph, names[1], types[i]), input(graph, names[2], types[i]), rate, step);
    for (int k = 0; k < 3; ++k) {
      out->options.updates.emplace_back(out->results.size(), names[k]);
      out->results.push_back(updated[k]);
    }
  }
  out->options.mixed_precision = mixed;
  return out;
}

Program compiled(const Mlp& net, CompiledProgram* whole = nullptr) {
  std::vector<Value> values;
  for (const Tensor& result : net.results) values.push_back(result.value());
  CompiledProgram compiled_program = compile_graph(net.graph, values, net.options);
  if (whole) *whole = compiled_program;
  return compiled_program.program;
}

// Kernels with an instruction of that kind.
int kernels_with(const Program& program, auto predicate) {
  int count = 0;
  for (size_t i = 0; i < program.steps.size(); ++i)
    if (loop(program, i))
      for (const LoopKernel& kernel : loop(program, i)->kernels) count += std::ranges::any_of(kernel.body, predicate);
  return count;
}

TEST(Fusion, SoftmaxItsLossAndItsGradientAreOneKernel) {
  for (const bool mixed : {false, true}) {
    const Program program = compiled(*mlp(mixed));
    int with_rows = 0;  // Adam's own exponentials, of scalars, apart
    for (size_t i = 0; i < program.steps.size(); ++i)
      if (loop(program, i))
        for (const LoopKernel& kernel : loop(program, i)->kernels)
          with_rows += kernel.rows == 16 && std::ranges::any_of(kernel.body, [](const Instr& instr) {
                         return instr.op == LoopOp::scalar && instr.scalar == ScalarOp::exp;
                       });
    EXPECT_EQ(with_rows, 1) << to_text(program);
  }
}

TEST(Fusion, AllParametersAreUpdatedInOneLaunchInPlace) {
  for (const bool mixed : {false, true}) {
    const Program program = compiled(*mlp(mixed));
    size_t launches = 0, updated = 0;
    for (size_t i = 0; i < program.steps.size(); ++i) {
      size_t here = 0;
      for (const View& view : writes_of(program.steps[i]))
        here += program.buffers[view.buffer].role == BufferRole::input &&
                program.buffers[view.buffer].name.starts_with("p") &&
                !program.buffers[view.buffer].name.ends_with("bf16");
      launches += here > 0;
      updated += here;
    }
    EXPECT_EQ(launches, 1u) << to_text(program);
    EXPECT_EQ(updated, 4u);
  }
}

TEST(Fusion, BiasAndActivationRideInTheProduct) {
  const Program program = compiled(*mlp(false));
  EXPECT_EQ(count_calls(program), 5u);  // two forward, two for weights, one back through the second layer
  const auto* first = std::get_if<CallStep>(&program.steps[0].work);
  ASSERT_NE(first, nullptr) << to_text(program);
  EXPECT_EQ(first->what, "fused_matmul");
  EXPECT_EQ(first->attrs.string("activation"), "relu");
}

TEST(Fusion, MixedPrecisionCarriesTheRoundedWeights) {
  CompiledProgram whole;
  const Program program = compiled(*mlp(true), &whole);
  ASSERT_EQ(whole.carried.size(), 2u);  // both weights, no bias
  EXPECT_EQ(whole.carried[0].source, "p0");
  EXPECT_EQ(whole.carried[0].name, "p0:bf16");
}

TEST(Fusion, ADropoutMaskIsDrawnAgainAndNotStored) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {64, 64}}), w = input(graph, "w", {DType::f32, {64, 64}});
  const Tensor key = input(graph, "key", {DType::u32, {2}}), counter = input(graph, "counter", {DType::u32, {2}});
  const Tensor loss = sum(square(matmul(dropout(relu(matmul(x, w)), key, counter, 0.5, 0), w)));
  const Program program = compiled(graph, {loss, gradients(loss, std::span(&w, 1))[0]});
  EXPECT_EQ(kernels_with(program, [](const Instr& i) { return i.op == LoopOp::random_bits; }), 2);
  for (const Buffer& buffer : program.buffers)
    EXPECT_FALSE(buffer.role == BufferRole::temporary && buffer.type.dtype == DType::boolean);
}

TEST(Fusion, OffMeansAKernelForEachNode) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {8}});
  const Tensor y = exp(x * 2.0) + x;
  EXPECT_EQ(compiled(graph, {y}).steps.size(), 1u);
  EXPECT_EQ(compiled(graph, {y}, {.fuse = false}).steps.size(), 3u);
}

// --- memory ---

TEST(Layout, ListsWhatIsOnlyMoved) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {40, 60}});
  EXPECT_EQ(layout_text(compiled(graph, {x * 2.0 + transpose(reshape(x, {60, 40}))})),
            "nothing is copied or brought into another order between kernels\n");
  const std::string reordered = layout_text(compiled(graph, {transpose(x)}));
  EXPECT_NE(reordered.find("reorders"), std::string::npos) << reordered;
  EXPECT_NE(reordered.find("in all 19200 bytes a step"), std::string::npos) << reordered;
  EXPECT_NE(layout_text(compiled(graph, {reshape(x, {2400})})).find("copies"), std::string::npos);
}

TEST(Memory, TemporariesShareTheArenaAndDyingOnesAreTakenOver) {
  Graph graph;
  Tensor x = input(graph, "x", {DType::f32, {100, 100}});
  for (int i = 0; i < 6; ++i) x = matmul(x, x) * 0.5;
  const Program program = compiled(graph, {x});
  EXPECT_LE(program.arena_bytes, 2 * 100 * 100 * 4 + 256) << to_text(program);
}

// The places of what the only epilogue writes, and of what it reads beside the product.
std::pair<int64_t, int64_t> places_of_epilogue(const Program& program) {
  for (const Step& step : program.steps) {
    const auto* call = std::get_if<CallStep>(&step.work);
    if (call == nullptr || !call->epilogue) continue;
    for (const View& view : reads_of(step))
      if (program.buffers[view.buffer].role == BufferRole::temporary)
        return {program.buffers[writes_of(step)[0].buffer].offset, program.buffers[view.buffer].offset};
  }
  ADD_FAILURE() << "there is no epilogue in\n" << to_text(program);
  return {};
}

TEST(Memory, AnEpilogueTakesThePlaceOfWhatItReadsLastUnlessItsProductReadsThatToo) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {128, 128}}), slope = matmul(x, transpose(x));
  for (const bool is_operand : {false, true}) {
    const Tensor scaled = matmul(is_operand ? slope : x, x) * slope;
    const auto [to, from] = places_of_epilogue(compiled(graph, {matmul(scaled, x)}));
    EXPECT_EQ(to == from, !is_operand);
  }
}

TEST(Memory, TheVerifierSeesAnOverlap) {
  Graph graph;
  Tensor x = input(graph, "x", {DType::f32, {100, 100}});
  const Tensor a = matmul(x, x), b = matmul(x, x + 1.0), c = matmul(a, b);
  Program program = compiled(graph, {c});
  verify(program);
  for (Buffer& buffer : program.buffers)
    if (buffer.role == BufferRole::temporary) buffer.offset = 0;
  EXPECT_THROW(verify(program), Error);
}

TEST(Updates, OneThatIsReadLaterIsCopiedAtTheEnd) {
  Graph graph;
  const Tensor w = input(graph, "w", {DType::f32, {4, 4}});
  const Tensor next = w + 1.0;
  const Tensor both = matmul(next, w);  // needs the old w after the new one is known
  const Program program = compiled(graph, {both, next}, {.updates = {{1, "w"}}});
  const std::vector<View> last = writes_of(program.steps.back());
  EXPECT_EQ(program.buffers[last.back().buffer].name, "w") << to_text(program);
  EXPECT_EQ(program.outputs[1], program.inputs[0]);
}

// --- what random graphs found (tests/table/random_graphs.cpp) ---

// Fused or not, the numbers are the same.
void expect_same_fused(Graph& graph, std::initializer_list<Tensor> results, CompileOptions options = {}) {
  std::vector<Value> values;
  for (const Tensor& result : results) values.push_back(result.value());
  std::vector<std::vector<double>> runs[2];
  for (const bool fuse : {false, true}) {
    std::map<std::string, Array> arrays;
    for (const Node& node : graph.nodes()) {
      if (node.op != &op_def<Input>()) continue;
      Array values_in(node.outputs[0]);
      for (int64_t i = 0; i < values_in.elements(); ++i) values_in.set(i, 0.01 * static_cast<double>(i * 7 % 31) - 0.1);
      arrays.emplace(node.attrs.string("name"), values_in);
    }
    options.fuse = options.donate = fuse;
    for (const Array& array : run_once(graph, values, arrays, options)) runs[fuse].push_back(array.to_doubles());
  }
  for (size_t i = 0; i < values.size(); ++i)
    for (size_t k = 0; k < runs[0][i].size(); ++k)
      ASSERT_NEAR(runs[0][i][k], runs[1][i][k], 1e-5) << "result " << i << ", element " << k;
}

TEST(Fusion, ATransposedReadThroughAnInlinedNodeIsNoRegister) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {16, 8}}), c = input(graph, "c", {DType::f32, {8, 16}});
  const Tensor stored = exp(x), turned = transpose(stored);
  const Tensor cheap = turned * 0.5;  // computed again in both of its readers
  expect_same_fused(graph, {cheap + c, cheap * c, matmul(turned, stored)});
}

TEST(Fusion, TheFirstRowsOfACheapValue) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {4, 8}});
  expect_same_fused(graph, {exp(slice_axis(x * 2.0, 0, 0, 1))});
}

TEST(Memory, APlaceIsTakenOverAfterItsLastRead) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {16, 16}}), y = input(graph, "y", {DType::f32, {16, 16}});
  const Tensor dying = matmul(x, y), kept = matmul(y, x);
  const Tensor early = exp(kept), late = early + dying;
  expect_same_fused(graph, {matmul(early, late), matmul(kept, early)});
}

// The sum under a norm lies where one of its terms did, in whole rows and in those that are gone through in phases.
TEST(Memory, ASumUnderANormTakesATermsPlace) {
  for (const int64_t width : {48, 5000}) {
    Graph graph;
    const Tensor x = input(graph, "x", {DType::f32, {4, 4}}), y = input(graph, "y", {DType::f32, {4, width}});
    const Tensor term = matmul(x, y), sum = term + y, normal = softmax(sum);
    const std::vector<Value> results{matmul(x, sum).value(), matmul(x, normal).value()};
    const Program program = compile_graph(graph, results, {}).program;
    const auto* loop = std::get_if<LoopStep>(&program.steps[1].work);
    ASSERT_TRUE(loop != nullptr && loop->kernels[0].columns == width);
    EXPECT_EQ(program.buffers[writes_of(program.steps[0])[0].buffer].offset,
              program.buffers[writes_of(program.steps[1])[0].buffer].offset);
    expect_same_fused(graph, {matmul(x, sum), matmul(x, normal)});
  }
}

// Of two free places the higher one, which was used a step later.
TEST(Memory, ALargeValueGoesWhereSomethingWasUsedLast) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {516, 256}}), w = input(graph, "w", {DType::f32, {256, 256}});
  const Tensor y = input(graph, "y", {DType::f32, {256, 516}});
  const Tensor larger = matmul(x, w), first = matmul(y, larger);
  const std::vector<Value> results{matmul(matmul(matmul(first, w), w), w).value()};
  const Program program = compile_graph(graph, results, {}).program;
  const auto place = [&](size_t step) { return program.buffers[writes_of(program.steps[step])[0].buffer].offset; };
  EXPECT_EQ(place(2), place(0));
  EXPECT_EQ(place(3), place(1));
}

TEST(Updates, AnInputIsReadBeforeItsNewValueTakesItsPlace) {
  Graph graph;
  const Tensor w = input(graph, "w", {DType::f32, {4, 4}}), x = input(graph, "x", {DType::f32, {4, 4}});
  const Tensor next = x * 0.1;
  expect_same_fused(graph, {next + w, next}, {.updates = {{1, "w"}}});
}

// A value of each row cannot be read from the first elements of what the rows are written over.
TEST(Updates, AnInputThatIsAlsoReadAsItsFirstElementsIsNotInPlace) {
  Graph graph;
  const Tensor w = input(graph, "w", {DType::f32, {600, 16}});
  const Tensor first = exp(reshape(slice_axis(reshape(w, {9600}), 0, 0, 600), {600, 1}));
  const Tensor next = w * broadcast(first, {600, 16});
  expect_same_fused(graph, {sum(next, {1}), next}, {.updates = {{1, "w"}}});
}

TEST(Products, RowsAloneAndReversedMatrices) {
  for (const bool mixed : {false, true}) {
    Graph graph;
    const Tensor column = input(graph, "column", {DType::f32, {2, 1}}),
                 weights = input(graph, "weights", {DType::f32, {8, 1}});
    const Tensor many = input(graph, "many", {DType::f32, {4, 5, 3}});
    expect_same_fused(graph, {matmul(column, transpose(weights)), matmul(flip(many, {0}), transpose(many))},
                      {.mixed_precision = mixed});
  }
}

// The new value takes the old one's bytes, so within a kernel it is stored after the last load of the old one.
TEST(Updates, StoresComeAfterTheLoadsOfWhatTheyReplace) {
  Graph graph;
  const Tensor w = input(graph, "w", {DType::f32, {64}}), x = input(graph, "x", {DType::f32, {64}});
  const Tensor next = x + 1.0, both = w * x;
  const Program program = compiled(graph, {next, both}, {.updates = {{0, "w"}}});
  ASSERT_EQ(program.steps.size(), 1u) << to_text(program);
  const LoopKernel& kernel = loop(program, 0)->kernels[0];
  bool stored = false;
  for (const Instr& instr : kernel.body) {
    const bool of_w = instr.view >= 0 && program.buffers[kernel.views[instr.view].buffer].name == "w";
    if (of_w && instr.op == LoopOp::load) {
      EXPECT_FALSE(stored) << to_text(program);
    }
    stored = stored || (of_w && instr.op == LoopOp::store);
  }
  EXPECT_TRUE(stored);
}

// The first rows of an array are not all of it, although their flat indices are the same: a cheap value is not computed
// again for them alone.
TEST(Views, APrefixIsNotTheWhole) {
  Graph graph;
  const Tensor x = cast(input(graph, "x", {DType::bf16, {6, 4}}), DType::f32), first = slice_axis(x, 0, 0, 1);
  EXPECT_NO_THROW(compiled(graph, {sum(x - first, {0}), reshape(first, {4}) + 1.0}));
}

// --- sequences ---

// A state that a weight changes three times, all states, and the weight's gradient.
struct Sequence {
  Graph graph;
  std::vector<Value> results;

  Sequence() {
    const Tensor x = input(graph, "x", {DType::f32, {30, 20}}), w = input(graph, "w", {DType::f32, {20, 20}});
    Tensor state = x;
    Tensors shown;
    for (int i = 0; i < 4; ++i) shown.push_back(state = tanh(matmul(state, w)));
    const Tensor all = concat(shown, 0), loss = mean(all * all);
    results = {all.value(), gradients(loss, std::span(&w, 1))[0].value()};
  }
};

TEST(Sequences, AWeightsGradientOverStepsIsOneProduct) {
  const Sequence sequence;
  const auto products = [&](bool fuse) {
    CompileOptions options;
    options.fuse = fuse;
    const Program program = compile_graph(sequence.graph, sequence.results, options).program;
    return std::ranges::count_if(program.steps, [](const Step& step) {
      const auto* call = std::get_if<CallStep>(&step.work);
      return call != nullptr && call->what.ends_with("matmul");
    });
  };
  EXPECT_EQ(products(false), 4 + 3 + 4);
  EXPECT_EQ(products(true), 4 + 3 + 1);
}

TEST(Sequences, PartsAreComputedInTheirPlaces) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {6, 8}}), y = input(graph, "y", {DType::f32, {6, 3}});
  const Tensor parts = concat({x * 2.0, y + 1.0, y}, 1);
  const Program program = compiled(graph, {sum(parts, {0}), exp(parts)});
  EXPECT_EQ(std::ranges::count(program.buffers, BufferRole::temporary, &Buffer::role), 1) << to_text(program);
}

TEST(Simplify, PartsOfOneValueTogetherAreTheValue) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {6, 9}});
  const Tensors parts = split(x, 1, 3);
  const Tensor same = concat(parts, 1), other = concat({parts[1], parts[0], parts[2]}, 1);
  EXPECT_EQ(count_reads_of_whole(compiled(graph, {exp(same)})), 1u);
  EXPECT_EQ(count_reads_of_whole(compiled(graph, {exp(other)})), 0u);
}

}  // namespace
