#include "descent/optim/minimize.h"

#include "descent/grad/gradient.h"
#include "descent/ops/abs.h"
#include "descent/ops/add.h"
#include "descent/ops/cast.h"
#include "descent/ops/clamp.h"
#include "descent/ops/div.h"
#include "descent/ops/less.h"
#include "descent/ops/maximum.h"
#include "descent/ops/minimum.h"
#include "descent/ops/mul.h"
#include "descent/ops/sqrt.h"
#include "descent/ops/square.h"
#include "descent/ops/sub.h"
#include "descent/ops/sum.h"

namespace descent::optim {

namespace {

std::vector<nn::ParameterPtr> trainable(const nn::Pass& pass, const MinimizeOptions& options, Site at) {
  std::vector<nn::ParameterPtr> out;
  for (const nn::ParameterPtr& parameter : options.parameters.empty() ? pass.parameters() : options.parameters)
    if (parameter->trainable) out.push_back(parameter);
  if (out.empty()) fail(at, "minimize: this step has no trainable parameter; is the net's forward traced before it?");
  return out;
}

// The penalties' own gradient: l1 * sign(w) + l2 * w.
Tensor regularised(Tensor gradient, Tensor weight, const Regularization& penalty) {
  if (penalty.l2 != 0) gradient = gradient + penalty.l2 * weight;
  if (penalty.l1 != 0)
    gradient = gradient + penalty.l1 * (cast(less(0, weight), weight.dtype()) - cast(less(weight, 0), weight.dtype()));
  return gradient;
}

Tensor sum_of_squares(Tensor x) { return sum(square(x)); }

Tensor global_norm(const Tensors& gradients) {
  Tensor total = sum_of_squares(gradients[0]);
  for (size_t i = 1; i < gradients.size(); ++i) total = total + sum_of_squares(gradients[i]);
  return sqrt(total);
}

constexpr double tiny = 1e-30;  // keeps 0 / 0 from norms that are 0

void clip(Tensors& gradients, const Clip& limits) {
  if (limits.value > 0)
    for (Tensor& gradient : gradients) gradient = clamp(gradient, -limits.value, limits.value);
  if (limits.norm <= 0) return;
  const Tensor scale = minimum(limits.norm / maximum(global_norm(gradients), tiny), 1);
  for (Tensor& gradient : gradients) gradient = gradient * scale;
}

void check(const MinimizeOptions& options, Site at) {
  const auto nonnegative = [&](double value, std::string_view what) {
    if (!(value >= 0)) throw UsageError(at, text("minimize: ", what, " must be at least 0, got ", value));
  };
  nonnegative(options.clip.value, "clipping by value");
  nonnegative(options.clip.norm, "clipping by norm");
  nonnegative(options.regularization.l1, "the L1 penalty");
  nonnegative(options.regularization.l2, "the L2 penalty");
}

}  // namespace

Minimized minimize(nn::Pass& pass, Tensor loss, Optimizer& optimizer, const MinimizeOptions& options, Site at) {
  check(options, at);
  const std::vector<nn::ParameterPtr> parameters = trainable(pass, options, at);
  const nn::Pass::Scope scope(pass, "optimizer");
  Tensors weights;
  for (const nn::ParameterPtr& parameter : parameters) weights.push_back(pass.read(parameter));
  Tensors all = gradients(loss, weights, at);
  for (size_t i = 0; i < all.size(); ++i)
    if (parameters[i]->decays) all[i] = regularised(all[i], weights[i], options.regularization);

  Minimized out;
  if (options.gradient_norm) out.gradient_norm = global_norm(all);
  if (options.per_parameter)
    for (size_t i = 0; i < all.size(); ++i) out.parameters.push_back({parameters[i], sqrt(sum_of_squares(all[i])), {}});
  clip(all, options.clip);
  for (size_t i = 0; i < all.size(); ++i) {
    const Tensor updated = optimizer.update(pass, parameters[i], all[i]);
    if (options.per_parameter)
      out.parameters[i].update_ratio =
          sqrt(sum_of_squares(updated - weights[i]) / maximum(sum_of_squares(weights[i]), tiny));
  }
  return out;
}

}  // namespace descent::optim
