// The pipeline: graph -> passes -> units -> steps -> memory plan.
#pragma once

#include <functional>
#include <string>

#include "descent/compile/passes.h"
#include "descent/compile/program.h"
#include "descent/compile/rewrite.h"

namespace descent {

struct CompileOptions {
  bool mixed_precision = false;  // bf16 matrix products
  bool fuse = true;
  bool donate = true;
  // result index -> name of the input whose bytes it replaces
  std::vector<std::pair<size_t, std::string>> updates = {};
  RunsWhole runs_whole = {};  // which composites the backend takes
  // Names of inputs whose bytes the caller keeps from run to run and seldom changes: where a step only reads one and
  // rounds it, the caller keeps a rounded copy too (CarriedInput).
  std::vector<std::string> kept = {};
  // Called after each stage with its name and its text, for `descent inspect --after STAGE`.
  std::function<void(std::string_view stage, const std::string& text)> observe = {};
};

// A parameter's copy in another type, made once and then kept up by the step that updates the parameter, if one does: an
// extra input, whose bytes the caller keeps between runs, that must hold `source` rounded to `dtype` before the first.
struct CarriedInput {
  std::string name, source;
  DType dtype;
};

struct CompiledProgram {
  Program program;
  std::vector<CarriedInput> carried;
};

// The stages that observe() sees, in order.
std::span<const std::string_view> compile_stages();

// Compiles the step that computes `results`. Inputs that no result needs are left out; program.buffers names the rest.
CompiledProgram compile_graph(const Graph& graph, std::span<const Value> results, const CompileOptions& options);

}  // namespace descent
