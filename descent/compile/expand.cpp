#include <algorithm>

#include "descent/compile/passes.h"

namespace descent {

namespace {

bool has_composites(const Staged& staged) {
  return std::ranges::any_of(live_nodes(*staged.graph, staged.results),
                             [&](uint32_t id) { return staged.graph->node(id).op->op_class == OpClass::composite; });
}

Staged expand_once(const Staged& from) {
  Rewriter rewriter(from);
  return rewriter.run([&](uint32_t, const Node& node) {
    if (node.op->op_class != OpClass::composite) return rewriter.copy(node);
    return node.op->expand({rewriter.inputs(node), node.attrs, node.site});
  });
}

}  // namespace

Staged expand_composites(const Staged& from) {
  Staged staged = from;
  while (has_composites(staged)) staged = expand_once(staged);
  return staged;
}

}  // namespace descent
