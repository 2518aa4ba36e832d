#include "descent/check/reference_checks.h"

#include <algorithm>

#include "descent/check/accuracy.h"
#include "descent/check/device_checks.h"

namespace descent::check {

namespace {

// How far two ways to compute the same in double may differ, relatively; and gradients for cotangents around 1, where
// terms of that size may cancel.
constexpr double agreement = 1e-9, cancelled = 1e-14;

Verdict check_text_form(const Graph& graph, const OpDef& op) {
  std::vector<const OpDef*> ops(registry().begin(), registry().end());
  ops.push_back(&op);  // it may be a user's own
  const std::string printed = to_text(graph);
  Graph parsed;
  parse_graph(printed, ops, parsed);
  if (const std::string again = to_text(parsed); again != printed)
    return failed(text("the graph prints as\n", printed, "which reads back as\n", again));
  return {};
}

Verdict check_produced(const Dense& value, const Type& inferred, size_t port) {
  if (value.type != inferred)
    return failed(text("output ", port, " is ", value.type, ", the type rule says ", inferred));
  for (const double element : value.values)
    if (const double stored = rounded(element, inferred.dtype); stored != element && !std::isnan(element))
      return failed(text("output ", port, " holds ", element, ", which is no ", inferred.dtype));
  return {};
}

// The values of `tensors`, in double.
std::vector<Dense> evaluate(const Traced& traced, std::span<const Tensor> tensors) {
  std::vector<Value> results;
  for (const Tensor& tensor : tensors) results.push_back(tensor.value());
  return interpret(*traced.graph, traced.fed, results, {.exact = true});
}

// `value` after the mistake; nothing if that changes no finite element noticeably.
std::optional<Dense> mistaken(Dense value, const Mistake& mistake) {
  const std::vector<double> before = value.values;
  mistake.apply(value.values);
  if (!is_floating(value.type.dtype) && mistake.scale != 1)
    for (size_t i = 0; i < before.size(); ++i) value.values[i] = before[i] == 0 ? 1 : 0;
  for (size_t i = 0; i < before.size(); ++i)
    if (std::isfinite(before[i]) && std::abs(value.values[i] - before[i]) > 1e-3 * std::abs(before[i])) return value;
  return std::nullopt;
}

// Whether some element is known to such a share of it, well enough to notice a mistake. (In a sample whose every result
// is the small difference of large numbers, none may be.)
bool well_conditioned(const Dense& value, std::span<const double> allowed, double share) {
  for (size_t i = 0; i < value.values.size(); ++i)
    if (std::isfinite(value.values[i]) && allowed[i] < share * std::abs(value.values[i])) return true;
  return false;
}

constexpr Mistake mistakes[] = {{.scale = 1.01}, {.rotate = true}};

std::string_view describe(const Mistake& mistake) {
  return mistake.rotate ? "rotated by one element" : "scaled by 1.01";
}

// `forward` of a device that computes correctly must fail if the meaning is wrong.
Teeth bites_in_forward(const Row& row) {
  const Traced traced = trace(row);
  const Expected expected = expect(staged_outputs(traced), traced.fed);
  Teeth out;
  for (size_t port = 0; port < expected.values.size(); ++port)
    for (const Mistake& mistake : mistakes) {
      const auto wrong = mistaken(expected.values[port], mistake);
      // A result that is always rounded hides a hundredth, but not another element.
      const bool coarse = mistake.rotate && row.op->absolute_error > 0;
      if (!wrong || !well_conditioned(expected.values[port], expected.allowed[port], coarse ? 0.03 : 2e-3)) continue;
      Expected changed = expected;
      changed.values[port] = *wrong;
      out.forward = true;
      if (compare(expected.values, changed).ok)
        out.verdict = failed(text("'forward' does not notice that output ", port, " is ", describe(mistake)));
    }
  return out;
}

Teeth bites_in_expansion(const Row& row) {
  if (row.op->expand == nullptr) return {};
  const std::vector<Dense> values = evaluate_op(*row.op, row.attrs, row.inputs, {.exact = true});
  Teeth out;
  for (const Mistake& mistake : mistakes) {
    const bool noticeable =
        std::ranges::any_of(values, [&](const Dense& value) { return mistaken(value, mistake).has_value(); });
    if (noticeable && check_expansion(row, mistake).ok)
      out.verdict = failed(text("'expansion' does not notice that the meaning is ", describe(mistake)));
  }
  return out;
}

Teeth bites_in_gradient(const Row& row) {
  if (!has_gradient_check(row)) return {};
  const std::vector<Dense> gradients = row_gradients(row, *row.op);
  Teeth out;
  for (size_t i = 0; i < gradients.size(); ++i)
    for (const Mistake& mistake : mistakes) {
      if (!mistaken(gradients[i], mistake)) continue;
      const size_t input = row.differentiable[i];
      out.gradients.insert(input);
      if (check_gradient(row, mistake, input).ok)
        out.verdict =
            failed(text("'gradient' does not notice that the gradient of input ", input, " is ", describe(mistake)));
    }
  return out;
}

}  // namespace

Verdict check_types(const Row& row) {
  Traced traced = trace(row);
  if (has_gradient_check(row)) trace_gradients(traced, row, traced.inputs);
  verify(*traced.graph);
  std::vector<Value> results;
  for (const Tensor& output : traced.outputs) results.push_back(output.value());
  const std::vector<Dense> values = interpret(*traced.graph, traced.fed, results);
  Verdict out = check_text_form(*traced.graph, *row.op);
  for (size_t port = 0; port < values.size(); ++port)
    out = worse(out, check_produced(values[port], traced.outputs[port].type(), port));
  return out;
}

Verdict check_expansion(const Row& row, const Mistake& mistake) {
  Traced traced = trace(row);
  const Tensors expanded = row.op->expand({traced.inputs, row.attrs, Site::here()});
  if (expanded.size() != traced.outputs.size())
    return failed(text("the expansion has ", expanded.size(), " outputs instead of ", traced.outputs.size()));
  std::vector<Dense> want = evaluate(traced, traced.outputs);
  const std::vector<Dense> got = evaluate(traced, expanded);
  Verdict out;
  for (size_t port = 0; port < got.size(); ++port) {
    if (const auto wrong = mistaken(want[port], mistake)) want[port] = *wrong;
    out = worse(out, compare(got[port], want[port], agreement, 0, text("the expansion's output ", port)));
  }
  return out;
}

Verdict check_own_gradient(const Row& row) {
  OpDef derived = *row.op;
  derived.vjp = nullptr;
  derived.no_gradient = {};
  const std::vector<Dense> own = row_gradients(row, *row.op), by_expansion = row_gradients(row, derived);
  Verdict out;
  for (size_t i = 0; i < own.size(); ++i)
    out = worse(out, compare(own[i], by_expansion[i], agreement, cancelled,
                             text("the own gradient of input ", row.differentiable[i])));
  return out;
}

Verdict check_misuse(const OpDef& op, const Misuse& misuse) {
  Traced traced;
  std::vector<Value> inputs;
  for (const Type& type : misuse.inputs) {
    const std::string name = text("in", inputs.size());
    inputs.push_back(
        feed(traced, name, {type, std::vector<double>(static_cast<size_t>(type.shape.elements()))}).value());
  }
  constexpr Site line{"model.cpp", 41};
  try {
    traced.graph->add(op, inputs, misuse.attrs, line);
  } catch (const Error& error) {
    const std::string says = error.what();
    if (!says.starts_with("model.cpp:41: "))
      return failed(text("the refusal does not begin with the user's line: ", says));
    if (says.find(op.name) == std::string::npos) return failed(text("the refusal does not name the op: ", says));
    if (says.find(misuse.says) == std::string::npos)
      return failed(text("the refusal is '", says, "', which lacks '", misuse.says, "'"));
    return {};
  }
  return failed(text("it was accepted, instead of refused with '", misuse.says, "'"));
}

Teeth& Teeth::operator+=(const Teeth& other) {
  verdict = worse(verdict, other.verdict);
  forward = forward || other.forward;
  gradients.insert(other.gradients.begin(), other.gradients.end());
  return *this;
}

Teeth find_teeth(const Row& row) {
  Teeth out = bites_in_forward(row);
  out += bites_in_expansion(row);
  return out += bites_in_gradient(row);
}

Verdict check_coverage(const OpDef& op) {
  if (op.samples().empty()) return failed("it has no samples");
  Teeth teeth;
  std::set<size_t> asked;  // inputs with a gradient
  for (const Row& row : reference_rows(op)) {
    teeth += find_teeth(row);
    if (has_gradient_check(row)) asked.insert(row.differentiable.begin(), row.differentiable.end());
  }
  if (!teeth.forward) return failed("a wrong result would be noticed in none of its samples");
  if (has_gradient(op) && asked.empty()) return failed("it has a gradient, but no sample to check it with");
  for (const size_t input : asked)
    if (!teeth.gradients.contains(input)) return failed(text("the gradient of input ", input, " is 0 in every sample"));
  return {};
}

}  // namespace descent::check
