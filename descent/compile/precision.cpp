#include <algorithm>
#include <set>

#include "descent/compile/passes.h"
#include "descent/ops/add.h"
#include "descent/ops/cast.h"
#include "descent/ops/conv.h"
#include "descent/ops/input.h"
#include "descent/ops/matmul.h"
#include "descent/ops/sum_pool.h"

namespace descent {

namespace {

// Ops that work on bf16 in mixed precision, and what becomes of their results: sums of products are f32 where they are
// small (weights' gradients) or go on into sums; images are kept in bf16, since all that is done with them is memory
// traffic.
enum class Result { f32, bf16, bf16_unless_added };
struct MixedOp {
  const OpDef* op;
  Result result;
};
const MixedOp* mixed_op(const OpDef* op) {
  static const MixedOp ops[] = {{&op_def<Matmul>(), Result::f32},
                                {&op_def<Conv>(), Result::bf16_unless_added},
                                {&op_def<ConvInputGradient>(), Result::bf16_unless_added},
                                {&op_def<ConvWeightGradient>(), Result::f32},
                                {&op_def<MaxPool>(), Result::bf16},
                                {&op_def<MaxPoolGradient>(), Result::bf16},
                                {&op_def<SumPool>(), Result::bf16_unless_added},
                                {&op_def<SumPoolGradient>(), Result::bf16_unless_added}};
  const auto* found = std::ranges::find(ops, op, &MixedOp::op);
  return found == std::end(ops) ? nullptr : found;
}

bool is_cast_to_bf16(const Node& node) { return node.op == &op_def<Cast>() && node.outputs[0].dtype == DType::bf16; }

// x in bf16, the rounding put below the views so that all views of one value share it.
Tensor in_bf16(Tensor x) {
  if (x.dtype() != DType::f32) return x;
  const Node node = x.node();
  if (node.op->op_class != OpClass::view || node.inputs.size() != 1) return cast(x, DType::bf16, node.site);
  const Tensor below = in_bf16({x.graph(), node.inputs[0]});
  return apply(*node.op, std::span(&below, 1), node.attrs, node.site)[0];
}

// The values that some sum of arrays reads: a bias or a residual is added to them, unrounded.
std::set<Value> added_values(const Staged& staged) {
  std::set<Value> out;
  for (const uint32_t id : live_nodes(*staged.graph, staged.results))
    if (const Node& node = staged.graph->node(id); node.op == &op_def<Add>())
      out.insert(node.inputs.begin(), node.inputs.end());
  return out;
}

Staged round_operands(const Staged& from) {
  const std::set<Value> added = added_values(from);
  Rewriter rewriter(from);
  return rewriter.run([&](uint32_t id, const Node& node) -> Tensors {
    const MixedOp* mixed = mixed_op(node.op);
    if (mixed == nullptr || node.outputs[0].dtype != DType::f32) return rewriter.copy(node);
    Tensors in = rewriter.inputs(node);
    for (Tensor& x : in) x = in_bf16(x);
    const bool wide =
        mixed->result == Result::f32 || (mixed->result == Result::bf16_unless_added && added.contains({id, 0}));
    Attrs attrs = node.attrs;
    if (node.op->op_class == OpClass::contraction) attrs.set("to", wide ? DType::f32 : DType::bf16);
    Tensors out = apply(*node.op, in, attrs, node.site);
    out[0] = cast(out[0], DType::f32, node.site);
    return out;
  });
}

// The computed f32 values that somebody rounds to bf16.
std::set<Value> rounded_values(const Staged& staged) {
  std::set<Value> out;
  for (const uint32_t id : live_nodes(*staged.graph, staged.results)) {
    const Node& node = staged.graph->node(id);
    if (!is_cast_to_bf16(node)) continue;
    const Value value = node.inputs[0];
    if (staged.graph->type(value).dtype == DType::f32 && staged.graph->node(value).op != &op_def<Input>())
      out.insert(value);
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
