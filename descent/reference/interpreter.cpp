#include "descent/reference/interpreter.h"

#include "descent/ops/input.h"

namespace descent {

namespace {

void round_values(Dense& value, bool exact) {
  if (exact && is_floating(value.type.dtype)) return;
  for (double& x : value.values) x = rounded(x, value.type.dtype);
}

// A meaning may assign its output instead of filling it; the count must hold all the same.
void check_count(const OpDef& op, const Dense& value) {
  if (static_cast<int64_t>(value.values.size()) != value.type.shape.elements())
    fail(text(op.name, ": its meaning gives ", value.values.size(), " values for an output ", value.type));
}

std::vector<Dense> evaluate_typed(const OpDef& op, const Attrs& attrs, std::span<const Dense> inputs,
                                  const std::vector<Type>& types, bool exact) {
  std::vector<Dense> outputs;
  for (const Type& type : types)
    outputs.push_back({type, std::vector<double>(static_cast<size_t>(type.shape.elements()))});
  op.evaluate({inputs, outputs, attrs});
  for (Dense& output : outputs) {
    check_count(op, output);
    round_values(output, exact);
  }
  return outputs;
}

// One evaluation of a graph: the values that are still to be read.
class Interpretation {
 public:
  Interpretation(const Graph& graph, const std::map<std::string, Dense>& inputs, std::span<const Value> outputs,
                 const InterpretOptions& options)
      : graph_(graph), inputs_(inputs), options_(options), uses_(graph.size(), 0), values_(graph.size()) {
    for (const Value output : outputs) ++uses_[output.node];
    for (size_t id = graph.size(); id-- > 0;)  // readers are newer than what they read
      if (uses_[id] > 0)
        for (const Value input : graph.nodes()[id].inputs) ++uses_[input.node];
  }

  void run() {
    for (uint32_t id = 0; id < graph_.size(); ++id)
      if (uses_[id] > 0) visit(id);
  }

  // A copy while others will still read the value's node, the value itself for the last reader.
  Dense take(Value value) {
    Dense& held = values_[value.node][value.port];
    const bool last = --uses_[value.node] == 0 && values_[value.node].size() == 1;
    Dense out = last ? std::move(held) : held;
    if (uses_[value.node] == 0) values_[value.node].clear();
    return out;
  }

 private:
  void visit(uint32_t id) {
    const Node& node = graph_.node(id);
    std::vector<Dense> inputs;
    for (const Value value : node.inputs) inputs.push_back(take(value));
    values_[id] = node.op == &op_def<Input>()
                      ? std::vector<Dense>{bound(node)}
                      : evaluate_typed(*node.op, node.attrs, inputs, node.outputs, options_.exact);
    if (options_.observe) options_.observe(node, inputs, values_[id]);
  }

  Dense bound(const Node& node) const {
    const std::string& name = node.attrs.string("name");
    const auto at = inputs_.find(name);
    if (at == inputs_.end()) fail(node.site, text("input '", name, "' ", node.outputs[0], " was not given"));
    if (at->second.type != node.outputs[0])
      fail(node.site, text("input '", name, "' is ", at->second.type, " but the graph says ", node.outputs[0]));
    Dense value = at->second;
    check_count(*node.op, value);
    round_values(value, options_.exact);
    return value;
  }

  const Graph& graph_;
  const std::map<std::string, Dense>& inputs_;
  const InterpretOptions& options_;
  std::vector<int> uses_;                   // reads to come, by node
  std::vector<std::vector<Dense>> values_;  // by node and port
};

}  // namespace

std::vector<Dense> interpret(const Graph& graph, const std::map<std::string, Dense>& inputs,
                             std::span<const Value> outputs, const InterpretOptions& options) {
  Interpretation interpretation(graph, inputs, outputs, options);
  interpretation.run();
  std::vector<Dense> results;
  for (const Value output : outputs) results.push_back(interpretation.take(output));
  return results;
}

std::vector<Dense> evaluate_op(const OpDef& op, const Attrs& attrs, std::span<const Dense> inputs,
                               const InterpretOptions& options) {
  std::vector<Type> types;
  for (const Dense& input : inputs) types.push_back(input.type);
  return evaluate_typed(op, attrs, inputs, op.infer({types, attrs, {}}), options.exact);
}

Dense dense(Type type, std::vector<double> values) {
  if (static_cast<int64_t>(values.size()) != type.shape.elements())
    fail(text("a value ", type, " has ", type.shape.elements(), " elements, but ", values.size(), " were given"));
  Dense out{type, std::move(values)};
  round_values(out, false);
  return out;
}

Dense dense(const Array& array) { return {array.type(), array.to_doubles()}; }

Array to_array(const Dense& value) {
  Array out(value.type);
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, value.values[i]);
  return out;
}

}  // namespace descent
