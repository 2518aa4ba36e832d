#include "descent/compile/rewrite.h"

namespace descent {

std::vector<uint32_t> live_nodes(const Graph& graph, std::span<const Value> results) {
  std::vector<bool> live(graph.size(), false);
  for (const Value value : results) live[value.node] = true;
  for (uint32_t id = static_cast<uint32_t>(graph.size()); id-- > 0;)
    if (live[id])
      for (const Value input : graph.node(id).inputs) live[input.node] = true;
  std::vector<uint32_t> ids;
  for (uint32_t id = 0; id < graph.size(); ++id)
    if (live[id]) ids.push_back(id);
  return ids;
}

std::map<Value, int> use_counts(const Graph& graph, std::span<const Value> results) {
  std::map<Value, int> counts;
  for (const Value value : results) ++counts[value];
  for (const uint32_t id : live_nodes(graph, results))
    for (const Value input : graph.node(id).inputs) ++counts[input];
  return counts;
}

Rewriter::Rewriter(const Staged& from) : from_(from), to_{std::make_shared<Graph>(), {}} {}

Tensors Rewriter::inputs(const Node& node) const {
  Tensors out;
  for (const Value value : node.inputs) out.push_back(map_.at(value));
  return out;
}

Tensors Rewriter::copy(const Node& node) {
  std::vector<Value> values;
  for (const Tensor& input : inputs(node)) values.push_back(input.value());
  const uint32_t id = to().add(*node.op, std::move(values), node.attrs, node.site);
  Tensors out;
  for (uint16_t port = 0; port < node.outputs.size(); ++port) out.emplace_back(to(), Value{id, port});
  return out;
}

Staged Rewriter::run(const std::function<Tensors(uint32_t, const Node&)>& rule) {
  return run(live_nodes(from(), from_.results), rule);
}

Staged Rewriter::run(std::span<const uint32_t> order, const std::function<Tensors(uint32_t, const Node&)>& rule) {
  for (const uint32_t id : order) {
    const Node& node = from().node(id);
    to().restore_scope(from().scope_name(node.scope));
    const Graph::Attribution origin(to(), node.site, to().scope());
    const Tensors outputs = rule(id, node);
    for (uint16_t port = 0; port < outputs.size(); ++port) map_[{id, port}] = outputs[port];
  }
  for (const Value value : from_.results) to_.results.push_back(map_.at(value).value());
  return to_;
}

}  // namespace descent
