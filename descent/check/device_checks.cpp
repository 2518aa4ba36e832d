#include "descent/check/device_checks.h"

#include <algorithm>
#include <cstring>

#include "descent/check/gradient_check.h"
#include "descent/compile/passes.h"
#include "descent/ops/add.h"
#include "descent/ops/maximum.h"

namespace descent::check {

namespace {

std::vector<Array> run_on(const Device& device, const Staged& staged, const std::map<std::string, Dense>& fed,
                          const RunOptions& options) {
  std::map<std::string, Array> inputs;
  for (const auto& [name, value] : fed) inputs.emplace(name, to_array(value));
  std::vector<Array> out;
  for (const Array& array : device.run(*staged.graph, staged.results, inputs, options)) out.push_back(array.clone());
  return out;
}

std::vector<Dense> dense_all(std::span<const Array> arrays) {
  std::vector<Dense> out;
  for (const Array& array : arrays) out.push_back(dense(array));
  return out;
}

Verdict check_graph(const Device& device, const Staged& staged, const std::map<std::string, Dense>& fed) {
  return compare(dense_all(run_on(device, staged, fed, {})), expect(staged, fed));
}

Verdict same_bits(std::span<const Array> a, std::span<const Array> b, std::string_view what) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!std::ranges::equal(a[i].bytes(), b[i].bytes())) {
      const Dense got = dense(a[i]), want = dense(b[i]);
      const Verdict where = compare(got, want, std::vector<double>(want.values.size(), 0), text(what, ": output ", i));
      return where.ok ? failed(text(what, ": output ", i, " differs in the sign of a zero or the bits of a NaN"))
                      : where;
    }
  return {};
}

// The row's op between elementwise ops that leave its inputs as they are: inputs plus zeros, outputs' larger one with
// minus infinity. The zeros are inputs, so that no pass can see it.
Staged between_elementwise(Traced& traced, const Row& row) {
  std::vector<Value> inputs;
  for (size_t i = 0; i < traced.inputs.size(); ++i) {
    Tensor x = traced.inputs[i];
    if (is_floating(x.dtype()))
      x = add(x, feed(traced, text("zeros", i), {x.type(), std::vector<double>(row.inputs[i].values.size(), 0)}));
    inputs.push_back(x.value());
  }
  const uint32_t id = traced.graph->add(*row.op, inputs, row.attrs, Site::here());
  Staged staged{traced.graph, {}};
  for (uint16_t port = 0; port < traced.graph->node(id).outputs.size(); ++port) {
    Tensor y(*traced.graph, {id, port});
    if (is_floating(y.dtype())) {
      const auto count = static_cast<size_t>(y.shape().elements());
      y = maximum(y, feed(traced, text("floor", port), {y.type(), std::vector<double>(count, -HUGE_VAL)}));
    }
    staged.results.push_back(y.value());
  }
  return staged;
}

// Each output with an input of its type, no input twice.
std::vector<std::pair<size_t, std::string>> possible_updates(const Row& row) {
  std::vector<Type> types;
  for (const Dense& input : row.inputs) types.push_back(input.type);
  const std::vector<Type> outputs = row.op->infer({types, row.attrs, {}});
  std::vector<std::pair<size_t, std::string>> updates;
  std::vector<bool> taken(types.size(), false);
  for (size_t port = 0; port < outputs.size(); ++port)
    for (size_t i = 0; i < types.size(); ++i)
      if (!taken[i] && types[i] == outputs[port]) {
        taken[i] = true;
        updates.emplace_back(port, text("in", i));
        break;
      }
  return updates;
}

}  // namespace

Device rounded_device() {
  return {"rounded", [](const Graph& graph, std::span<const Value> results, const std::map<std::string, Array>& inputs,
                        const RunOptions&) {
            std::map<std::string, Dense> fed;
            for (const auto& [name, array] : inputs) fed.emplace(name, dense(array));
            // The pass only reads the graph, which outlives it.
            const std::shared_ptr<Graph> alias(std::shared_ptr<Graph>(), const_cast<Graph*>(&graph));
            const Staged core = expand_composites({alias, {results.begin(), results.end()}});
            std::vector<Array> out;
            for (const Dense& value : interpret(*core.graph, fed, core.results)) out.push_back(to_array(value));
            return out;
          }};
}

Staged staged_outputs(const Traced& traced) {
  Staged staged{traced.graph, {}};
  for (const Tensor& output : traced.outputs) staged.results.push_back(output.value());
  return staged;
}

Verdict check_forward(const Row& row, const Device& device) {
  const Traced traced = trace(row);
  return check_graph(device, staged_outputs(traced), traced.fed);
}

Verdict check_backward(const Row& row, const Device& device) {
  Traced traced = trace(row);
  Tensors wrt;
  for (const size_t i : row.differentiable) wrt.push_back(traced.inputs[i]);
  Staged staged{traced.graph, {}};
  for (const Tensor& gradient : trace_gradients(traced, row, wrt)) staged.results.push_back(gradient.value());
  return check_graph(device, staged, traced.fed);
}

Verdict check_fusion(const Row& row, const Device& device) {
  Traced traced = trace(row);
  const Staged staged = between_elementwise(traced, row);
  const std::vector<Array> fused = run_on(device, staged, traced.fed, {.fuse = true});
  const std::vector<Array> unfused = run_on(device, staged, traced.fed, {.fuse = false});
  const Expected expected = expect(staged, traced.fed);
  const Verdict right = worse(compare(dense_all(fused), expected), compare(dense_all(unfused), expected));
  return expected.bitwise ? worse(right, same_bits(fused, unfused, "with fusion")) : right;
}

Verdict check_donation(const Row& row, const Device& device) {
  const Traced traced = trace(row);
  const Staged staged = staged_outputs(traced);
  RunOptions options{.updates = possible_updates(row)};
  const std::vector<Array> donated = run_on(device, staged, traced.fed, options);
  options.donate = false;
  options.updates.clear();
  return same_bits(donated, run_on(device, staged, traced.fed, options), "with results written over inputs");
}

Verdict check_poison(const Row& row, const Device& device) {
  Traced traced = trace(row);
  const Staged staged = between_elementwise(traced, row);
  const std::vector<Array> plain = run_on(device, staged, traced.fed, {});
  return same_bits(run_on(device, staged, traced.fed, {.poison = true}), plain, "with poisoned memory");
}

bool can_donate(const Row& row) { return row.layout->view == nullptr && !possible_updates(row).empty(); }

}  // namespace descent::check
