#include <set>

#include "descent/compile/passes.h"
#include "descent/ops/cast.h"
#include "descent/ops/input.h"
#include "descent/ops/matmul.h"

namespace descent {

namespace {

bool is_cast_to_bf16(const Node& node) { return node.op == &op_def<Cast>() && node.outputs[0].dtype == DType::bf16; }

// x in bf16, the rounding put below the views so that all views of one value share it.
Tensor in_bf16(Tensor x) {
  const Node node = x.node();
  if (node.op->op_class != OpClass::view || node.inputs.size() != 1) return cast(x, DType::bf16, node.site);
  const Tensor below = in_bf16({x.graph(), node.inputs[0]});
  return apply(*node.op, std::span(&below, 1), node.attrs, node.site)[0];
}

Staged round_operands(const Staged& from) {
  Rewriter rewriter(from);
  return rewriter.run([&](uint32_t, const Node& node) -> Tensors {
    if (node.op != &op_def<Matmul>() || node.outputs[0].dtype != DType::f32) return rewriter.copy(node);
    const Tensors in = rewriter.inputs(node);
    return {apply<Matmul>({in_bf16(in[0]), in_bf16(in[1])}, {{"to", DType::f32}}, node.site)};
  });
}

// The computed f32 values that somebody rounds to bf16.
std::set<Value> rounded_values(const Staged& staged) {
  std::set<Value> out;
  for (const uint32_t id : live_nodes(*staged.graph, staged.results)) {
    const Node& node = staged.graph->node(id);
    if (!is_cast_to_bf16(node)) continue;
    const Value value = node.inputs[0];
    if (staged.graph->type(value).dtype == DType::f32 && staged.graph->node(value).op != &op_def<Input>()) out.insert(value);
  }
  return out;
}

}  // namespace

Staged mixed_precision(const Staged& from) {
  const Staged operands = round_operands(from);
  const std::set<Value> kept = rounded_values(operands);
  Rewriter rewriter(operands);
  return simplify(rewriter.run([&](uint32_t id, const Node& node) {
    Tensors out = rewriter.copy(node);
    for (uint16_t port = 0; port < out.size(); ++port)
      if (kept.contains({id, port})) out[port] = cast(cast(out[port], DType::bf16, node.site), DType::f32, node.site);
    return out;
  }));
}

}  // namespace descent
