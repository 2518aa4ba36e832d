// The reference: evaluates a graph by the ops' own meanings, in double. Slow, and right by definition.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "descent/core/array.h"
#include "descent/graph/op.h"

namespace descent {

struct InterpretOptions {
  // Floating values keep all bits of a double, whatever their dtype: for finite differences and for judging how far
  // rounded results are off. Integers and booleans are rounded as always.
  bool exact = false;
  // Called with every node's outputs before others read them; may change them.
  std::function<void(const Node& node, std::span<const Dense> inputs, std::span<Dense> outputs)> observe = {};
};

// The values of `outputs`. Nodes that they do not depend on are not evaluated, and a value is dropped after its last
// use. `inputs` holds the graph's inputs by name (more may be there); fails naming one that is absent or has another
// type than the graph says. Results of nodes are rounded to their dtype.
std::vector<Dense> interpret(const Graph& graph, const std::map<std::string, Dense>& inputs,
                             std::span<const Value> outputs, const InterpretOptions& options = {});

// One op on given values, without a graph.
std::vector<Dense> evaluate_op(const OpDef& op, const Attrs& attrs, std::span<const Dense> inputs,
                               const InterpretOptions& options = {});

// `values` rounded to the dtype of `type`; fails unless there are as many as the shape has elements.
Dense dense(Type type, std::vector<double> values);
Dense dense(const Array& array);
Array to_array(const Dense& value);  // rounded to the dtype

}  // namespace descent
