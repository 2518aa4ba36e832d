#include "descent/graph/op.h"

namespace descent {

int64_t contraction_flops(const Graph& graph, const Node& node) {
  if (node.op->multiply_adds == nullptr) return 0;
  std::vector<Type> inputs;
  for (const Value input : node.inputs) inputs.push_back(graph.type(input));
  return 2 * node.op->multiply_adds(inputs, node.attrs);
}

Tensors apply(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs, Site at) {
  if (inputs.empty()) fail(at, text(op.name, ": needs an input to know its graph"));
  Graph* graph = nullptr;
  std::vector<Value> values;
  for (const Tensor& input : inputs) {
    if (!input) fail(at, text(op.name, ": input ", values.size(), " is an empty tensor"));
    if (graph != nullptr && graph != &input.graph())
      fail(at, text(op.name, ": its inputs come from two different graphs"));
    graph = &input.graph();
    values.push_back(input.value());
  }
  const uint32_t id = graph->add(op, std::move(values), std::move(attrs), at);
  Tensors outputs;
  for (uint16_t port = 0; port < graph->node(id).outputs.size(); ++port) outputs.emplace_back(*graph, Value{id, port});
  return outputs;
}

std::vector<Type> infer_same(const InferArgs& args, std::string_view name) {
  for (size_t i = 1; i < args.inputs.size(); ++i)
    if (!(args.inputs[i] == args.inputs[0]))
      fail(text(name, ": input ", i, " is ", args.inputs[i], " but input 0 is ", args.inputs[0],
                "; they must be the same"));
  return {args.inputs[0]};
}

}  // namespace descent
