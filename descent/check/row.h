// Rows of the table: an op with values for its inputs, and how it enters a graph.
#pragma once

#include <memory>

#include "descent/check/check.h"
#include "descent/check/random.h"
#include "descent/compile/rewrite.h"
#include "descent/reference/interpreter.h"

namespace descent::check {

struct Row {
  std::string name;  // op/sample/dtype/layout
  const OpDef* op = nullptr;
  Attrs attrs;
  std::vector<Dense> inputs;
  std::vector<size_t> differentiable;  // the inputs that a gradient is asked for
  const struct Layout* layout = nullptr;

  Random random(std::string_view purpose) const { return Random(name, purpose); }
};

// How a row's inputs lie in memory: `lay` makes what is fed, `view` makes the row's input from it again, by view ops.
struct Layout {
  std::string_view name;
  bool (*applies)(const Shape& shape);  // to an input of this shape; others stay dense
  Dense (*lay)(const Dense& value);
  Tensor (*view)(Tensor fed, const Type& type);
};

// The row and its op in a graph.
struct Traced {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  Tensors inputs, outputs;
  std::map<std::string, Dense> fed;  // by the names of the graph's inputs
};

// The rows of an op. For the reference: each sample, and variants of it with axes of size 1, in f32. For devices: all
// that in f32, bf16 and f16 as far as the op takes them, and in every layout.
std::vector<Row> reference_rows(const OpDef& op);
std::vector<Row> device_rows(const OpDef& op);

Traced trace(const Row& row);
Traced trace(const Row& row, const OpDef& instead_of_its_op);

// A new graph input holding these values.
Tensor feed(Traced& traced, std::string name, Dense value);

// Random values of that type, in [-1, 1).
Dense random_dense(const Type& type, Random& random);

bool has_gradient(const OpDef& op);
bool has_gradient_check(const Row& row);  // and a floating-point output, and an input that a gradient is asked for

}  // namespace descent::check
