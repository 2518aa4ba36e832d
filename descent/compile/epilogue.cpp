#include <algorithm>
#include <optional>

#include "descent/compile/passes.h"
#include "descent/ops/add.h"
#include "descent/ops/cast.h"
#include "descent/ops/fused_matmul.h"
#include "descent/ops/relu.h"

namespace descent {

namespace {

// A matrix product and what follows it, up to node `last`.
struct Chain {
  uint32_t product, last;
  std::optional<Value> bias;
  bool relu = false;
  DType to;
};

// Follows a product to the end of what its epilogue can take. A step is taken only if nobody else reads the value
// before it, since that value will not be stored.
class ChainFinder {
 public:
  explicit ChainFinder(const Staged& staged) : graph_(*staged.graph), uses_(use_counts(graph_, staged.results)) {
    for (const uint32_t id : live_nodes(graph_, staged.results))
      for (const Value input : graph_.node(id).inputs) readers_[input].push_back(id);
  }

  Chain from(uint32_t product) const {
    Chain chain{product, product, {}, false, graph_.node(product).outputs[0].dtype};
    if (const Node* reader = only_reader(chain.last); reader && reader->op == &op_def<Add>())
      if (const std::optional<Value> bias = bias_of(*reader, chain.last)) advance(chain).bias = bias;
    if (const Node* reader = only_reader(chain.last); reader && reader->op == &op_def<Relu>())
      advance(chain).relu = true;
    if (const Node* reader = only_reader(chain.last);
        reader && reader->op == &op_def<Cast>() && chain.to == DType::f32 && reader->outputs[0].dtype == DType::bf16)
      advance(chain).to = DType::bf16;
    return chain;
  }

 private:
  const Node* only_reader(uint32_t id) const {
    const auto uses = uses_.find({id, 0});
    const auto readers = readers_.find({id, 0});
    if (uses == uses_.end() || uses->second != 1 || readers == readers_.end()) return nullptr;
    return &graph_.node(readers->second[0]);
  }
  Chain& advance(Chain& chain) const {
    chain.last = readers_.at({chain.last, 0})[0];
    return chain;
  }

  // The vector that this addition repeats along the rows of the product, if it does.
  std::optional<Value> bias_of(const Node& sum, uint32_t product) const {
    const Value other = sum.inputs[0].node == product ? sum.inputs[1] : sum.inputs[0];
    const Node& repeated = graph_.node(other);
    if (repeated.op->name != "broadcast" || sum.outputs[0].dtype != DType::f32) return std::nullopt;
    const Shape& shape = graph_.type(repeated.inputs[0]).shape;
    if (shape != Shape{sum.outputs[0].shape.back()}) return std::nullopt;
    return repeated.inputs[0];
  }

  const Graph& graph_;
  std::map<Value, int> uses_;
  std::map<Value, std::vector<uint32_t>> readers_;
};

Tensor fused(Rewriter& rewriter, const Chain& chain) {
  const Node& product = rewriter.from().node(chain.product);
  Tensors in = rewriter.inputs(product);
  if (chain.bias) in.push_back(rewriter(*chain.bias));
  const Attrs attrs{{"activation", std::string(chain.relu ? "relu" : "none")}, {"to", chain.to}};
  return apply(op_def<FusedMatmul>(), in, attrs, product.site)[0];
}

}  // namespace

Staged claim_epilogues(const Staged& from) {
  const ChainFinder finder(from);
  std::map<uint32_t, Chain> by_last;
  for (const uint32_t id : live_nodes(*from.graph, from.results)) {
    if (from.graph->node(id).op != &op_def<Matmul>()) continue;
    const Chain chain = finder.from(id);
    if (chain.last != chain.product) by_last.emplace(chain.last, chain);
  }
  Rewriter rewriter(from);
  return simplify(rewriter.run([&](uint32_t id, const Node& node) -> Tensors {
    const auto chain = by_last.find(id);
    return chain == by_last.end() ? rewriter.copy(node) : Tensors{fused(rewriter, chain->second)};
  }));
}

}  // namespace descent
