// State is explicit: everything that a step keeps for the next one is a named array, an input and an output of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "descent/core/array.h"

namespace descent::nn {

// A named array that steps read and write: a parameter, a moment, a counter, a running mean. Its name is its identity
// in graphs and in checkpoints ("net.hidden.weight").
class State {
 public:
  State(std::string name, const Array& value) : name_(std::move(name)), array_(Array::lasting(value)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  const std::string& name() const { return name_; }
  const Array& array() const { return array_; }
  const Type& type() const { return array_.type(); }

  // Writes from outside a step (loading, initialising, a schedule). The type must stay; the bytes are copied in place.
  void assign(const Array& value);
  void assign(double value);  // a scalar's new value

  // Grows with every write, by whomever: how a compiled step knows that its carried copies are old.
  uint64_t version() const { return version_; }
  void mark_written() { ++version_; }

 private:
  std::string name_;
  Array array_;
  uint64_t version_ = 1;
};

using StatePtr = std::shared_ptr<State>;

// A state that gradient descent moves.
struct Parameter : State {
  using State::State;
  bool decays = true;  // weight decay and L1/L2 apply (weights, not biases and gains)
  bool trainable = true;
  double rate = 1;     // times the optimiser's learning rate; what weight decay takes away in a step stays the same
  int64_t epochs = 0;  // a trainer trains it in the first so many epochs only; 0: in all
};

using ParameterPtr = std::shared_ptr<Parameter>;

}  // namespace descent::nn
