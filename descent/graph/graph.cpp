#include "descent/graph/graph.h"

#include <algorithm>

#include "descent/base/hash.h"
#include "descent/base/text.h"
#include "descent/graph/op.h"

namespace descent {

Graph::Graph() : scope_names_{""}, scope_stack_{0} {}

namespace {

uint64_t hash_node(const OpDef& op, std::span<const Value> inputs, const Attrs& attrs) {
  uint64_t hash = hash_mix(reinterpret_cast<uintptr_t>(&op), attrs.hash());
  for (const Value value : inputs) hash = hash_mix(hash, uint64_t{value.node} << 16 | value.port);
  return hash;
}

bool same_node(const Node& node, const OpDef& op, std::span<const Value> inputs, const Attrs& attrs) {
  return node.op == &op && std::ranges::equal(node.inputs, inputs) && node.attrs == attrs;
}

// "hidden.1 (linear): ", or "" outside every layer.
std::string layer_prefix(const std::string& scope) { return scope.empty() ? "" : scope + ": "; }

}  // namespace

uint32_t Graph::add(const OpDef& op, std::vector<Value> inputs, Attrs attrs, Site site) {
  const bool attributed = attributed_.first.line != 0;
  if (attributed) site = attributed_.first;
  const uint32_t layer_scope = attributed ? attributed_.second : scope();
  const uint64_t hash = hash_node(op, inputs, attrs);
  for (auto [at, end] = by_hash_.equal_range(hash); at != end; ++at)
    if (same_node(nodes_[at->second], op, inputs, attrs)) return at->second;

  std::vector<Type> types;
  for (const Value value : inputs) types.push_back(type(value));
  const std::string layer = layer_prefix(scope_name(layer_scope));
  if (op.arity >= 0 && static_cast<size_t>(op.arity) != inputs.size())
    fail(site, text(layer, op.name, ": takes ", op.arity, " inputs, got ", inputs.size()));
  std::vector<Type> outputs;
  try {
    outputs = op.infer({types, attrs, site});
    for (const Type& each : outputs) each.shape.elements();  // fails if they are too many
  } catch (const Error& error) {
    fail(site, layer + error.what());
  }
  const auto id = static_cast<uint32_t>(nodes_.size());
  nodes_.push_back({&op, std::move(attrs), std::move(inputs), std::move(outputs), site, layer_scope});
  by_hash_.emplace(hash, id);
  return id;
}

uint32_t Graph::intern_scope(std::string name) {
  const auto at = std::ranges::find(scope_names_, name);
  if (at != scope_names_.end()) return static_cast<uint32_t>(at - scope_names_.begin());
  scope_names_.push_back(std::move(name));
  return static_cast<uint32_t>(scope_names_.size() - 1);
}

void Graph::enter_scope(std::string_view name) {
  const std::string& outer = scope_name(scope());
  scope_stack_.push_back(intern_scope(outer.empty() ? std::string(name) : text(outer, ".", name)));
}

void Graph::leave_scope() {
  if (scope_stack_.size() > 1) scope_stack_.pop_back();
}

void Graph::restore_scope(const std::string& full_name) { scope_stack_.back() = intern_scope(full_name); }

void verify(const Graph& graph) {
  for (uint32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    std::vector<Type> types;
    for (const Value value : node.inputs) {
      if (value.node >= id || value.port >= graph.node(value).outputs.size())
        fail(text("node %", id, " (", node.op->name, ") reads %", value.node, ":", value.port,
                  ", which is not before it"));
      types.push_back(graph.type(value));
    }
    if (node.op->infer({types, node.attrs, node.site}) != node.outputs)
      fail(text("node %", id, " (", node.op->name, ") has other types than its rule gives"));
  }
}

}  // namespace descent
