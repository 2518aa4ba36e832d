// What the optimisers' updates share: inputs are the weight, its gradient, the state, then scalars; results are the new
// weight and the new state. All are f32 whatever the net computes in (f64 in checks).
#pragma once

#include <array>
#include <cmath>

#include "descent/ops/add.h"
#include "descent/ops/composite.h"
#include "descent/ops/mul.h"

namespace descent {

inline constexpr std::string_view no_gradient_of_updates = "an update ends a step; nothing is minimised through it";

// `roles` names the inputs after the weight; the last `scalars` of them are scalars.
template <size_t count>
std::vector<Type> infer_update(const InferArgs& args, std::string_view name,
                               const std::array<std::string_view, count>& roles, size_t scalars) {
  const Type& weight = args.inputs[0];
  if (weight.dtype != DType::f32 && weight.dtype != DType::f64)
    fail(text(name, ": updates are computed in f32, but the weight is ", weight));
  for (size_t i = 0; i < count; ++i) {
    const Type wanted = i + scalars < count ? weight : Type{weight.dtype, {}};
    if (args.inputs[i + 1] != wanted)
      fail(text(name, ": the ", roles[i], " of a weight ", weight, " must be ", wanted, ", got ", args.inputs[i + 1]));
  }
  return std::vector<Type>(count - scalars, weight);  // the weight and the state: the arrays, without the gradient
}

// The gradient of the loss plus weight_decay / 2 times the squared weights.
template <class Args>
Tensor decayed_gradient(const Args& args) {
  const double decay = args.attrs.number("weight_decay");
  return decay == 0 ? args.inputs[1] : args.inputs[1] + decay * args.inputs[0];
}

// The meaning of an update, element by element: formula(inputs' elements at i, outputs' elements at i).
template <class Formula>
void evaluate_update(const EvalArgs& args, Formula formula) {
  const size_t arrays = args.outputs.size() + 1;
  std::vector<double> in(args.inputs.size()), out(args.outputs.size());
  for (size_t i = 0; i < args.outputs[0].values.size(); ++i) {
    for (size_t k = 0; k < in.size(); ++k) in[k] = args.inputs[k].values[k < arrays ? i : 0];
    formula(in, out);
    for (size_t k = 0; k < out.size(); ++k) args.outputs[k].values[i] = out[k];
  }
}

}  // namespace descent
