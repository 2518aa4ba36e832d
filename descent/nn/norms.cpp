#include "descent/nn/norms.h"

#include <algorithm>

#include "descent/nn/per_axis.h"
#include "descent/ops/add.h"
#include "descent/ops/batch_norm.h"
#include "descent/ops/broadcast.h"
#include "descent/ops/constant.h"
#include "descent/ops/group_norm.h"
#include "descent/ops/matmul.h"
#include "descent/ops/relu.h"
#include "descent/ops/sigmoid.h"
#include "descent/ops/sum_pool.h"

namespace descent::nn {

namespace {

void check_channels(const Pass& pass, const Module& layer, Tensor x, const ParameterPtr& bias, Site at) {
  const std::string who = layer_label(pass, layer);
  if (x.dtype() != DType::f32 || x.rank() < 2)
    fail(at, text(who, "needs f32 examples with channels on the last axis, got ", x.type()));
  if (bias && bias->type().shape != Shape{x.shape().back()})
    fail(at, text(who, "input ", x.type(), " has ", x.shape().back(), " channels on axis ", x.rank() - 1,
                  ", but the bias ", bias->type(), " takes ", bias->type().shape[0]));
}

std::vector<ParameterPtr> those_made(const ParameterPtr& gain, const ParameterPtr& bias) {
  if (!bias) return {};
  return gain ? std::vector{gain, bias} : std::vector{bias};
}

void check_epsilon(std::string_view layer, double epsilon, Site at) {
  if (!(epsilon >= 0)) throw UsageError(at, text(layer, ": the epsilon must be at least 0, got ", epsilon));
}

}  // namespace

BatchNorm::BatchNorm(BatchNormOptions options, Site at) : options_(options), at_(at) {
  check_epsilon("BatchNorm", options.epsilon, at);
  if (!(options.momentum >= 0 && options.momentum <= 1))
    throw UsageError(at, text("BatchNorm: the momentum must be from 0 to 1, got ", options.momentum));
  if (!(options.bias_rate > 0))
    throw UsageError(at, text("BatchNorm: the bias's rate must be above 0, got ", options.bias_rate));
}

std::vector<ParameterPtr> BatchNorm::parameters() const { return those_made(gain_, bias_); }
std::vector<StatePtr> BatchNorm::states() const {
  return mean_ ? std::vector{mean_, variance_} : std::vector<StatePtr>{};
}

void BatchNorm::make(Pass& pass, int64_t channels) {
  if (options_.gain) gain_ = make_parameter(pass, "gain", {channels}, init::ones(), false);
  bias_ = make_parameter(pass, "bias", {channels}, init::zeros(), false);
  bias_->rate = options_.bias_rate;
  mean_ = make_state(pass, "mean", Array::full({DType::f32, {channels}}, 0));
  variance_ = make_state(pass, "variance", Array::full({DType::f32, {channels}}, 1));
}

Tensor BatchNorm::forward(Pass& pass, Tensor x) {
  check_channels(pass, *this, x, bias_, at_);
  if (!bias_) make(pass, x.shape().back());
  return pass.training() ? by_batch(pass, x) : by_states(pass, x);
}

Tensor BatchNorm::gain(Pass& pass, Tensor x) const {
  return gain_ ? pass.parameter(gain_) : broadcast(constant_like(x, 1), Shape{x.shape().back()});
}

Tensor BatchNorm::by_batch(Pass& pass, Tensor x) {
  const Tensors out = batch_norm(x, gain(pass, x), pass.parameter(bias_), options_.epsilon, at_);
  const auto values = static_cast<double>(x.shape().elements() / x.shape().back());
  const double unbiased = values > 1 ? values / (values - 1) : 1, m = options_.momentum;
  pass.assign(mean_, pass.read(mean_) * (1 - m) + out[1] * m);
  pass.assign(variance_, pass.read(variance_) * (1 - m) + out[2] * (m * unbiased));
  return out[0];
}

Tensor BatchNorm::by_states(Pass& pass, Tensor x) {
  Tensor scale = 1 / sqrt(pass.read(variance_) + options_.epsilon, at_);
  if (gain_) scale = scale * pass.parameter(gain_);
  const Tensor shift = pass.parameter(bias_) - pass.read(mean_) * scale;
  return add({mul({x, at_}, {scale, at_}), at_}, {shift, at_});
}

GroupNorm::GroupNorm(int64_t groups, double epsilon, Site at) : groups_(groups), epsilon_(epsilon), at_(at) {
  check_epsilon("GroupNorm", epsilon, at);
  if (groups < 1) throw UsageError(at, text("GroupNorm: there must be at least 1 group, got ", groups));
}
GroupNorm::GroupNorm(Instances, double epsilon, Site at) : groups_(each_channel), epsilon_(epsilon), at_(at) {
  check_epsilon("InstanceNorm", epsilon, at);
}

std::vector<ParameterPtr> GroupNorm::parameters() const { return those_made(gain_, bias_); }

Tensor GroupNorm::forward(Pass& pass, Tensor x) {
  check_channels(pass, *this, x, bias_, at_);
  const int64_t channels = x.shape().back(), groups = groups_ == each_channel ? channels : groups_;
  if (groups == 0 || channels % groups != 0)
    fail(at_,
         text(layer_label(pass, *this), groups, " groups do not divide the ", channels, " channels of ", x.type()));
  if (!gain_) {
    gain_ = make_parameter(pass, "gain", {channels}, init::ones(), false);
    bias_ = make_parameter(pass, "bias", {channels}, init::zeros(), false);
  }
  return group_norm(x, pass.parameter(gain_), pass.parameter(bias_), groups, epsilon_, at_);
}

SqueezeExcite::SqueezeExcite(int64_t reduction, Site at) : reduction_(reduction), at_(at) {
  if (reduction < 1) throw UsageError(at, text("SqueezeExcite: the reduction must be at least 1, got ", reduction));
}

Tensor SqueezeExcite::forward(Pass& pass, Tensor x) {
  spatial_axes(pass, *this, x, at_);
  const int64_t examples = x.shape()[0], channels = x.shape().back(),
                hidden = std::max<int64_t>(1, channels / reduction_);
  if (parameters_.empty()) {
    parameters_ = {make_parameter(pass, "squeeze_weight", {channels, hidden}, init::he_uniform(), true),
                   make_parameter(pass, "squeeze_bias", {hidden}, init::zeros(), false),
                   make_parameter(pass, "excite_weight", {hidden, channels}, init::glorot_uniform(), true),
                   make_parameter(pass, "excite_bias", {channels}, init::zeros(), false)};
  }
  if (parameters_[0]->type().shape[0] != channels)
    fail(at_, text(layer_label(pass, *this), "input ", x.type(), " has ", channels, " channels on axis ", x.rank() - 1,
                   ", but the weight ", parameters_[0]->type(), " takes ", parameters_[0]->type().shape[0]));
  const Tensor means = reshape(average_pool(x, spatial_sizes(x.shape()), {}, true, at_), {examples, channels}, at_);
  const auto affine = [&](Tensor in, size_t first) {
    return add({matmul(in, pass.parameter(parameters_[first]), at_), at_},
               {pass.parameter(parameters_[first + 1]), at_});
  };
  const Tensor weights = sigmoid(affine(relu(affine(means, 0), at_), 2), at_);
  Shape spread = x.shape();
  for (int axis = 1; axis + 1 < x.rank(); ++axis) spread[axis] = 1;
  return mul({x, at_}, {reshape(weights, spread, at_), at_});
}

}  // namespace descent::nn
