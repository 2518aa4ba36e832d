// Attention as a backend runs it whole, in bf16, against its meaning in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "array_testing.h"
#include "descent/base/threads.h"
#include "descent/compile/compile.h"
#include "descent/grad/gradient.h"
#include "descent/ops/ops.h"
#include "descent/reference/interpreter.h"
#include "descent/runtime/compiled_step.h"

namespace {

using namespace descent;

struct Case {
  int64_t sequences, heads, queries, keys, features, outputs;
  bool causal;
  std::vector<int32_t> lengths = {};
};

std::string to_text(const Case& c) {
  return text(c.sequences, "x", c.heads, " heads, ", c.queries, " queries, ", c.keys, " keys, ", c.features, " to ",
              c.outputs, c.causal ? " causal" : "", c.lengths.empty() ? "" : " padded");
}

// Attention of heads that lie side by side, and the gradients of a weighted sum of its results.
struct Attending {
  Graph graph;
  std::vector<Value> results;
  std::map<std::string, Array> inputs;

  explicit Attending(const Case& c) {
    const Tensor q = heads("q", c.sequences, c.queries, c.heads, c.features, 1),
                 k = heads("k", c.sequences, c.keys, c.heads, c.features, 2),
                 v = heads("v", c.sequences, c.keys, c.heads, c.outputs, 3),
                 g = heads("g", c.sequences, c.queries, c.heads, c.outputs, 4);
    Tensor out;
    if (c.lengths.empty()) {
      out = attention(q, k, v, c.causal);
    } else {
      const Tensor lengths = input(graph, "lengths", {DType::i32, {c.sequences}});
      inputs["lengths"] = Array::from(std::span<const int32_t>(c.lengths), {c.sequences});
      out = padded_attention(q, k, v, lengths, c.causal);
    }
    const std::vector<Tensor> wrt{q, k, v};
    results.push_back(out.value());
    for (const Tensor& each : gradients(std::span(&out, 1), std::span(&g, 1), wrt)) results.push_back(each.value());
  }

  Tensor heads(const std::string& name, int64_t sequences, int64_t places, int64_t heads, int64_t width,
               unsigned seed) {
    const Type type{DType::f32, {sequences, places, heads * width}};
    inputs[name] = random_array({DType::bf16, type.shape}, seed);  // values that bf16 has
    Array wide(type);
    for (int64_t i = 0; i < wide.elements(); ++i) wide.set(i, 2 * inputs[name].at(i));
    inputs[name] = wide;
    return permute(reshape(input(graph, name, type), {sequences, places, heads, width}), {0, 2, 1, 3});
  }

  CompileOptions options(bool whole) const {
    CompileOptions out;
    out.mixed_precision = true;
    if (whole)
      out.runs_whole = [](const OpDef& op, std::span<const Type> in) { return default_backend().runs_whole(op, in); };
    return out;
  }
  std::vector<Array> run(bool whole) const { return run_once(graph, results, inputs, options(whole)); }
  std::vector<Dense> meaning() const {
    std::map<std::string, Dense> values;
    for (const auto& [name, array] : inputs) values[name] = dense(array);
    return interpret(graph, values, results, {.exact = true});
  }
};

int64_t calls(const Program& program, std::string_view what) {
  return std::ranges::count_if(program.steps, [&](const Step& step) {
    const auto* call = std::get_if<CallStep>(&step.work);
    return call != nullptr && call->what == what;
  });
}

// The root of the mean square error, over that of the values.
double relative_error(const Array& got, const Dense& wanted) {
  double error = 0, size = 0;
  for (int64_t i = 0; i < got.elements(); ++i) {
    const double value = wanted.values[static_cast<size_t>(i)];
    error += (got.at(i) - value) * (got.at(i) - value);
    size += value * value;
  }
  return std::sqrt(error / size);
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {2, 3, 64, 64, 32, 32, true},           {1, 2, 70, 70, 40, 40, true},
      {2, 2, 33, 33, 16, 16, false},          {1, 1, 600, 600, 64, 64, true},  // several strips
      {1, 1, 500, 500, 8, 8, false},          {3, 2, 50, 50, 24, 24, true, {50, 17, 1}},
      {2, 1, 65, 65, 32, 32, false, {0, 40}}, {1, 2, 5, 90, 48, 20, true},
      {2, 2, 40, 7, 16, 64, false, {7, 3}}};
  return all;
}

TEST(Attention, IsRunWholeWhereTheBackendTakesIt) {
  const Attending self(cases()[0]), cross(cases()[7]);
  const std::vector<Type> bf16(4, Type{DType::bf16, {2, 3, 64, 32}});
  const bool whole = default_backend().runs_whole(op_def<FusedAttention>(), std::span(bf16).first(3));
  const auto count = [](const Attending& each, std::string_view what) {
    return calls(compile_graph(each.graph, each.results, each.options(true)).program, what);
  };
  EXPECT_EQ(count(self, "fused_attention"), whole ? 1 : 0);
  EXPECT_EQ(count(self, "fused_attention_gradient"), whole ? 1 : 0);
  EXPECT_EQ(count(self, "matmul"), whole ? 0 : 6);
  EXPECT_EQ(count(cross, "fused_attention_gradient"), 0);  // queries and keys of different numbers
}

TEST(Attention, IsItsMeaningForwardAndBack) {
  for (const Case& c : cases()) {
    const Attending attending(c);
    const std::vector<Dense> wanted = attending.meaning();
    for (const bool whole : {true, false}) {
      const std::vector<Array> got = attending.run(whole);
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_LT(relative_error(got[i], wanted[i]), 0.01)
            << to_text(c) << ", result " << i << (whole ? "" : " expanded");
    }
  }
}

TEST(Attention, IsTheSameForEveryNumberOfThreads) {
  const int before = thread_count();
  for (const Case& c : cases()) {
    const Attending attending(c);
    set_thread_count(1);
    const std::vector<Array> one = attending.run(true);
    for (const int threads : {2, 3}) {
      set_thread_count(threads);
      const std::vector<Array> got = attending.run(true);
      for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(one[i].to_doubles(), got[i].to_doubles()) << to_text(c);
    }
  }
  set_thread_count(before);
}

// So much larger than those of the first keys that exponentials taken of the difference leave the range.
TEST(Attention, ScoresMayBeLargerBehindTheFirstKeys) {
  Attending attending({1, 1, 70, 70, 16, 16, false});
  for (int64_t place = 0; place < 70; ++place) {
    attending.inputs["q"].set(place * 16, 64);
    attending.inputs["k"].set(place * 16, place < 40 ? -16 : 16);
  }
  const std::vector<Dense> wanted = attending.meaning();
  const std::vector<Array> got = attending.run(true);
  for (const size_t i : {0, 3}) EXPECT_LT(relative_error(got[i], wanted[i]), 0.01) << "result " << i;
}

TEST(Attention, KeysThatDoNotCountMayHoldAnything) {
  Attending attending({2, 2, 40, 40, 16, 16, false, {40, 10}});
  const std::vector<Array> before = attending.run(true);
  for (const char* name : {"k", "v"})
    for (int64_t i = 0; i < 30 * 32; ++i) attending.inputs[name].set((40 + 10) * 32 + i, i % 2 == 0 ? 1e30 : -1e30);
  const std::vector<Array> after = attending.run(true);
  EXPECT_EQ(before[0].to_doubles(), after[0].to_doubles());
  EXPECT_EQ(before[1].to_doubles(), after[1].to_doubles());
}

// Queries, keys and values that one product makes, and the gradients of what it is made from.
struct SelfAttending {
  static constexpr int64_t sequences = 2, heads = 2, features = 24, width = heads * features;
  Graph graph;
  std::vector<Value> results;
  std::map<std::string, Array> inputs;

  SelfAttending(int64_t places, bool causal) {
    const Tensor x = random("x", {sequences, places, width}, 1), w = random("w", {width, 3 * width}, 2);
    const Tensor all = matmul(x, w);
    std::vector<Tensor> parts;
    for (int64_t i = 0; i < 3; ++i)
      parts.push_back(permute(
          reshape(slice_axis(all, 2, i * width, (i + 1) * width), {sequences, places, heads, features}), {0, 2, 1, 3}));
    const Tensor loss = sum(square(attention(parts[0], parts[1], parts[2], causal)));
    for (const Tensor& each : gradients(loss, std::vector<Tensor>{x, w})) results.push_back(each.value());
  }

  Tensor random(const std::string& name, const Shape& shape, unsigned seed) {
    inputs[name] = random_array({DType::f32, shape}, seed);
    return input(graph, name, {DType::f32, shape});
  }
  CompileOptions options(bool donate) const {
    CompileOptions out;
    out.mixed_precision = true;
    out.donate = donate;
    out.runs_whole = [](const OpDef& op, std::span<const Type> in) { return default_backend().runs_whole(op, in); };
    return out;
  }
};

// One strip and several, in whole groups of rows and in parts of them.
TEST(Attention, TheGradientTakesThePlaceOfQueriesKeysAndValues) {
  for (const int64_t places : {32, 70, 600})
    for (const bool causal : {true, false}) {
      const SelfAttending self(places, causal);
      const Program program = compile_graph(self.graph, self.results, self.options(true)).program;
      for (const Step& step : program.steps)
        if (const auto* call = std::get_if<CallStep>(&step.work); call && call->what == "fused_attention_gradient") {
          EXPECT_EQ(program.buffers[call->reads[0].buffer].offset, program.buffers[call->writes[0].buffer].offset);
        }
      const std::vector<Array> apart = run_once(self.graph, self.results, self.inputs, self.options(false)),
                               together = run_once(self.graph, self.results, self.inputs, self.options(true));
      for (size_t i = 0; i < apart.size(); ++i)
        EXPECT_EQ(apart[i].to_doubles(), together[i].to_doubles()) << places << " places, gradient " << i;
    }
}

}  // namespace
