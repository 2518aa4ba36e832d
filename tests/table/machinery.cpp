// The table itself: broken ops and broken devices must fail the check that is there to find them.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "descent/check/device_checks.h"
#include "descent/check/layout.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

// --- Broken ops ---

struct SquareLike : Elementwise<SquareLike, 1> {
  static constexpr auto name = "square_like";
  static constexpr auto summary = "x * x";
  static double scalar(double x) { return x * x; }
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0] * (2 * args.inputs[0])}; }
  static Samples samples() { return {{"matrix", {{{DType::f32, {3, 5}}}}, {}}}; }
};

struct SlopeOff : SquareLike {
  static constexpr auto name = "slope_off";
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0] * (2.0001 * args.inputs[0])}; }
};

struct OnceOnly : SquareLike {
  static constexpr auto name = "once_only";
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0] * (2 * stop_gradient(args.inputs[0]))}; }
};

struct Detached : SquareLike {
  static constexpr auto name = "detached";
  static Tensors vjp(const VjpArgs&) { return {Tensor()}; }
};

struct WrongCount : SquareLike {
  static constexpr auto name = "wrong_count";
  static void evaluate(const EvalArgs& args) { args.outputs[0].values = {1, 2}; }
};

struct Unsampled : SquareLike {
  static constexpr auto name = "unsampled";
  static Samples samples() { return {}; }
};

struct SampledAtZero : SquareLike {
  static constexpr auto name = "sampled_at_zero";
  static Samples samples() {
    return {{"zeros", {{{DType::f32, {2}}, 0, 0, {0, 0}}}, {}}, {"kink", {{{DType::f32, {2}}}}, {}, false}};
  }
};

struct NeverDifferentiated : SquareLike {
  static constexpr auto name = "never_differentiated";
  static Samples samples() { return {{"kink", {{{DType::f32, {2}}}}, {}, false}}; }
};

struct Accepting : SquareLike {
  static constexpr auto name = "accepting";
  static Misuses misuse() { return {{{{DType::i32, {2}}}, {}, "accepting: needs floating-point inputs"}}; }
};

struct Mumbling : SquareLike {
  static constexpr auto name = "mumbling";
  static std::vector<Type> infer(const InferArgs& args) { return infer_floating(args, "an op"); }
  static Misuses misuse() { return {{{{DType::i32, {2}}}, {}, "needs floating-point inputs"}}; }
};

// The last axis turned by one. Its wrong gradient turns the same way: a cotangent of ones cannot see that.
struct TurnedTwice {
  static constexpr auto name = "turned_twice";
  static constexpr auto summary = "elements moved to the next place";
  static constexpr OpClass op_class = OpClass::view;
  static constexpr int arity = 1;
  static std::vector<Type> infer(const InferArgs& args) { return {args.inputs[0]}; }
  static void evaluate(const EvalArgs& args) {
    std::vector<double>& out = args.outputs[0].values;
    out = args.inputs[0].values;
    std::rotate(out.begin(), out.begin() + 1, out.end());
  }
  static Tensors vjp(const VjpArgs& args) { return {apply<TurnedTwice>({args.cotangents[0]}, {}, args.at)}; }
  static Samples samples() { return {{"vector", {{{DType::f32, {5}}}}, {}}}; }
};

struct WrongExpansion : ElementwiseComposite<WrongExpansion, 1> {
  static constexpr auto name = "wrong_expansion";
  static constexpr auto summary = "x * x";
  static double scalar(double x) { return x * x; }
  static Tensors expand(const ExpandArgs& args) { return {args.inputs[0] * abs(args.inputs[0], args.at)}; }
  static Tensors vjp(const VjpArgs& args) { return {args.cotangents[0] * (2 * args.inputs[0])}; }
  static Samples samples() { return {{"matrix", {{{DType::f32, {3, 5}}}}, {}}}; }
};

// Gives the gradients in the wrong order.
struct Swapped : Elementwise<Swapped, 2> {
  static constexpr auto name = "swapped";
  static constexpr auto summary = "a * b * b";
  static double scalar(double a, double b) { return a * b * b; }
  static Tensors vjp(const VjpArgs& args) {
    const Tensor a = args.inputs[0], b = args.inputs[1], g = args.cotangents[0];
    return {g * (2 * a * b), g * (b * b)};
  }
  static Samples samples() { return {{"matrix", {{{DType::f32, {3, 5}}}, {{DType::f32, {3, 5}}}}, {}}}; }
};

// The checks that failed, without the rest of their names.
std::set<std::string> failed_checks(const OpDef& op, std::vector<check::Device> devices = {}, std::string filter = "") {
  const OpDef* const ops[] = {&op};
  check::Options options;
  options.ops = ops;
  options.devices = std::move(devices);
  options.filter = std::move(filter);
  std::set<std::string> out;
  for (const check::Result& result : check::run(options)) {
    if (result.ok) continue;
    EXPECT_FALSE(result.message.empty()) << result.name;
    const size_t where = result.name.rfind('/');
    const size_t what = result.name.rfind('/', where - 1) + 1;
    out.insert(result.name.substr(what, where - what));
  }
  return out;
}

using Names = std::set<std::string>;

TEST(BrokenOps, ASoundOpPasses) { EXPECT_EQ(failed_checks(op_def<SquareLike>()), Names{}); }
TEST(BrokenOps, ASlopeOffByATenThousandthFails) { EXPECT_EQ(failed_checks(op_def<SlopeOff>()), Names{"gradient"}); }
TEST(BrokenOps, AGradientThatCannotBeDifferentiatedFails) {
  EXPECT_EQ(failed_checks(op_def<OnceOnly>()), Names{"second-gradient"});
}
TEST(BrokenOps, AMissingGradientFails) {
  EXPECT_EQ(failed_checks(op_def<Detached>()), (Names{"coverage", "gradient"}));
}
TEST(BrokenOps, AnAdjointThatIsTheOpItselfFails) { EXPECT_EQ(failed_checks(op_def<TurnedTwice>()), Names{"gradient"}); }
TEST(BrokenOps, GradientsInTheWrongOrderFail) { EXPECT_EQ(failed_checks(op_def<Swapped>()), Names{"gradient"}); }
TEST(BrokenOps, AMeaningOfTheWrongSizeFails) { EXPECT_TRUE(failed_checks(op_def<WrongCount>()).contains("types")); }
TEST(BrokenOps, AnExpansionOfAnotherMeaningFails) {
  EXPECT_EQ(failed_checks(op_def<WrongExpansion>()), (Names{"expansion", "forward", "own-gradient"}));
}
TEST(BrokenOps, AnOpWithoutSamplesFails) { EXPECT_EQ(failed_checks(op_def<Unsampled>()), Names{"coverage"}); }
TEST(BrokenOps, SamplesThatCannotTellFail) { EXPECT_EQ(failed_checks(op_def<SampledAtZero>()), Names{"coverage"}); }
TEST(BrokenOps, AGradientThatNoSampleAsksForFails) {
  EXPECT_EQ(failed_checks(op_def<NeverDifferentiated>()), Names{"coverage"});
}
TEST(BrokenOps, AcceptingMisuseFails) { EXPECT_EQ(failed_checks(op_def<Accepting>()), Names{"misuse"}); }
TEST(BrokenOps, ARefusalThatNamesNoOpFails) { EXPECT_EQ(failed_checks(op_def<Mumbling>()), Names{"misuse"}); }

// --- Broken devices ---

using RunGraph = decltype(check::Device::run);

// The reference, with something done to the values of every node.
RunGraph interpreting(std::function<void(const Node&, std::span<const Dense>, std::span<Dense>)> observe) {
  return [observe](const Graph& graph, std::span<const Value> results, const std::map<std::string, Array>& inputs,
                   const check::RunOptions&) {
    std::map<std::string, Dense> fed;
    for (const auto& [name, array] : inputs) fed.emplace(name, dense(array));
    std::vector<Array> out;
    for (const Dense& value : interpret(graph, fed, results, {.observe = observe})) out.push_back(to_array(value));
    return out;
  };
}

// A sound device, but with `change` done to the results under some options.
RunGraph changing(bool (*when)(const check::RunOptions&)) {
  return [when](const Graph& graph, std::span<const Value> results, const std::map<std::string, Array>& inputs,
                const check::RunOptions& options) {
    std::vector<Array> out = check::rounded_device().run(graph, results, inputs, options);
    if (when(options))
      for (Array& array : out)
        if (array.elements() > 0) array.set(0, array.at(0) * 1.01 + 1);
    return out;
  };
}

std::set<std::string> failed_on(const OpDef& op, RunGraph run, std::string filter = "*/broken") {
  return failed_checks(op, {{"broken", std::move(run)}}, std::move(filter));
}

TEST(BrokenDevices, TheReferenceItselfPasses) {
  const auto nothing = [](const Node&, std::span<const Dense>, std::span<Dense>) {};
  EXPECT_EQ(failed_on(op_def<Mul>(), interpreting(nothing)), Names{});
}

TEST(BrokenDevices, AnOpOffByAHundredthFails) {
  const auto off = [](const Node& node, std::span<const Dense>, std::span<Dense> outputs) {
    if (node.op == &op_def<Mul>())
      for (double& value : outputs[0].values) value = rounded(value * 1.01, outputs[0].type.dtype);
  };
  EXPECT_EQ(failed_on(op_def<Mul>(), interpreting(off), "mul/*/f32/dense/*/broken"),
            (Names{"forward", "backward", "fusion"}));
}

TEST(BrokenDevices, IgnoringATransposeFails) {
  const auto off = [](const Node& node, std::span<const Dense> inputs, std::span<Dense> outputs) {
    if (node.op == &op_def<Permute>()) outputs[0].values = inputs[0].values;
  };
  EXPECT_EQ(failed_on(op_def<Mul>(), interpreting(off), "mul/*/dense/forward/broken"), Names{});
  EXPECT_EQ(failed_on(op_def<Mul>(), interpreting(off), "mul/*/transposed/forward/broken"), Names{"forward"});
}

TEST(BrokenDevices, ASumThatLosesATermFails) {
  const auto off = [](const Node& node, std::span<const Dense> inputs, std::span<Dense> outputs) {
    if (node.op != &op_def<Sum>() || inputs[0].values.empty() || outputs[0].values.empty()) return;
    outputs[0].values.back() = rounded(outputs[0].values.back() - inputs[0].values.back(), outputs[0].type.dtype);
  };
  EXPECT_EQ(failed_on(op_def<Sum>(), interpreting(off), "sum/all/f32/dense/forward/broken"), Names{"forward"});
}

TEST(BrokenDevices, AMovedValueOffByOneBitFails) {
  const auto off = [](const Node& node, std::span<const Dense>, std::span<Dense> outputs) {
    if (node.op != &op_def<Reshape>() || outputs[0].type.dtype != DType::f32) return;
    for (double& value : outputs[0].values) value = rounded(value * (1 + 0x1p-23), DType::f32);
  };
  EXPECT_EQ(failed_on(op_def<Reshape>(), interpreting(off), "reshape/split/f32/dense/forward/broken"),
            Names{"forward"});
}

TEST(BrokenDevices, FusionThatChangesAResultFails) {
  EXPECT_EQ(failed_on(op_def<Mul>(), changing([](const check::RunOptions& options) { return !options.fuse; })),
            Names{"fusion"});
}
TEST(BrokenDevices, DonationThatChangesAResultFails) {
  EXPECT_EQ(
      failed_on(op_def<Mul>(), changing([](const check::RunOptions& options) { return !options.updates.empty(); })),
      Names{"donation"});
}
TEST(BrokenDevices, ReadingPoisonFails) {
  EXPECT_EQ(failed_on(op_def<Mul>(), changing([](const check::RunOptions& options) { return options.poison; })),
            Names{"poison"});
}

TEST(BrokenDevices, AKernelThatNoCellUsesFails) {
  check::Device device = check::rounded_device();
  device.name = "idle";
  device.unused = [] { return std::vector<std::string>{"fast_matmul"}; };
  EXPECT_EQ(failed_checks(op_def<Neg>(), {device}), Names{"coverage"});
}

TEST(BrokenDevices, AnExceptionIsAFailedCell) {
  const RunGraph run = [](const Graph&, std::span<const Value>, const std::map<std::string, Array>&,
                          const check::RunOptions&) -> std::vector<Array> { fail("no such kernel"); };
  EXPECT_EQ(failed_on(op_def<Neg>(), run, "neg/matrix/f32/dense/forward/broken"), Names{"forward"});
}

TEST(BrokenDevices, AHoleMustRefuseWithItsReason) {
  const auto holes_of = [](RunGraph run) {
    check::Device device{"broken", std::move(run), {{"neg/*/bf16/*", "no bf16 here"}}};
    return failed_checks(op_def<Neg>(), {device}, "neg/matrix/bf16/dense/forward/broken");
  };
  const auto refusing = [](std::string says) -> RunGraph {
    return [says](const Graph&, std::span<const Value>, const std::map<std::string, Array>&,
                  const check::RunOptions&) -> std::vector<Array> { fail(says); };
  };
  EXPECT_EQ(holes_of(refusing("neg: no bf16 here, only f32")), Names{});
  EXPECT_EQ(holes_of(refusing("out of memory")), Names{"forward"});
  EXPECT_EQ(holes_of(check::rounded_device().run), Names{"forward"});
}

// --- Rows, layouts, names ---

TEST(Rows, LayoutsGiveTheRowsValuesBack) {
  int laid = 0;
  for (const OpDef* op : registry())
    for (const check::Row& row : check::device_rows(*op)) {
      if (row.layout->view == nullptr || row.layout->name == "broadcast") continue;
      const check::Traced traced = check::trace(row);
      for (size_t i = 0; i < row.inputs.size(); ++i) {
        const Value value = traced.inputs[i].value();
        const std::vector<double> got = interpret(*traced.graph, traced.fed, std::span(&value, 1))[0].values;
        EXPECT_TRUE(std::ranges::equal(got, row.inputs[i].values, [](double a, double b) {
          return a == b || (a != a && b != b);
        })) << row.name;
        ++laid;
      }
    }
  EXPECT_GT(laid, 500);
}

TEST(Rows, EveryLayoutAndTypeOccurs) {
  Names seen;
  for (const check::Row& row : check::device_rows(op_def<Add>())) {
    const size_t layout = row.name.rfind('/'), dtype = row.name.rfind('/', layout - 1);
    seen.insert(row.name.substr(dtype + 1));
  }
  for (const char* dtype : {"f32", "bf16", "f16", "i32"}) {
    for (const check::Layout& layout : check::layouts()) {
      if (layout.name == "transposed" && dtype == std::string("i32")) continue;  // that sample is a vector
      EXPECT_TRUE(seen.contains(text(dtype, "/", layout.name))) << dtype << "/" << layout.name;
    }
    EXPECT_TRUE(seen.contains(text(dtype, "/one-row"))) << dtype;
  }
}

TEST(Rows, EveryCellHasItsOwnName) {
  check::Options options;
  options.devices = {check::Device{"cpu", nullptr}};
  Names names;
  for (const check::Cell& cell : check::cells(options)) EXPECT_TRUE(names.insert(cell.name).second) << cell.name;
  EXPECT_TRUE(names.contains("softmax/rows/bf16/transposed/forward/cpu"));
  EXPECT_TRUE(names.contains("softmax/rows/f32/dense/gradient/reference"));
}

TEST(Filter, PartsAndGlobs) {
  const std::string name = "softmax/rows/bf16/transposed/forward/cpu";
  for (const char* filter : {"", "softmax", "bf16/trans", "softmax/*", "*/forward/*", "s*x/r??s/bf16/*/cpu", "*"})
    EXPECT_TRUE(check::matches(name, filter)) << filter;
  for (const char* filter : {"softplus", "cpu*", "log_*", "?", "softmax/*/gpu"})
    EXPECT_FALSE(check::matches(name, filter)) << filter;
}

TEST(Totals, Counts) {
  const check::Result results[] = {
      {"a", true, false, "", 0}, {"b", false, false, "why", 2}, {"c", true, true, "no", 0}, {"d", true, false, "", 0}};
  EXPECT_EQ(check::totals(results), "2 passed, 1 failed, 1 holes");
  EXPECT_EQ(check::totals(std::span(results).first(2)), "1 passed, 1 failed");
}

}  // namespace
}  // namespace descent
