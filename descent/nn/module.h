// Layers: objects that own parameters and trace their formula into a pass.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <vector>

#include "descent/nn/pass.h"

namespace descent::nn {

// A layer or a net. Parameters are made at the first forward(), when the input's shape is known, and named by the
// layer's path; they are the same objects at every later one.
class Module {
 public:
  virtual ~Module() = default;

  // Traces the layer on x. The caller has opened the layer's scope. Fails naming the layer and both shapes.
  virtual Tensor forward(Pass& pass, Tensor x) = 0;

  // For `inspect`: the kind and settings, "Linear(512)", and the formula, "W x + b".
  virtual std::string describe() const = 0;
  virtual std::string formula() const = 0;

  // The parameters and other states (running means) that it has by now, in the order of their making.
  virtual std::vector<ParameterPtr> parameters() const { return {}; }
  virtual std::vector<StatePtr> states() const { return {}; }

  // The layers inside it with their names, for walking a net.
  virtual std::vector<std::pair<std::string, std::shared_ptr<Module>>> children() const { return {}; }
};

using ModulePtr = std::shared_ptr<Module>;

// A module by value, so that nets are written as Sequential{Linear{512}, ReLU{}, Linear{10}}.
struct Layer {
  template <std::derived_from<Module> T>
  Layer(T module) : module(std::make_shared<T>(std::move(module))) {}
  Layer(ModulePtr module) : module(std::move(module)) {}
  Layer(std::string name, Layer layer) : name(std::move(name)), module(std::move(layer.module)) {}

  std::string name;  // empty: its number
  ModulePtr module;
};

// Every parameter, and every state (parameters included), of a net, by walking it.
std::vector<ParameterPtr> all_parameters(const Module& net);
std::vector<StatePtr> all_states(const Module& net);

}  // namespace descent::nn
