#include "descent/runtime/compiled_step.h"

#include <cstring>

namespace descent {

namespace {

// Element by element, rounded to the other's type; f32 to bf16, which parameters are, to nearest even.
void copy_elements(const Array& from, Array& to) {
  if (from.dtype() != DType::f32 || to.dtype() != DType::bf16) {
    for (int64_t i = 0; i < to.elements(); ++i) to.set(i, from.at(i));
    return;
  }
  const std::span<const float> values = from.as<float>();
  const std::span<uint16_t> rounded = to.as<uint16_t>();
  for (size_t i = 0; i < rounded.size(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, &values[i], sizeof bits);
    const bool nan = (bits & 0x7fffffff) > 0x7f800000;
    rounded[i] = static_cast<uint16_t>(nan ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

}  // namespace

CompiledStep::CompiledStep(const Graph& graph, std::span<const Value> results, const CompileOptions& options, Backend& backend,
                           const ExecutableOptions& executable) {
  CompiledProgram compiled = compile_graph(graph, results, options);
  program_ = std::move(compiled.program);
  carried_ = std::move(compiled.carried);
  sources_.resize(carried_.size());
  arrays_.resize(program_.buffers.size());
  addresses_.resize(program_.buffers.size(), nullptr);
  for (const BufferId input : program_.inputs) by_name_[program_.buffers[input].name] = input;
  for (const BufferId output : program_.outputs)
    if (program_.buffers[output].role == BufferRole::output) bind(static_cast<int>(output), Array(program_.buffers[output].type));
  for (const CarriedInput& carry : carried_)
    bind(static_cast<int>(by_name_.at(carry.name)), Array::lasting(Array(program_.buffers[by_name_.at(carry.name)].type)));
  executable_ = backend.compile(program_, executable);
}

int CompiledStep::input_slot(const std::string& name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? -1 : static_cast<int>(at->second);
}

bool CompiledStep::bind(const std::string& name, const Array& array) {
  const int slot = input_slot(name);
  if (slot >= 0) bind(slot, array);
  for (size_t i = 0; i < carried_.size(); ++i)
    if (carried_[i].source == name) sources_[i] = array;
  return slot >= 0;
}

void CompiledStep::bind(int slot, const Array& array) {
  const Buffer& buffer = program_.buffers[slot];
  if (array.type() != buffer.type) fail(text("input '", buffer.name, "' of the compiled step is ", buffer.type, ", the array bound to it is ", array.type()));
  arrays_[slot] = array;
  addresses_[slot] = arrays_[slot].data();
}

void CompiledStep::refresh_carried(const std::string& source) {
  for (size_t i = 0; i < carried_.size(); ++i)
    if (carried_[i].source == source)  // in place: nothing is allocated between steps
      copy_elements(sources_[i], arrays_[by_name_.at(carried_[i].name)]);
}

void CompiledStep::check_bound() {
  std::vector<std::string> missing;
  for (const BufferId input : program_.inputs)
    if (!arrays_[input]) missing.push_back(program_.buffers[input].name);
  for (size_t i = 0; i < carried_.size(); ++i) {
    const int slot = input_slot(carried_[i].source);
    if (!sources_[i] && slot >= 0) sources_[i] = arrays_[slot];
    if (!sources_[i] && slot < 0) missing.push_back(carried_[i].source);
  }
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
