// What elementwise composites share: a check of attributes, and the loop of a meaning that reads them.
#pragma once

#include <cmath>

#include "descent/ops/type_rules.h"

namespace descent {

// An attribute that must be a number of at least 0.
inline double nonnegative(const InferArgs& args, std::string_view name, std::string_view attr) {
  const double value = args.attrs.number(attr);
  if (!(value >= 0)) fail(text(name, ": the ", attr, " must be at least 0, got ", value));
  return value;
}

// An elementwise composite that is only meant for floating types.
template <class Self, int inputs>
struct FloatingComposite : ElementwiseComposite<Self, inputs> {
  static std::vector<Type> infer(const InferArgs& args) { return infer_floating(args, Self::name); }
};

// The meaning of an elementwise op of one or two inputs whose formula needs attributes.
template <int inputs, class Formula>
void evaluate_each(const EvalArgs& args, Formula formula) {
  std::vector<double>& out = args.outputs[0].values;
  for (size_t i = 0; i < out.size(); ++i) {
    if constexpr (inputs == 1) out[i] = formula(args.inputs[0].values[i]);
    if constexpr (inputs == 2) out[i] = formula(args.inputs[0].values[i], args.inputs[1].values[i]);
  }
}

}  // namespace descent
