#include "descent/nn/pass.h"

#include <algorithm>

#include "descent/ops/ops.h"

namespace descent::nn {

void State::assign(const Array& value) {
  if (value.type() != array_.type())
    fail(text("state '", name_, "' is ", array_.type(), ", it cannot take ", value.type()));
  std::ranges::copy(value.bytes(), array_.bytes().begin());
  mark_written();
}

void State::assign(double value) {
  if (array_.elements() != 1) fail(text("state '", name_, "' is ", array_.type(), ", not one number"));
  array_.set(0, value);
  mark_written();
}

RandomStates::RandomStates(uint64_t seed) {
  Array words(DType::u32, {2});
  words.as<uint32_t>()[0] = static_cast<uint32_t>(seed);
  words.as<uint32_t>()[1] = static_cast<uint32_t>(seed >> 32);
  key = std::make_shared<State>("random.key", words);
  counter = std::make_shared<State>("random.counter", Array(DType::u32, {2}));
}

Pass::Pass(Graph& graph, bool training, uint64_t seed, RandomStates* random)
    : graph_(graph), training_(training), seed_(seed), random_(random) {}

Pass::Touched& Pass::touch(const StatePtr& state) {
  for (Touched& known : touched_) {
    if (known.state == state) return known;
    if (known.state->name() == state->name())
      fail(text("two different states are called '", state->name(), "'; name one of the layers otherwise"));
  }
  touched_.push_back({state, input(graph_, state->name(), state->type()), {}});
  return touched_.back();
}

Tensor Pass::read(const StatePtr& state) { return touch(state).before; }

void Pass::assign(const StatePtr& state, Tensor value) {
  if (value.type() != state->type())
    fail(text("state '", state->name(), "' is ", state->type(), ", its new value is ", value.type()));
  touch(state).after = value;
}

Tensor Pass::parameter(const ParameterPtr& parameter) {
  if (std::ranges::find(parameters_, parameter) == parameters_.end()) parameters_.push_back(parameter);
  return read(parameter);
}

Tensor Pass::random_key() {
  if (random_ == nullptr) fail("this pass has no random numbers: it was not given the states they come from");
  return read(random_->key);
}

Tensor Pass::random_counter() {
  if (random_ == nullptr) fail("this pass has no random numbers: it was not given the states they come from");
  const Tensor counter = read(random_->counter);
  // The low word counts steps (2^32 of them will do); iota < 1 is the vector (1, 0).
  if (training_) assign(random_->counter, counter + cast(less(iota(graph_, {2}, 0, DType::u32), 1.0), DType::u32));
  return counter;
}

std::string Pass::path(std::string_view leaf) const {
  const std::string& scope = graph_.scope_name(graph_.scope());
  return scope.empty() ? std::string(leaf) : text(scope, ".", leaf);
}

}  // namespace descent::nn
