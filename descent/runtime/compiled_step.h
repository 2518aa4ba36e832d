// A graph made ready to run on a backend: what turns arrays into arrays.
#pragma once

#include <map>

#include "descent/compile/compile.h"
#include "descent/core/array.h"
#include "descent/runtime/backend.h"

namespace descent {

// One compiled program with the arrays bound to it. After the first run, run() and bind() allocate nothing.
class CompiledStep {
 public:
  CompiledStep(const Graph& graph, std::span<const Value> results, const CompileOptions& options,
               Backend& backend = default_backend(), const ExecutableOptions& executable = {});

  // Gives the input `name` its bytes, until another array is bound. An updated input's array is written by run().
  // Fails if the types differ; a name that the program does not read is ignored (returns false).
  bool bind(const std::string& name, const Array& array);

  // The same by number, for the batch of every step: input_slot(name) is -1 if the program does not read it.
  int input_slot(const std::string& name) const;
  void bind(int slot, const Array& array);

  // Fails naming the inputs that have no array yet.
  void run();

  // The result's array (an updated input's own array), overwritten by every run.
  const Array& result(size_t index) const { return arrays_[program_.outputs[index]]; }
  size_t results() const { return program_.outputs.size(); }

  // Brings the carried copies of `source` up to date after somebody else wrote its array (see CarriedInput).
  void refresh_carried(const std::string& source);

  const Program& program() const { return program_; }
  const std::vector<CarriedInput>& carried() const { return carried_; }
  std::vector<Executable::StepTime> step_times() const { return executable_->step_times(); }

 private:
  void check_bound();

  Program program_;
  std::vector<CarriedInput> carried_;
  std::vector<Array> sources_;          // of the carried copies; the program itself need not read them
  std::map<std::string, BufferId> by_name_;
  std::vector<Array> arrays_;           // by buffer
  std::vector<std::byte*> addresses_;   // by buffer
  std::unique_ptr<Executable> executable_;
  bool bound_ = false;
};

// Compiles, runs once and returns the results: for tests and for tools that run a graph once.
std::vector<Array> run_once(const Graph& graph, std::span<const Value> results, const std::map<std::string, Array>& inputs,
                            const CompileOptions& options = {}, Backend& backend = default_backend());

}  // namespace descent
