#include "descent/nn/function.h"

#include <algorithm>

#include "descent/ops/input.h"

namespace descent::nn {

bool use_bf16(Precision precision, Backend& backend) {
  if (precision == Precision::bf16 && !backend.fast_bf16())
    fail(text("precision bf16 was asked for, but this processor has no bf16 products in hardware (", backend.describe(),
              "); use precision auto or f32"));
  return precision != Precision::f32 && backend.fast_bf16();
}

Function::Traced Function::trace(std::span<const Type> types) const {
  Traced out{std::make_unique<Graph>(), {}, {}, {}};
  Pass pass(*out.graph, options_.training, options_.seed, options_.random);
  Tensors inputs;
  for (size_t i = 0; i < types.size(); ++i) inputs.push_back(input(*out.graph, text("argument", i), types[i]));
  out.results = trace_(pass, inputs);
  out.options.mixed_precision = use_bf16(options_.precision);
  out.options.runs_whole = [](const OpDef& op, std::span<const Type> in) {
    return default_backend().runs_whole(op, in);
  };
  out.touched = pass.touched();
  for (const Pass::Touched& touched : out.touched) {
    if (!touched.after) out.options.kept.push_back(touched.state->name());
    if (touched.after) {
      out.options.updates.emplace_back(out.results.size(), touched.state->name());
      out.results.push_back(touched.after);
    }
  }
  return out;
}

Function::Entry& Function::make_entry(std::span<const Type> types) {
  const Traced traced = trace(types);
  std::vector<Value> results;
  for (const Tensor& result : traced.results) results.push_back(result.value());
  Entry entry{{types.begin(), types.end()}, nullptr, {}, {}, {}, {}};
  entry.step = std::make_unique<CompiledStep>(*traced.graph, results, traced.options, default_backend(),
                                              ExecutableOptions{options_.profile});
  for (size_t i = 0; i < types.size(); ++i) entry.slots.push_back(entry.step->input_slot(text("argument", i)));
  const size_t own = traced.results.size() - traced.options.updates.size();
  size_t update = own;
  for (const Pass::Touched& touched : traced.touched) {
    const bool read = entry.step->bind(touched.state->name(), touched.state->array());
    entry.states.push_back({touched.state, bool(touched.after), 0});
    if (touched.after && !read) entry.copies.emplace_back(touched.state, entry.step->result(update));
    if (touched.after) ++update;
  }
  for (size_t i = 0; i < own; ++i) entry.results.push_back(entry.step->result(i));
  if (entries_.size() >= options_.programs) entries_.pop_back();
  entries_.push_front(std::move(entry));
  return entries_.front();
}

Function::Entry& Function::entry_for(std::span<const Type> types) {
  for (Entry& entry : entries_)
    if (std::ranges::equal(entry.types, types)) return entry;
  return make_entry(types);
}

CompiledStep& Function::prepare(std::span<const Type> types) { return *entry_for(types).step; }

std::span<const Array> Function::operator()(std::span<const Array> inputs) {
  Entry* entry = nullptr;
  for (Entry& candidate : entries_)
    if (std::ranges::equal(candidate.types, inputs, {}, {}, &Array::type)) entry = &candidate;
  if (entry == nullptr) {
    std::vector<Type> types;
    for (const Array& array : inputs) types.push_back(array.type());
    entry = &make_entry(types);
  }
  for (size_t i = 0; i < inputs.size(); ++i)
    if (entry->slots[i] >= 0) entry->step->bind(entry->slots[i], inputs[i]);
  for (const Entry::Bound& bound : entry->states)
    if (bound.seen != bound.state->version()) entry->step->refresh_carried(bound.state->name());
  entry->step->run();
  for (const auto& [state, value] : entry->copies) state->assign(value);
  for (Entry::Bound& bound : entry->states) {
    if (bound.written) bound.state->mark_written();
    bound.seen = bound.state->version();
  }
  return entry->results;
}

std::vector<Executable::StepTime> Function::step_times() const {
  return entries_.empty() ? std::vector<Executable::StepTime>{} : entries_.front().step->step_times();
}

}  // namespace descent::nn
