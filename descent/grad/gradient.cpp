#include "descent/grad/gradient.h"

#include <algorithm>
#include <map>
#include <set>

#include "descent/ops/add.h"
#include "descent/ops/broadcast.h"
#include "descent/ops/constant.h"

namespace descent {

namespace {

// One reverse walk. Cotangents are summed per value; a node is visited after every node that reads it.
class ReverseWalk {
 public:
  ReverseWalk(Graph& graph, Site at) : graph_(graph), at_(at) {}

  void seed(Value value, Tensor cotangent) {
    const auto [place, fresh] = cotangents_.try_emplace(value, cotangent);
    if (!fresh) place->second = add({place->second, at_}, {cotangent, at_});
  }

  // Visits, newest first, the nodes between `sources` and the seeded values. With `stop`, nothing behind a source is
  // visited: the sources count as independent.
  void run(std::span<const Tensor> sources, bool stop) {
    for (const Tensor& source : sources) sources_.insert(source.value());
    for (const uint32_t id : nodes_between(stop))
      if (const Tensors incoming = cotangents_of(id);
          std::ranges::any_of(incoming, [](const Tensor& t) { return bool(t); }))
        visit(id, incoming);
  }

  Tensor result(Tensor wrt) {
    const auto at = cotangents_.find(wrt.value());
    return at != cotangents_.end() ? at->second : Tensor();
  }

 private:
  // The seeded values' ancestors that depend on a source, newest first.
  std::vector<uint32_t> nodes_between(bool stop) {
    std::set<uint32_t, std::greater<>> ancestors;
    std::vector<uint32_t> open;
    for (const auto& [value, cotangent] : cotangents_)
      if (!(stop && sources_.contains(value))) open.push_back(value.node);
    while (!open.empty()) {
      const uint32_t id = open.back();
      open.pop_back();
      if (!ancestors.insert(id).second) continue;
      for (const Value input : graph_.node(id).inputs)
        if (!(stop && sources_.contains(input))) open.push_back(input.node);
    }
    for (const auto [node, port] : sources_) depends_.insert(node);
    std::vector<uint32_t> between;
    for (auto id = ancestors.rbegin(); id != ancestors.rend(); ++id)  // oldest first: dependence flows forward
      if (std::ranges::any_of(graph_.node(*id).inputs, [&](Value v) { return wanted(v); })) {
        depends_.insert(*id);
        between.push_back(*id);
      }
    std::ranges::reverse(between);
    return between;
  }

  // A cotangent for this value leads to a source.
  bool wanted(Value value) const { return is_floating(graph_.type(value).dtype) && depends_.contains(value.node); }

  Tensors cotangents_of(uint32_t id) {
    Tensors out(graph_.node(id).outputs.size());
    for (uint16_t port = 0; port < out.size(); ++port)
      if (const auto at = cotangents_.find({id, port}); at != cotangents_.end()) out[port] = at->second;
    return out;
  }

  void visit(uint32_t id, const Tensors& incoming) {
    const Node node = graph_.node(id);  // a copy: rules append nodes
    Tensors inputs, outputs;
    for (const Value value : node.inputs) inputs.emplace_back(graph_, value);
    for (uint16_t port = 0; port < node.outputs.size(); ++port) outputs.emplace_back(graph_, Value{id, port});
    if (node.op->vjp == nullptr && node.op->expand == nullptr) return;  // a constant as far as gradients go
    if (node.op->vjp == nullptr && !node.op->no_gradient.empty()) return;
    const Graph::Attribution origin(graph_, node.site, node.scope);
    const Tensors back = node.op->vjp != nullptr ? node.op->vjp({inputs, outputs, incoming, node.attrs, node.site})
                                                 : through_expansion(node, inputs, incoming);
    for (size_t i = 0; i < inputs.size(); ++i)
      if (back[i] && wanted(node.inputs[i])) seed(node.inputs[i], back[i]);
  }

  Tensors through_expansion(const Node& node, const Tensors& inputs, const Tensors& incoming) {
    const Tensors expanded = node.op->expand({inputs, node.attrs, node.site});
    ReverseWalk inner(graph_, node.site);
    for (size_t port = 0; port < expanded.size(); ++port)
      if (incoming[port]) inner.seed(expanded[port].value(), incoming[port]);
    inner.run(inputs, true);
    Tensors back;
    std::set<Value> given;  // an input that stands twice gets its whole gradient once
    for (const Tensor& input : inputs)
      back.push_back(given.insert(input.value()).second ? inner.result(input) : Tensor());
    return back;
  }

  Graph& graph_;
  Site at_;
  std::map<Value, Tensor> cotangents_;
  std::set<Value> sources_;
  std::set<uint32_t> depends_;
};

}  // namespace

Tensors gradients(std::span<const Tensor> outputs, std::span<const Tensor> cotangents, std::span<const Tensor> wrt,
                  Site at) {
  if (outputs.empty() || outputs.size() != cotangents.size())
    fail(at, text("gradients: ", outputs.size(), " outputs need as many cotangents, got ", cotangents.size()));
  ReverseWalk walk(outputs[0].graph(), at);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].type() != cotangents[i].type())
      fail(at,
           text("gradients: output ", i, " is ", outputs[i].type(), " but its cotangent is ", cotangents[i].type()));
    walk.seed(outputs[i].value(), cotangents[i]);
  }
  walk.run(wrt, false);
  Tensors out;
  for (const Tensor& tensor : wrt) {
    const Tensor gradient = walk.result(tensor);
    out.push_back(gradient ? gradient : broadcast(constant_like(tensor, 0, at), tensor.shape(), at));
  }
  return out;
}

Tensors gradients(Tensor loss, std::span<const Tensor> wrt, Site at) {
  if (loss.shape().elements() != 1)
    fail(at, text("gradients: a loss is one number, this one is ", loss.type(), "; take its mean or sum"));
  const Tensor one = broadcast(constant_like(loss, 1, at), loss.shape(), at);
  return gradients(std::span(&loss, 1), std::span(&one, 1), wrt, at);
}

}  // namespace descent
