#include "descent/runtime/compiled_step.h"

namespace descent {

CompiledStep::CompiledStep(const Graph& graph, std::span<const Value> results, const CompileOptions& options, Backend& backend,
                           const ExecutableOptions& executable) {
  CompiledProgram compiled = compile_graph(graph, results, options);
  program_ = std::move(compiled.program);
  carried_ = std::move(compiled.carried);
  arrays_.resize(program_.buffers.size());
  addresses_.resize(program_.buffers.size(), nullptr);
  for (const BufferId input : program_.inputs) by_name_[program_.buffers[input].name] = input;
  for (const BufferId output : program_.outputs)
    if (program_.buffers[output].role == BufferRole::output) bind(static_cast<int>(output), Array(program_.buffers[output].type));
  for (const CarriedInput& carry : carried_)
    bind(static_cast<int>(by_name_.at(carry.name)), Array(program_.buffers[by_name_.at(carry.name)].type));
  executable_ = backend.compile(program_, executable);
}

int CompiledStep::input_slot(const std::string& name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? -1 : static_cast<int>(at->second);
}

bool CompiledStep::bind(const std::string& name, const Array& array) {
  const int slot = input_slot(name);
  if (slot >= 0) bind(slot, array);
  return slot >= 0;
}

void CompiledStep::bind(int slot, const Array& array) {
  const Buffer& buffer = program_.buffers[slot];
  if (array.type() != buffer.type) fail(text("input '", buffer.name, "' of the compiled step is ", buffer.type, ", the array bound to it is ", array.type()));
  arrays_[slot] = array;
  addresses_[slot] = arrays_[slot].data();
}

void CompiledStep::refresh_carried(const std::string& source) {
  for (const CarriedInput& carry : carried_) {
    if (carry.source != source || by_name_.find(source) == by_name_.end()) continue;
    const Array& from = arrays_[by_name_.at(source)];
    Array& to = arrays_[by_name_.at(carry.name)];  // in place: nothing is allocated between steps
    for (int64_t i = 0; i < to.elements(); ++i) to.set(i, from.at(i));
  }
}

void CompiledStep::check_bound() {
  std::vector<std::string> missing;
  for (const BufferId input : program_.inputs)
    if (!arrays_[input]) missing.push_back(program_.buffers[input].name);
  if (!missing.empty()) fail(text("the compiled step has no array for ", join(missing, ", ")));
  for (const CarriedInput& carry : carried_) refresh_carried(carry.source);
  bound_ = true;
}

void CompiledStep::run() {
  if (!bound_) check_bound();
  executable_->run(addresses_);
}

std::vector<Array> run_once(const Graph& graph, std::span<const Value> results, const std::map<std::string, Array>& inputs,
                            const CompileOptions& options, Backend& backend) {
  CompiledStep step(graph, results, options, backend);
  for (const auto& [name, array] : inputs) step.bind(name, array);
  step.run();
  std::vector<Array> out;
  for (size_t i = 0; i < step.results(); ++i) out.push_back(step.result(i).clone());
  return out;
}

}  // namespace descent
