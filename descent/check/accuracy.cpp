#include "descent/check/accuracy.h"

#include <algorithm>

#include "descent/check/random.h"
#include "descent/compile/passes.h"
#include "descent/ops/input.h"

namespace descent::check {

namespace {

constexpr int trials = 8;
constexpr double slack = 4;

// One unit in the last place of 1, and the distance of the smallest numbers (of the smallest normal ones from 0, where
// the smaller are flushed to zero).
struct Precision {
  double unit, smallest;
};
Precision precision(DType dtype) {
  if (dtype == DType::f64) return {0x1p-52, 0x1p-1022};
  if (dtype == DType::f32) return {0x1p-23, 0x1p-126};
  if (dtype == DType::bf16) return {0x1p-7, 0x1p-126};
  return {0x1p-10, 0x1p-24};
}

// The op on f(value) for each floating-point value.
template <class Function>
std::vector<double> evaluate_on(const Node& node, std::span<const Dense> inputs, Function f) {
  std::vector<Dense> changed(inputs.begin(), inputs.end());
  for (Dense& input : changed)
    if (is_floating(input.type.dtype)) std::ranges::transform(input.values, input.values.begin(), f);
  return evaluate_op(*node.op, node.attrs, changed, {.exact = true})[0].values;
}

// For ops that add up products of their inputs: the error of n additions of terms of either sign, by element.
std::vector<double> error_of_sums(const Node& node, std::span<const Dense> inputs, const Dense& output) {
  const std::vector<double> count = evaluate_on(node, inputs, [](double) { return 1.0; });
  const std::vector<double> squares = evaluate_on(node, inputs, [](double x) { return x * x; });
  const double unit = precision(output.type.dtype == DType::f64 ? DType::f64 : DType::f32).unit;
  std::vector<double> out(count.size());
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = unit * std::sqrt(std::max(1.0, count[i])) * (std::abs(output.values[i]) + std::sqrt(std::abs(squares[i])));
  return out;
}

bool adds_up(const OpDef& op) {
  return !op.exact &&
         (op.op_class == OpClass::reduce || op.op_class == OpClass::contraction || op.op_class == OpClass::index);
}

// IEEE 754 gives the nearest number for these: a result that is a number of the dtype has no error.
bool rounds_correctly(const OpDef& op) {
  return op.scalar == ScalarOp::add || op.scalar == ScalarOp::mul || op.scalar == ScalarOp::div ||
         op.scalar == ScalarOp::sqrt;
}

// The largest error that computing this output in its dtype may make, by element.
std::vector<double> rounding_errors(const Node& node, std::span<const Dense> inputs, const Dense& output) {
  const DType dtype = output.type.dtype;
  const bool keeps = node.op->exact && node.op->op_class != OpClass::leaf && node.op->scalar != ScalarOp::cast;
  std::vector<double> errors(output.values.size(), 0);
  if (!is_floating(dtype) || keeps || node.op == &op_def<Input>()) return errors;
  if (adds_up(*node.op)) errors = error_of_sums(node, inputs, output);
  const auto [unit, smallest] = precision(dtype);
  for (size_t i = 0; i < errors.size(); ++i) {
    const double value = output.values[i], rounding = std::abs(rounded(value, dtype) - value);
    if (node.op->exact || (rounds_correctly(*node.op) && rounding == 0))
      errors[i] += rounding;
    else
      errors[i] += std::max(unit * std::abs(value), smallest) + node.op->absolute_error;
  }
  return errors;
}

// Returns whether a number left the range of its dtype.
bool disturb(const Node& node, std::span<const Dense> inputs, std::span<Dense> outputs, Random& random) {
  bool overflow = false;
  for (Dense& output : outputs) {
    const std::vector<double> errors = rounding_errors(node, inputs, output);
    for (size_t i = 0; i < errors.size(); ++i) {
      double& value = output.values[i];
      if (errors[i] > 0 && std::isfinite(value)) value += errors[i] * random.uniform(-1, 1);
      if (!is_floating(output.type.dtype) || !std::isfinite(value)) continue;
      if (const double stored = rounded(value, output.type.dtype); std::isinf(stored)) {
        value = stored;
        overflow = true;
      }
    }
  }
  return overflow;
}

// Where no node rounds, a device must give the rounded values themselves.
bool all_exact(const Staged& core) {
  return std::ranges::all_of(live_nodes(*core.graph, core.results),
                             [&](uint32_t id) { return core.graph->node(id).op->exact; });
}

}  // namespace

Expected expect(const Staged& staged, const std::map<std::string, Dense>& inputs) {
  const Staged core = expand_composites(staged);
  const auto run = [&](const InterpretOptions& options) {
    return interpret(*core.graph, inputs, core.results, options);
  };
  Expected out;
  out.bitwise = std::ranges::none_of(live_nodes(*core.graph, core.results),
                                     [&](uint32_t id) { return adds_up(*core.graph->node(id).op); });
  if (all_exact(core)) {
    out.values = interpret(*staged.graph, inputs, staged.results);
    for (const Dense& value : out.values) out.allowed.emplace_back(value.values.size(), 0.0);
    return out;
  }
  out.values = interpret(*staged.graph, inputs, staged.results, {.exact = true});
  const std::vector<Dense> undisturbed = run({.exact = true});
  for (const Dense& value : undisturbed) out.allowed.emplace_back(value.values.size(), 0.0);
  Random random("rounding errors");
  bool overflow = false;
  const auto observe = [&](const Node& node, std::span<const Dense> in, std::span<Dense> results) {
    overflow = disturb(node, in, results, random) || overflow;
  };
  for (int trial = 0; trial < trials; ++trial) {
    const std::vector<Dense> disturbed = run({.exact = true, .observe = observe});
    for (size_t port = 0; port < disturbed.size(); ++port)
      for (size_t i = 0; i < disturbed[port].values.size(); ++i) {
        const double off = std::abs(disturbed[port].values[i] - undisturbed[port].values[i]);
        double& allowed = out.allowed[port][i];
        if (!std::isnan(off))
          allowed = std::max(allowed, slack * off);
        else if (overflow && std::isfinite(undisturbed[port].values[i]))
          allowed = NAN;
      }
  }
  return out;
}

Verdict compare(std::span<const Dense> got, const Expected& expected) {
  if (got.size() != expected.values.size())
    return failed(text(got.size(), " results instead of ", expected.values.size()));
  Verdict out;
  for (size_t port = 0; port < got.size(); ++port)
    out = worse(out, compare(got[port], expected.values[port], expected.allowed[port], text("output ", port)));
  return out;
}

}  // namespace descent::check
