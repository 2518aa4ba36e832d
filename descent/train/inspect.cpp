#include "descent/train/inspect.h"

#include "descent/compile/compile.h"

namespace descent::train {

namespace {

int64_t product_flops(const Graph& graph) {
  int64_t flops = 0;
  for (const Node& node : graph.nodes()) flops += contraction_flops(graph, node);
  return flops;
}

}  // namespace

StepInspection inspect_step(TrainingStep& step, const Type& inputs, const Type& targets, bool stages) {
  StepInspection out;
  const nn::Function::Traced traced = step.traced(inputs, targets);
  CompileOptions options = traced.options;
  if (stages)
    options.observe = [&](std::string_view stage, const std::string& shown) { out.stages[std::string(stage)] = shown; };
  std::vector<Value> results;
  for (const Tensor& result : traced.results) results.push_back(result.value());
  out.program = compile_graph(*traced.graph, results, options).program;
  out.flops = product_flops(*traced.graph);
  for (const nn::StatePtr& state : step.states()) out.state_bytes += state->type().bytes();
  for (const nn::ParameterPtr& parameter : nn::all_parameters(step.net()))
    out.parameter_bytes += parameter->type().bytes();
  return out;
}

}  // namespace descent::train
