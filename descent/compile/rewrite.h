// How a pass makes a new graph out of an old one.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "descent/graph/op.h"

namespace descent {

// A graph and the values wanted from it: what passes take and give.
struct Staged {
  std::shared_ptr<Graph> graph;
  std::vector<Value> results;
};

// Ids of the nodes that the results depend on, ascending.
std::vector<uint32_t> live_nodes(const Graph& graph, std::span<const Value> results);

// How often each value is read, results included.
std::map<Value, int> use_counts(const Graph& graph, std::span<const Value> results);

// Rebuilds the live part of a graph, node by node, oldest first.
class Rewriter {
 public:
  explicit Rewriter(const Staged& from);

  const Graph& from() const { return *from_.graph; }
  Graph& to() { return *to_.graph; }
  Tensor operator()(Value old) const { return map_.at(old); }  // what an old value became
  Tensors inputs(const Node& node) const;                      // what the node's inputs became
  Tensors copy(const Node& node);                              // the same op on them

  // Calls rule(id, node), which returns what the node's outputs become, for every live node; the nodes it adds get the
  // old node's layer. Returns the new graph.
  Staged run(const std::function<Tensors(uint32_t, const Node&)>& rule);
  // Likewise in an order of one's own, in which inputs come before what reads them.
  Staged run(std::span<const uint32_t> order, const std::function<Tensors(uint32_t, const Node&)>& rule);

 private:
  const Staged& from_;
  Staged to_;
  std::map<Value, Tensor> map_;
};

}  // namespace descent
