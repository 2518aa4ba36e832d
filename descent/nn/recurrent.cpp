#include "descent/nn/recurrent.h"

#include "descent/nn/decoding.h"
#include "descent/nn/layers.h"
#include "descent/nn/scan.h"
#include "descent/ops/add.h"
#include "descent/ops/concat.h"
#include "descent/ops/matmul.h"
#include "descent/ops/mul.h"
#include "descent/ops/permute.h"
#include "descent/ops/sigmoid.h"
#include "descent/ops/slice.h"
#include "descent/ops/split.h"
#include "descent/ops/sub.h"
#include "descent/ops/tanh.h"

namespace descent::nn {

Recurrent::Recurrent(std::string_view name, int64_t gates, int64_t hidden, RecurrentOptions options, Site at)
    : name_(name), gates_(gates), hidden_(hidden), options_(options), at_(at) {
  if (hidden < 1) throw UsageError(at, text(name, ": the number of hidden units must be at least 1, got ", hidden));
}

std::string Recurrent::describe() const { return text(name_, " ", hidden_, options_.reverse ? ", reverse" : ""); }

std::vector<std::pair<std::string, ModulePtr>> Recurrent::children() const {
  std::vector<std::pair<std::string, ModulePtr>> out;
  if (inputs_) out.emplace_back("inputs", inputs_);
  if (begin_) out.emplace_back("begin", begin_);
  return out;
}

void Recurrent::check(const Pass& pass, const Type& x) const {
  if (x.dtype != DType::f32 || x.shape.rank() != 3 || x.shape[1] == 0)
    fail(at_, text(layer_label(pass, *this), "needs f32 inputs [sequences, places, features], at least one place, got ",
                   x, x.dtype == DType::f32 ? "" : "; did you mean an Embedding before it?"));
}

void Recurrent::make(Pass& pass) {
  parameters_.push_back(make_parameter(pass, "weight", {hidden_, gates_ * hidden_}, init::orthogonal(), true));
}

Tensor Recurrent::recurrent_product(Pass& pass, Tensor state) const {
  return matmul(state, pass.parameter(parameters_.front()), at_);
}

// The states before the first place.
Tensors Recurrent::begin(Pass& pass, int64_t sequences) {
  const auto count = static_cast<int64_t>(states_kept());
  if (!options_.from_source) {
    const Tensor zero = constant(pass.graph(), 0, DType::f32, at_);
    return Tensors(states_kept(), broadcast(zero, Shape{sequences, hidden_}, at_));
  }
  const Tensor source = pass.source();
  if (!source) fail(at_, text(layer_label(pass, *this), "there is no other sequence to begin from"));
  if (!begin_) begin_ = std::make_shared<Linear>(count * hidden_, LinearOptions{}, at_);
  const Tensor first = reshape(slice_axis(source, 1, 0, 1, 1, at_), {sequences, source.shape()[2]}, at_);
  return split(tanh(trace_layer(pass, "begin", *begin_, first), at_), 1, count, at_);
}

// A new place: the states are those of the last one.
Tensor Recurrent::go_on(Pass& pass, Tensor from_input) {
  const int64_t sequences = from_input.shape()[0];
  const bool begins = options_.from_source && pass.source();
  std::vector<StatePtr> kept;
  Tensors states;
  for (size_t i = 0; i < states_kept(); ++i) {
    kept.push_back(pass.decoding()->memory(pass, text("state", i), {DType::f32, {sequences, hidden_}}));
    if (!begins) states.push_back(pass.read(kept.back()));
  }
  if (begins) states = begin(pass, sequences);
  const Tensors after = step(pass, reshape(from_input, {sequences, gates_ * hidden_}, at_), states);
  for (size_t i = 0; i < kept.size(); ++i) pass.assign(kept[i], after[i]);
  return reshape(after.front(), {sequences, 1, hidden_}, at_);
}

Tensor Recurrent::forward(Pass& pass, Tensor x) {
  check(pass, x.type());
  const int64_t sequences = x.shape()[0], places = x.shape()[1];
  if (!inputs_) inputs_ = std::make_shared<Linear>(gates_ * hidden_, LinearOptions{}, at_);
  // Place after place, so that what belongs to one lies together, and what belongs to all is one matrix.
  const Tensor rows = reshape(permute(x, {1, 0, 2}, at_), {places * sequences, x.shape()[2]}, at_);
  const Tensor from_input = trace_layer(pass, "inputs", *inputs_, rows);
  if (parameters_.empty()) make(pass);
  if (pass.decoding()) return go_on(pass, from_input);
  const Cell cell = [&](Tensor place, const Tensors& states) -> CellResult {
    Tensors after = step(pass, place, states);
    return {after.front(), after};
  };
  // Forward, what is behind an end comes too late to matter.
  const Tensor lengths = options_.reverse ? pass.lengths() : Tensor();
  const Tensors states = scan_places(cell, split(from_input, 0, places, at_), begin(pass, sequences),
                                     {.reverse = options_.reverse, .lengths = lengths}, at_)
                             .outputs;
  return permute(reshape(concat(states, 0, at_), {places, sequences, hidden_}, at_), {1, 0, 2}, at_);
}

void GRU::make(Pass& pass) {
  Recurrent::make(pass);
  parameters_.push_back(make_parameter(pass, "bias", {hidden_}, init::zeros(), false));
}

Tensors GRU::step(Pass& pass, Tensor from_input, const Tensors& states) {
  const Tensor h = states.front();
  const Tensors in = split(from_input, 1, 3, at_), own = split(recurrent_product(pass, h), 1, 3, at_);
  const Tensor reset = sigmoid(add({in[0], at_}, {own[0], at_}), at_);
  const Tensor keep = sigmoid(add({in[1], at_}, {own[1], at_}), at_);
  const Tensor seen = add({own[2], at_}, {pass.parameter(parameters_[1]), at_});
  const Tensor next = tanh(add({in[2], at_}, {mul({reset, at_}, {seen, at_}), at_}), at_);
  return {add({next, at_}, {mul({keep, at_}, {sub({h, at_}, {next, at_}), at_}), at_})};
}

Tensors LSTM::step(Pass& pass, Tensor from_input, const Tensors& states) {
  const Tensor sums = add({from_input, at_}, {recurrent_product(pass, states.front()), at_});
  const Tensors gates = split(sums, 1, 4, at_);
  const Tensor enter = sigmoid(gates[0], at_), keep = sigmoid(add({gates[1], at_}, {1.0, at_}), at_);
  const Tensor fresh = mul({enter, at_}, {tanh(gates[2], at_), at_});
  const Tensor cell = add({mul({keep, at_}, {states[1], at_}), at_}, {fresh, at_});
  return {mul({sigmoid(gates[3], at_), at_}, {tanh(cell, at_), at_}), cell};
}

template <class T>
Sequential recurrent_stack(int64_t hidden, const StackOptions& options, Site at) {
  if (options.layers < 1) throw UsageError(at, text("the number of layers must be at least 1, got ", options.layers));
  std::vector<Layer> layers;
  for (int64_t i = 1; i <= options.layers; ++i) {
    if (i > 1 && options.dropout > 0) layers.emplace_back(text("dropout", i - 1), Dropout(options.dropout, at));
    layers.emplace_back(text("layer", i), options.bidirectional
                                              ? Layer(bidirectional<T>(hidden, at))
                                              : Layer(T(hidden, {.from_source = options.from_source}, at)));
  }
  return Sequential(std::move(layers), at);
}
template Sequential recurrent_stack<GRU>(int64_t hidden, const StackOptions& options, Site at);
template Sequential recurrent_stack<LSTM>(int64_t hidden, const StackOptions& options, Site at);

}  // namespace descent::nn
