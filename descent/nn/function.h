// A traced, compiled function of arrays: what `compile` returns.
#pragma once

#include <deque>
#include <functional>
#include <span>

#include "descent/nn/pass.h"
#include "descent/runtime/compiled_step.h"

namespace descent::nn {

enum class Precision { automatic, f32, bf16 };

// automatic: bf16 where the processor has fast bf16 products, else f32. Asking for bf16 where it has not fails with
// one sentence that says what the processor lacks.
bool use_bf16(Precision precision, Backend& backend = default_backend());

struct FunctionOptions {
  bool training = false;
  Precision precision = Precision::automatic;
  uint64_t seed = 0;               // of initial values
  RandomStates* random = nullptr;  // of dropout and the like; needed only if the function draws
  bool profile = false;
  size_t programs = 16;  // how many input shapes are kept compiled
};

// Traced once per tuple of input types, compiled, and kept. Calling it reads and writes the states that the trace
// touched; it allocates nothing once the shape is compiled.
class Function {
 public:
  using Trace = std::function<Tensors(Pass&, std::span<const Tensor>)>;

  Function(Trace trace, FunctionOptions options) : trace_(std::move(trace)), options_(options) {}

  // The results live in buffers that the next call with the same types overwrites.
  std::span<const Array> operator()(std::span<const Array> inputs);
  std::span<const Array> operator()(std::initializer_list<Array> inputs) {
    return (*this)(std::span(inputs.begin(), inputs.size()));
  }

  // Compiles for these types without running; returns the step, for inspection.
  CompiledStep& prepare(std::span<const Type> types);

  // The graph as traced for these types, and its results (before any pass).
  struct Traced {
    std::unique_ptr<Graph> graph;
    Tensors results;
    CompileOptions options;  // updates and precision as this function compiles it
    std::vector<Pass::Touched> touched;
  };
  Traced trace(std::span<const Type> types) const;

  std::vector<Executable::StepTime> step_times() const;

 private:
  struct Entry {
    std::vector<Type> types;
    std::unique_ptr<CompiledStep> step;
    std::vector<int> slots;  // of the inputs; -1: the step does not read it
    struct Bound {
      StatePtr state;
      bool written;
      uint64_t seen;  // the state's version after this step last ran
    };
    std::vector<Bound> states;
    // New values of states whose old ones the step does not read: they have no bytes to take, so they are copied.
    std::vector<std::pair<StatePtr, Array>> copies;
    std::vector<Array> results;
  };
  Entry& entry_for(std::span<const Type> types);
  Entry& make_entry(std::span<const Type> types);

  Trace trace_;
  FunctionOptions options_;
  std::deque<Entry> entries_;  // most recent first
};

// compile([&](Pass& pass, Tensor image, Tensor label) { ... return loss; }): a function of as many arrays.
template <class F>
Function compile(F body, FunctionOptions options = {}) {
  return Function(
      [body = std::move(body)](Pass& pass, std::span<const Tensor> in) -> Tensors {
        const auto call = [&](auto... args) -> Tensors { return {body(pass, args...)}; };
        if constexpr (std::is_invocable_v<F, Pass&>)
          return call();
        else if constexpr (std::is_invocable_v<F, Pass&, Tensor>)
          return call(in[0]);
        else if constexpr (std::is_invocable_v<F, Pass&, Tensor, Tensor>)
          return call(in[0], in[1]);
        else
          return call(in[0], in[1], in[2]);
      },
      options);
}

}  // namespace descent::nn
