#include "descent/nn/module.h"

#include <algorithm>
#include <optional>

#include "descent/ops/input.h"

namespace descent::nn {

Tensor trace_layer(Pass& pass, std::string_view name, Module& layer, Tensor x) {
  std::optional<Pass::Scope> scope;
  if (!name.empty()) scope.emplace(pass, name);
  const size_t place = pass.layers().size();
  pass.layers().push_back({pass.layer_path(), &layer, x, {}});
  if (pass.lengths() && !layer.takes_lengths())
    fail(text(layer_label(pass, layer),
              "it would mix what is behind the end of shorter sequences into them; for sequences of different lengths "
              "there are conv1d, gru, lstm, self_attention and layer_norm"));
  const Tensor output = layer.forward(pass, x);
  pass.layers()[place].output = output;
  return output;
}

ParameterPtr make_parameter(Pass& pass, std::string_view leaf, const Shape& shape, const Initializer& initial,
                            bool decays) {
  const std::string name = pass.path(leaf);
  try {
    auto parameter = std::make_shared<Parameter>(name, initial(shape, pass.seed(), name));
    parameter->decays = decays;
    return parameter;
  } catch (const Error& error) {
    fail(text("the parameter ", name, " ", shape, ": ", error.what()));
  }
}

StatePtr make_state(Pass& pass, std::string_view leaf, Array value) {
  return std::make_shared<State>(pass.path(leaf), std::move(value));
}

std::string layer_label(const Pass& pass, const Module& layer) {
  const std::string& path = pass.layer_path();
  return path.empty() ? text(layer.describe(), ": ") : text(path, " (", layer.describe(), "): ");
}

void make_parameters(Module& net, const Type& type, uint64_t seed) {
  Graph graph;
  Pass pass(graph, false, seed, nullptr);
  net(input(graph, "input", type), pass);
}

namespace {

template <class Pointer, class Own>
void collect(const Module& net, Own own, std::vector<Pointer>& out) {
  for (const Pointer& pointer : own(net))
    if (std::ranges::find(out, pointer) == out.end()) out.push_back(pointer);
  for (const auto& [name, child] : net.children()) collect(*child, own, out);
}

}  // namespace

std::vector<ParameterPtr> all_parameters(const Module& net) {
  std::vector<ParameterPtr> out;
  collect(
      net, [](const Module& m) { return m.parameters(); }, out);
  return out;
}

std::vector<StatePtr> all_states(const Module& net) {
  std::vector<StatePtr> out;
  const auto own = [](const Module& m) {
    std::vector<StatePtr> states;
    for (const ParameterPtr& parameter : m.parameters()) states.push_back(parameter);
    for (const StatePtr& state : m.states()) states.push_back(state);
    return states;
  };
  collect(net, own, out);
  return out;
}

bool children_go_place_by_place(const Module& layer) {
  for (const auto& [name, child] : layer.children())
    if (!child->goes_place_by_place()) return false;
  return true;
}

}  // namespace descent::nn
