#include <algorithm>
#include <set>

#include "descent/compile/passes.h"
#include "descent/ops/add.h"
#include "descent/ops/broadcast.h"
#include "descent/ops/cast.h"
#include "descent/ops/conv.h"
#include "descent/ops/fused_attention_gradient.h"
#include "descent/ops/input.h"
#include "descent/ops/kept.h"
#include "descent/ops/matmul.h"
#include "descent/ops/max.h"
#include "descent/ops/rounded_gelu_slope.h"
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
  int exact = -1;  // the number of an input that is not rounded
};
const MixedOp* mixed_op(const OpDef* op) {
  static const MixedOp ops[] = {{&op_def<Matmul>(), Result::f32},
                                {&op_def<Conv>(), Result::bf16_unless_added},
                                {&op_def<ConvInputGradient>(), Result::bf16_unless_added},
                                {&op_def<ConvWeightGradient>(), Result::f32},
                                {&op_def<FusedAttention>(), Result::bf16},
                                {&op_def<FusedAttentionGradient>(), Result::bf16, FusedAttentionGradient::logs},
                                {&op_def<MaxPool>(), Result::bf16},
                                {&op_def<MaxPoolGradient>(), Result::bf16},
                                {&op_def<SumPool>(), Result::bf16_unless_added},
                                {&op_def<SumPoolGradient>(), Result::bf16_unless_added}};
  const auto* found = std::ranges::find(ops, op, &MixedOp::op);
  return found == std::end(ops) ? nullptr : found;
}

bool is_cast_to_bf16(const Node& node) { return node.op == &op_def<Cast>() && node.outputs[0].dtype == DType::bf16; }

// x in bf16, the rounding put below the views so that all views of one value share it, and parts are put together
// rounded.
Tensor in_bf16(Tensor x) {
  if (x.dtype() != DType::f32) return x;
  const Node node = x.node();
  if (node.op->op_class != OpClass::view || node.op->name == "pad") return cast(x, DType::bf16, node.site);
  Tensors below;
  for (const Value input : node.inputs) below.push_back(in_bf16({x.graph(), input}));
  return apply(*node.op, below, node.attrs, node.site)[0];
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
    for (int i = 0; i < std::ssize(in); ++i)
      if (i != mixed->exact) in[i] = in_bf16(in[i]);
    const bool wide =
        mixed->result == Result::f32 || (mixed->result == Result::bf16_unless_added && added.contains({id, 0}));
    Attrs attrs = node.attrs;
    if (node.op->op_class == OpClass::contraction) attrs.set("to", wide ? DType::f32 : DType::bf16);
    Tensors out = apply(*node.op, in, attrs, node.site);
    out[0] = cast(out[0], DType::f32, node.site);
    return out;
  });
}

// Large products that are stored, for readers who do not mind: what an activation and its gradient look at, what a
// norm's gradient also sums, and a residual's branch (the sum that it is added to stays f32). What only elementwise
// work reads is not stored; what is added to others stays exact, as do the scores of a loss.
class LargeProducts {
 public:
  explicit LargeProducts(const Staged& staged)
      : graph_(*staged.graph), results_(staged.results.begin(), staged.results.end()) {
    for (const uint32_t id : live_nodes(graph_, staged.results))
      for (const Value input : graph_.node(id).inputs) readers_[input].push_back(id);
  }

  bool operator()(Value value) const {
    constexpr int64_t large = int64_t{1} << 17, wide = 128;
    const Type& type = graph_.type(value);
    if (graph_.node(value).op != &op_def<Matmul>() || type.dtype != DType::f32) return false;
    Readers seen;
    return type.shape.elements() >= large && type.shape.back() >= wide && all_allow(value, seen) &&
           (seen.branch || (seen.count > 1 && seen.stored));
  }

 private:
  struct Readers {
    int count = 0;
    bool stored = false;  // not all of them can be one elementwise kernel
    bool branch = false;  // one is a residual
  };

  bool all_allow(Value value, Readers& seen) const {
    const auto readers = readers_.find(value);
    if (results_.contains(value) || readers == readers_.end()) return false;
    return std::ranges::all_of(readers->second, [&](uint32_t id) {
      const Node& node = graph_.node(id);
      if (node.op->op_class == OpClass::view && node.inputs.size() == 1) return all_allow({id, 0}, seen);
      ++seen.count;
      seen.stored |= node.op->op_class == OpClass::reduce;
      seen.branch |= is_residual(id);
      return is_residual(id) || allows(node);
    });
  }

  // A sum of two whole arrays at which several look: a norm and the next such sum. (A bias is not whole: it is repeated.)
  bool is_residual(uint32_t id) const {
    const Node& node = graph_.node(id);
    const auto readers = readers_.find({id, 0});
    const auto whole = [&](Value term) {
      return graph_.type(term).shape == node.outputs[0].shape && graph_.node(term).op != &op_def<Broadcast>();
    };
    return node.op == &op_def<Add>() && std::ranges::all_of(node.inputs, whole) && readers != readers_.end() &&
           readers->second.size() > 1;
  }

  static bool allows(const Node& node) {
    const std::string_view name = node.op->name;
    if (node.op->op_class == OpClass::elementwise) return name != "add";
    if (node.op->op_class == OpClass::composite)
      return node.inputs.size() == 1 && !name.ends_with("softmax") && name != "max";
    return name == "sum" || node.op->op_class == OpClass::contraction;
  }

  const Graph& graph_;
  std::set<Value> results_;
  std::map<Value, std::vector<uint32_t>> readers_;
};

// A matrix product or a convolution, or one with something added.
bool of_product(const Graph& graph, Value value) {
  const auto is_product = [](const Node& node) { return node.op == &op_def<Matmul>() || node.op == &op_def<Conv>(); };
  const Node* node = &graph.node(value);
  while (node->op->op_class == OpClass::view && node->inputs.size() == 1) node = &graph.node(node->inputs[0]);
  if (node->op != &op_def<Add>()) return is_product(*node);
  return std::ranges::any_of(node->inputs, [&](Value term) { return is_product(graph.node(term)); });
}

// What a gradient wants and is stored for it where it is computed: the slope of a product's activation, in the place of
// the product, and the normal numbers of large norms.
bool is_kept_rounded(const Graph& graph, const Node& node) {
  constexpr int64_t large = int64_t{1} << 17;
  if (node.outputs[0].dtype != DType::f32) return false;
  if (node.op == &op_def<GeluSlope>()) return of_product(graph, node.inputs[0]);
  return node.op == &op_def<Kept>() && node.outputs[0].shape.elements() >= large;
}

// The node's result rounded; perhaps stored right away. Gelu and its slope need not be exact before that.
Tensor rounded_result(const Node& node, Tensor x, Tensor result, bool stored) {
  const auto is_exact = [&](const OpDef& op) { return node.op == &op && node.attrs.integer("approximate") == 0; };
  if (is_exact(op_def<Gelu>())) return rounded_gelu(x, node.site);
  if (is_exact(op_def<GeluSlope>())) return rounded_gelu_slope(x, stored, node.site);
  if (!stored) return cast(result, DType::bf16, node.site);
  return apply<Cast>({result}, {{"to", DType::bf16}, {"stored", int64_t{1}}}, node.site);
}

// The computed f32 values that somebody rounds to bf16, but for largest elements: their gradient looks for the elements
// that equal them, which need not be rounded.
std::set<Value> rounded_values(const Staged& staged) {
  std::set<Value> out;
  for (const uint32_t id : live_nodes(*staged.graph, staged.results)) {
    const Node& node = staged.graph->node(id);
    if (!is_cast_to_bf16(node)) continue;
    const Value value = node.inputs[0];
    const OpDef* op = staged.graph->node(value).op;
    if (staged.graph->type(value).dtype == DType::f32 && op != &op_def<Input>() && op != &op_def<Max>())
      out.insert(value);
  }
  return out;
}

}  // namespace

Staged mixed_precision(const Staged& from) {
  const Staged operands = round_operands(from);
  const std::set<Value> kept = rounded_values(operands);
  const LargeProducts is_large_product(operands);
  Rewriter rewriter(operands);
  return simplify(rewriter.run([&](uint32_t id, const Node& node) {
    Tensors out = rewriter.copy(node);
    for (uint16_t port = 0; port < out.size(); ++port) {
      const bool stored = is_kept_rounded(rewriter.from(), node);
      if (!stored && !kept.contains({id, port}) && !is_large_product({id, port})) continue;
      const Tensor x = node.inputs.empty() ? Tensor() : rewriter.inputs(node)[0];
      out[port] = cast(rounded_result(node, x, out[port], stored), DType::f32, node.site);
    }
    return out;
  }));
}

}  // namespace descent
