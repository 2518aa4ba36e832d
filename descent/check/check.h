// The table of checks: every op, every sample, every element type, every layout, on the reference and on devices.
//
// A cell of the table is one check of one row, with a name that says which:
//   op/sample/dtype/layout/check/where        softmax/rows/bf16/transposed/forward/cpu
//
// On the reference (every op must pass, there is no device to excuse it):
//   types          the meaning gives what the type rule says; a graph prints, parses and prints the same
//   gradient       the gradient rule against central differences, for every subset of the differentiable inputs
//   second-gradient  the gradients of the gradients, against central differences of the gradients (not of the few ops
//                  that state why they have none)
//   expansion      a composite's expansion against its meaning
//   own-gradient   a composite's own gradient rule against the one derived from its expansion
//   misuse         inputs that must be refused, with the sentence
//   teeth          the checks above (and `forward`) refuse the same op with a result or a gradient that is 1.01 times
//                  too large, or one element off
//   coverage       the op has samples, its gradient is checked, for every input, by a check that has shown its teeth
//
// On devices (`where` is the device; "rounded" is the reference rounding after every core op, always there):
//   forward        the op, its inputs laid out in memory as the layout says, against the reference
//   backward       its gradients against the reference's gradients
//   fusion         between elementwise ops, against the same with fusion off
//   donation       results written over inputs, against the same in fresh memory
//   poison         with guarded buffers full of NaN: the same bits as without
// f16 has forward and backward only: the other three are about memory, where it is as bf16.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "descent/core/array.h"
#include "descent/ops/registry.h"

namespace descent::check {

struct Result {
  std::string name;
  bool ok = true;
  bool hole = false;         // refused for a reason that the device states; ok
  std::string message = {};  // why not, in one sentence
  double max_error = 0;      // in parts of what the check allows: 1 is the limit
};

struct RunOptions {
  bool fuse = true;
  bool donate = true;
  std::vector<std::pair<size_t, std::string>> updates =
      {};               // result index -> name of the input whose bytes it replaces
  bool poison = false;  // fill temporaries with NaN before the run; guard every buffer and fail if a guard was written
};

// Cells (a filter of their names) in which a device must refuse, with an error that says `reason`.
struct Hole {
  std::string cells, reason;
};

// Something that can compute a graph.
struct Device {
  std::string name;
  std::function<std::vector<Array>(const Graph&, std::span<const Value> results,
                                   const std::map<std::string, Array>& inputs, const RunOptions&)>
      run;
  // What it does not compute. A hole that is none fails, so the list stays true.
  std::vector<Hole> holes = {};
  // Kernels and claims that no run has used, asked after the last cell of an unfiltered table; none may be left.
  std::function<std::vector<std::string>()> unused = {};
};

struct Options {
  std::string filter = {};  // see matches(); empty: all
  std::span<const OpDef* const> ops = registry();
  std::vector<Device> devices = {};
  std::function<void(const Result&)> report = {};  // called as each cell finishes
};

// One cell, not yet run.
struct Cell {
  std::string name;
  std::function<Result()> run;  // throws nothing: an exception is a failed result
};

// The cells that the filter lets through, in the order of the table.
std::vector<Cell> cells(const Options& options);

// Runs them. An unfiltered run adds the devices' coverage.
std::vector<Result> run(const Options& options);

// Whether a name passes a filter: with '*' (any characters, '/' too) or '?' (one) the whole name must match it, else it
// must be a part of the name.
bool matches(std::string_view name, std::string_view filter);

// "3127 passed, 2 failed, 12 holes"
std::string totals(std::span<const Result> results);

}  // namespace descent::check
