// Layers: objects that own parameters and trace their formula into a pass.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <vector>

#include "descent/nn/initializers.h"
#include "descent/nn/pass.h"

namespace descent::nn {

class Module;

// How a layer is run, by the layers that hold it: opens the scope `name` (none if empty), traces, and notes it in
// pass.layers().
Tensor trace_layer(Pass& pass, std::string_view name, Module& layer, Tensor x);

// A layer or a net. Parameters are made at the first forward(), when the input's shape is known, and named by the
// layer's path; they are the same objects at every later one. A copy made before that has parameters of its own, a
// later one shares them.
class Module {
 public:
  virtual ~Module() = default;

  // Traces the layer on x. The caller has opened the layer's scope. Fails naming the layer and both shapes.
  virtual Tensor forward(Pass& pass, Tensor x) = 0;

  // A whole net's forward: net(image, pass).
  Tensor operator()(Tensor x, Pass& pass) { return trace_layer(pass, "", *this, x); }

  // For `inspect` and errors: the kind and settings, "Linear 512", and the formula, "W x + b". In a formula x is the
  // input, other single letters are parameters, f(x) is what the layers inside make of x, one after the other, and
  // [f(x)] what each of them makes of it.
  virtual std::string describe() const = 0;
  virtual std::string formula() const = 0;

  // The parameters and other states (running means) that it has by now, in the order of their making.
  virtual std::vector<ParameterPtr> parameters() const { return {}; }
  virtual std::vector<StatePtr> states() const { return {}; }

  // The layers inside it with their names, for walking a net.
  virtual std::vector<std::pair<std::string, std::shared_ptr<Module>>> children() const { return {}; }

  // Whether what it makes of a place depends on that place and those before it alone, and it can go on from place to
  // place (nn/decoding.h).
  virtual bool goes_place_by_place() const { return false; }

  // Layers that start from what they see (patch whitening): whether it has not seen any examples yet, and its inputs
  // of some, f32; see nn/from_examples.h.
  virtual bool wants_examples() const { return false; }
  virtual void see_examples(const Array&) {}

  // Whether nothing from beyond a sequence's end gets to what is before it, where sequences have lengths of their own
  // (nn/lengths.h). Others are refused there.
  virtual bool takes_lengths() const { return false; }

  // The name of the initialiser that suits a weight whose products this layer takes ("he_uniform" for a ReLU), or "".
  virtual std::string_view suited_initializer() const { return ""; }
  // Tells a layer what takes its output, before its first forward.
  virtual void followed_by(const Module&) {}
};

using ModulePtr = std::shared_ptr<Module>;

// A module by value, so that nets are written as Sequential{Linear{512}, ReLU{}, Linear{10}}.
struct Layer {
  template <std::derived_from<Module> T>
  Layer(T value) : module(std::make_shared<T>(std::move(value))) {}
  Layer(ModulePtr shared) : module(std::move(shared)) {}
  Layer(std::string called, Layer layer) : name(std::move(called)), module(std::move(layer.module)) {}

  std::string name;  // empty: its number
  ModulePtr module;
};

// A parameter or another state of the layer being traced, called by its path ("hidden.weight" for leaf "weight").
ParameterPtr make_parameter(Pass& pass, std::string_view leaf, const Shape& shape, const Initializer& initial,
                            bool decays);
StatePtr make_state(Pass& pass, std::string_view leaf, Array value);

// "hidden.1 (Linear 512): ", for errors of the layer being traced.
std::string layer_label(const Pass& pass, const Module& layer);

// Makes the parameters of a net that has not been traced yet, as a first forward() on this input would.
void make_parameters(Module& net, const Type& input, uint64_t seed);

// Every parameter, and every state (parameters included), of a net, by walking it.
std::vector<ParameterPtr> all_parameters(const Module& net);
std::vector<StatePtr> all_states(const Module& net);

// Whether all layers that a layer holds go place by place.
bool children_go_place_by_place(const Module& layer);

}  // namespace descent::nn
