// The graph of a step: what is computed from what. Nodes hold no bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "descent/base/error.h"
#include "descent/core/shape.h"
#include "descent/graph/attrs.h"

namespace descent {

struct OpDef;
class Tensor;

// A place in a graph: output `port` of node `node`.
struct Value {
  uint32_t node = 0;
  uint16_t port = 0;
  friend auto operator<=>(const Value&, const Value&) = default;
};

struct Node {
  const OpDef* op;
  Attrs attrs;
  std::vector<Value> inputs;
  std::vector<Type> outputs;
  Site site;       // the user's line
  uint32_t scope;  // the layer, as an index into Graph::scope_name
};

// Append-only and hash-consed: adding a node equal to an older one (same op, attributes and inputs) returns the older
// one. So a node's id is larger than its inputs' ids, passes are plain loops, and a rewrite copies into a new graph.
class Graph {
 public:
  Graph();
  Graph(const Graph&) = delete;  // tensors point at their graph
  Graph& operator=(const Graph&) = delete;

  // Infers the output types (checking the inputs) and returns the node's id. Fails with the op, the layer, the types.
  uint32_t add(const OpDef& op, std::vector<Value> inputs, Attrs attrs, Site site);

  size_t size() const { return nodes_.size(); }
  const Node& node(uint32_t id) const { return nodes_[id]; }
  const Node& node(Value value) const { return nodes_[value.node]; }
  const Type& type(Value value) const { return nodes_[value.node].outputs[value.port]; }
  std::span<const Node> nodes() const { return nodes_; }

  // Nodes added between enter_scope and leave_scope belong to that layer: "hidden" inside "net" is "net.hidden".
  void enter_scope(std::string_view name);
  void leave_scope();
  const std::string& scope_name(uint32_t scope) const { return scope_names_[scope]; }
  uint32_t scope() const { return scope_stack_.back(); }
  // For rewrites: nodes added from now on belong to that layer. Returns an id for use with restore_scope.
  void restore_scope(const std::string& full_name);

  // While one lives, new nodes get this line and layer instead of their own: what an expansion or a gradient rule adds
  // belongs to the user's op, not to a line in the op's header or to the optimiser.
  class Attribution {
   public:
    Attribution(Graph& graph, Site site, uint32_t scope) : graph_(graph), outer_(graph.attributed_) {
      graph.attributed_ = {site, scope};
    }
    ~Attribution() { graph_.attributed_ = outer_; }
    Attribution(const Attribution&) = delete;
    Attribution& operator=(const Attribution&) = delete;

   private:
    Graph& graph_;
    std::pair<Site, uint32_t> outer_;
  };

 private:
  uint32_t intern_scope(std::string name);

  std::vector<Node> nodes_;
  std::unordered_multimap<uint64_t, uint32_t> by_hash_;
  std::vector<std::string> scope_names_;
  std::vector<uint32_t> scope_stack_;
  std::pair<Site, uint32_t> attributed_{};  // line 0: none
};

// The user's handle while tracing: which graph, which value. Cheap to copy; holds no data.
class Tensor {
 public:
  Tensor() = default;  // no tensor: bool(tensor) is false
  Tensor(Graph& graph, Value value) : graph_(&graph), value_(value) {}

  explicit operator bool() const { return graph_ != nullptr; }
  Graph& graph() const { return *graph_; }
  Value value() const { return value_; }
  const Node& node() const { return graph_->node(value_); }
  const Type& type() const { return graph_->type(value_); }
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }
  int rank() const { return shape().rank(); }
  friend bool operator==(const Tensor&, const Tensor&) = default;

 private:
  Graph* graph_ = nullptr;
  Value value_;
};

using Tensors = std::vector<Tensor>;

// One line a node: `%3 = add(%1, %2) : f32[2,3]`, with `# layer file:line` behind when `origins`.
std::string to_text(const Graph& graph, bool origins = false);
// What that prints, read back into `graph` (which must be empty), with the ops looked up by name.
void parse_graph(std::string_view text, std::span<const OpDef* const> ops, Graph& graph);

// Checks what add() guarantees, for graphs made by passes: inputs older than their node, ports that exist, types
// equal to the inferred ones. Fails naming the node.
void verify(const Graph& graph);

}  // namespace descent
