// The reference interpreter: rounding, exactness, what is evaluated, what is refused.
#include "descent/reference/interpreter.h"

#include <gtest/gtest.h>

#include "descent/ops/ops.h"

namespace descent {
namespace {

std::vector<Dense> run(const Graph& graph, const std::map<std::string, Dense>& inputs, std::vector<Tensor> outputs,
                       const InterpretOptions& options = {}) {
  std::vector<Value> values;
  for (const Tensor& output : outputs) values.push_back(output.value());
  return interpret(graph, inputs, values, options);
}

TEST(interpreter, rounds_every_result_to_its_dtype) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::bf16, {1}});
  const std::map<std::string, Dense> inputs{{"x", dense({DType::bf16, {1}}, {1})}};
  const Tensor sum = x + 0x1p-9, difference = sum - 1;  // 1 + 2^-9 is not a bf16
  EXPECT_EQ(run(graph, inputs, {difference})[0].values[0], 0);
  EXPECT_EQ(run(graph, inputs, {difference}, {.exact = true})[0].values[0], 0x1p-9);
}

TEST(interpreter, rounds_integers_even_when_exact) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {2}});
  const Tensor whole = cast(x, DType::i32);
  const std::map<std::string, Dense> inputs{{"x", dense({DType::f32, {2}}, {2.75, -2.75})}};
  EXPECT_EQ(run(graph, inputs, {whole}, {.exact = true})[0].values, (std::vector<double>{2, -2}));
}

TEST(interpreter, rounds_inputs_that_are_given_with_more_bits) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {1}});
  const std::map<std::string, Dense> inputs{{"x", Dense{{DType::f32, {1}}, {0.1}}}};
  EXPECT_EQ(run(graph, inputs, {x})[0].values[0], static_cast<double>(0.1f));
  EXPECT_EQ(run(graph, inputs, {x}, {.exact = true})[0].values[0], 0.1);
}

TEST(interpreter, gives_a_value_as_often_as_asked) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {2}}), y = x * x;
  const std::map<std::string, Dense> inputs{{"x", dense({DType::f32, {2}}, {2, 3})}};
  const std::vector<Dense> values = run(graph, inputs, {y, x, y + y, y, y});
  const std::vector<double> square{4, 9};
  EXPECT_EQ(values[0].values, square);
  EXPECT_EQ(values[1].values, (std::vector<double>{2, 3}));
  EXPECT_EQ(values[2].values, (std::vector<double>{8, 18}));
  EXPECT_EQ(values[3].values, square);
  EXPECT_EQ(values[4].values, square);
}

TEST(interpreter, evaluates_only_what_is_asked_for) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {2}}), y = input(graph, "y", {DType::f32, {2}});
  const Tensor used = x + 1;
  const Tensor unused = y * 2;  // and y is not given
  EXPECT_TRUE(unused);
  int nodes = 0;
  const auto count = [&](const Node&, std::span<const Dense>, std::span<Dense>) { ++nodes; };
  const std::map<std::string, Dense> inputs{{"x", dense({DType::f32, {2}}, {2, 3})}};
  EXPECT_EQ(run(graph, inputs, {used}, {.observe = count})[0].values, (std::vector<double>{3, 4}));
  EXPECT_EQ(nodes, 4);  // x, 1, its broadcast, the sum
}

TEST(interpreter, several_outputs_of_one_node) {
  Graph graph;
  const auto given = [&](const char* name) { return input(graph, name, {DType::f32, {2}}); };
  const auto scalar = [&](const char* name) { return input(graph, name, {DType::f32, {}}); };
  const Tensors updated = adam_update(given("w"), given("g"), given("m"), given("v"), scalar("rate"), scalar("step"));
  std::map<std::string, Dense> inputs;
  for (const char* name : {"w", "m", "v"}) inputs[name] = dense({DType::f32, {2}}, {0, 0});
  inputs["g"] = dense({DType::f32, {2}}, {1, -4});
  inputs["rate"] = dense({DType::f32, {}}, {0.5});
  inputs["step"] = dense({DType::f32, {}}, {1});
  const std::vector<Dense> values = run(graph, inputs, {updated[2], updated[0]}, {.exact = true});
  EXPECT_NEAR(values[0].values[1], 0.016, 1e-12);  // (1 - 0.999) * 16
  EXPECT_NEAR(values[1].values[0], -0.5, 1e-6);    // the first step is the rate, whatever the gradient
  EXPECT_NEAR(values[1].values[1], 0.5, 1e-6);
}

std::string refusal(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(interpreter, names_inputs_that_are_missing_or_of_another_type) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {2}}, {"model.cpp", 41});
  EXPECT_EQ(refusal([&] { run(graph, {}, {x}); }), "model.cpp:41: input 'x' f32[2] was not given");
  const std::map<std::string, Dense> other{{"x", dense({DType::f32, {3}}, {1, 2, 3})}};
  EXPECT_EQ(refusal([&] { run(graph, other, {x}); }), "model.cpp:41: input 'x' is f32[3] but the graph says f32[2]");
  const std::map<std::string, Dense> lying{{"x", Dense{{DType::f32, {2}}, {1, 2, 3}}}};
  EXPECT_NE(refusal([&] { run(graph, lying, {x}); }), "");
}

TEST(interpreter, one_op_without_a_graph) {
  const Dense inputs[] = {dense({DType::f32, {2}}, {1, 2}), dense({DType::f32, {2}}, {10, 20})};
  EXPECT_EQ(evaluate_op(op_def<Add>(), {}, inputs)[0].values, (std::vector<double>{11, 22}));
}

TEST(interpreter, arrays_there_and_back) {
  for (const DType dtype :
       {DType::f64, DType::f32, DType::bf16, DType::f16, DType::i32, DType::u32, DType::u8, DType::boolean}) {
    const Dense value = dense({dtype, {2, 2}}, {0, 1, 1, 0});
    const Dense again = dense(to_array(value));
    EXPECT_EQ(again.type, value.type);
    EXPECT_EQ(again.values, value.values);
  }
  EXPECT_EQ(refusal([] { dense({DType::f32, {3}}, {1}); }), "a value f32[3] has 3 elements, but 1 were given");
}

TEST(registry, lists_every_op_once_by_name) {
  EXPECT_GT(registry().size(), 40u);
  for (size_t i = 1; i < registry().size(); ++i) EXPECT_LT(registry()[i - 1]->name, registry()[i]->name);
  EXPECT_EQ(find_op("matmul"), &op_def<Matmul>());
  EXPECT_EQ(find_op("layer_norm"), &op_def<LayerNorm>());
  EXPECT_EQ(find_op("operand"), nullptr);
}

}  // namespace
}  // namespace descent
