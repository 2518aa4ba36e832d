#include <algorithm>

#include "descent/compile/passes.h"

namespace descent {

namespace {

bool is_expanded(const Graph& graph, const Node& node, const RunsWhole& runs_whole) {
  if (node.op->op_class != OpClass::composite) return false;
  std::vector<Type> types;
  for (const Value input : node.inputs) types.push_back(graph.type(input));
  return !runs_whole || !runs_whole(*node.op, types);
}

Staged expand_once(const Staged& from, const RunsWhole& runs_whole) {
  Rewriter rewriter(from);
  return rewriter.run([&](uint32_t, const Node& node) {
    if (!is_expanded(rewriter.from(), node, runs_whole)) return rewriter.copy(node);
    return node.op->expand({rewriter.inputs(node), node.attrs, node.site});
  });
}

}  // namespace

Staged expand_composites(const Staged& from, const RunsWhole& runs_whole) {
  Staged staged = from;
  const auto left = [&](uint32_t id) { return is_expanded(*staged.graph, staged.graph->node(id), runs_whole); };
  while (std::ranges::any_of(live_nodes(*staged.graph, staged.results), left)) staged = expand_once(staged, runs_whole);
  return staged;
}

}  // namespace descent
