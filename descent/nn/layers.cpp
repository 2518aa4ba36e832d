#include "descent/nn/layers.h"

#include <fmt/format.h>

#include "descent/ops/add.h"
#include "descent/ops/cast.h"
#include "descent/ops/dropout.h"
#include "descent/ops/layer_norm.h"
#include "descent/ops/mul.h"
#include "descent/ops/one_hot.h"
#include "descent/ops/reshape.h"
#include "descent/ops/rms_norm.h"

namespace descent::nn {

Tensor Flatten::forward(Pass& pass, Tensor x) {
  if (x.rank() == 0) fail(text(layer_label(pass, *this), "input ", x.type(), " has no axis of examples"));
  int64_t features = 1;
  for (int axis = 1; axis < x.rank(); ++axis) features *= x.shape()[axis];
  return reshape(x, Shape{x.shape()[0], features});
}

Dropout::Dropout(double rate, Site at) : rate_(rate), at_(at) {
  if (!(rate >= 0 && rate < 1))
    throw UsageError(at, text("Dropout: the rate must be at least 0 and below 1, got ", rate));
}

Tensor Dropout::forward(Pass& pass, Tensor x) {
  if (!pass.training() || rate_ == 0) return x;
  return dropout(x, pass.random_key(), pass.random_counter(), rate_, pass.next_stream(), at_);
}

LayerNorm::LayerNorm(double epsilon, Site at) : epsilon_(epsilon), at_(at) {
  if (!(epsilon >= 0)) throw UsageError(at, text("LayerNorm: the epsilon must be at least 0, got ", epsilon));
}

std::vector<ParameterPtr> LayerNorm::parameters() const {
  return gain_ ? std::vector{gain_, bias_} : std::vector<ParameterPtr>{};
}

namespace {

// The shape of a norm's gain, of an input that it can take; `gain` is null before the first.
Shape norm_features(const Pass& pass, const Module& layer, const Type& x, const ParameterPtr& gain, Site at) {
  const std::string who = layer_label(pass, layer);
  if (x.dtype != DType::f32 || x.shape.rank() == 0) fail(at, text(who, "needs f32 inputs with a last axis, got ", x));
  const Shape features{x.shape.back()};
  if (gain && gain->type().shape != features)
    fail(at, text(who, "input ", x, " has ", features[0], " features on axis ", x.shape.rank() - 1, ", but the gain ",
                  gain->type(), " takes ", gain->type().shape[0]));
  return features;
}

}  // namespace

Tensor LayerNorm::forward(Pass& pass, Tensor x) {
  const Shape features = norm_features(pass, *this, x.type(), gain_, at_);
  if (!gain_) {
    gain_ = make_parameter(pass, "gain", features, init::ones(), false);
    bias_ = make_parameter(pass, "bias", features, init::zeros(), false);
  }
  return layer_norm(x, pass.parameter(gain_), pass.parameter(bias_), epsilon_, at_);
}

RmsNorm::RmsNorm(double epsilon, Site at) : epsilon_(epsilon), at_(at) {
  if (!(epsilon >= 0)) throw UsageError(at, text("RmsNorm: the epsilon must be at least 0, got ", epsilon));
}

std::vector<ParameterPtr> RmsNorm::parameters() const {
  return gain_ ? std::vector{gain_} : std::vector<ParameterPtr>{};
}

Tensor RmsNorm::forward(Pass& pass, Tensor x) {
  const Shape features = norm_features(pass, *this, x.type(), gain_, at_);
  if (!gain_) gain_ = make_parameter(pass, "gain", features, init::ones(), false);
  return rms_norm(x, pass.parameter(gain_), epsilon_, at_);
}

Normalize::Normalize(std::span<const float> scale, std::span<const float> shift, Site at) : at_(at) {
  if (scale.empty() || scale.size() != shift.size())
    fail(at,
         text("Normalize: needs as many scales as shifts, at least one, got ", scale.size(), " and ", shift.size()));
  scale_values_ = Array::from(scale, {static_cast<int64_t>(scale.size())});
  shift_values_ = Array::from(shift, {static_cast<int64_t>(shift.size())});
}

std::vector<StatePtr> Normalize::states() const {
  return scale_ ? std::vector{scale_, shift_} : std::vector<StatePtr>{};
}

Tensor Normalize::forward(Pass& pass, Tensor x) {
  const int64_t features = scale_values_.elements();
  if (features != 1 && (x.rank() == 0 || x.shape().back() != features))
    fail(at_, text(layer_label(pass, *this), "input ", x.type(), " must have ", features,
                   " features on the last axis, one for each scale and shift"));
  if (!scale_) {
    scale_ = make_state(pass, "scale", scale_values_.clone());
    shift_ = make_state(pass, "shift", shift_values_.clone());
  }
  const auto along = [&](const StatePtr& state) {
    return x.rank() == 0 ? reshape(pass.read(state), Shape{}, at_) : pass.read(state);
  };
  const Tensor scaled = mul({cast(x, DType::f32, at_), at_}, {along(scale_), at_});
  return add({scaled, at_}, {along(shift_), at_});
}

Tensor Scale::forward(Pass&, Tensor x) { return shift_ == 0 ? x * factor_ : x * factor_ + shift_; }
std::string Scale::describe() const {
  return fmt::format("Scale {:.4g}{}", factor_, shift_ == 0 ? "" : fmt::format(" {:+.4g}", shift_));
}
std::string Scale::formula() const {
  return fmt::format("{:.4g} x{}", factor_, shift_ == 0 ? "" : fmt::format(" {:+.4g}", shift_));
}

OneHot::OneHot(int64_t classes, Site at) : classes_(classes), at_(at) {
  if (classes < 1) throw UsageError(at, text("OneHot: the number of classes must be at least 1, got ", classes));
}

Tensor OneHot::forward(Pass&, Tensor x) { return one_hot(x, classes_, DType::f32, at_); }

}  // namespace descent::nn
