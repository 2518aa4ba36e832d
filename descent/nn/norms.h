// Normalisations of channels, and the layer that weighs them. (LayerNorm is among layers.h.)
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

struct BatchNormOptions {
  double epsilon = 1e-5;
  double momentum = 0.1;  // how much of the batch's mean and variance goes into the running ones, a step
};

// Ioffe and Szegedy, "Batch normalization", 2015. While training, each channel (the last axis) gets mean 0 and variance
// 1 over the batch, then a learnt gain and bias, PATH.gain and PATH.bias; the batch's mean and variance (of the
// population it is drawn from: divided by one less than the number of values) move the states PATH.mean and
// PATH.variance, by which everything else is normalised.
class BatchNorm : public Module {
 public:
  explicit BatchNorm(BatchNormOptions options = {}, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "BatchNorm"; }
  std::string formula() const override { return "g norm(x) + b"; }
  std::vector<ParameterPtr> parameters() const override;
  std::vector<StatePtr> states() const override;
  std::string_view suited_initializer() const override { return "he_normal"; }

 private:
  void make(Pass& pass, int64_t channels);
  Tensor by_batch(Pass& pass, Tensor x);
  Tensor by_states(Pass& pass, Tensor x);

  BatchNormOptions options_;
  Site at_;
  ParameterPtr gain_, bias_;
  StatePtr mean_, variance_;
};

// Wu and He, "Group normalization", 2018: each group of channels of each example gets mean 0 and variance 1, then a
// learnt gain and bias a channel, PATH.gain and PATH.bias. The same in training and after.
class GroupNorm : public Module {
 public:
  explicit GroupNorm(int64_t groups = 32, double epsilon = 1e-5, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override {
    return groups_ == each_channel ? "InstanceNorm" : text("GroupNorm ", groups_);
  }
  std::string formula() const override { return "g norm(x) + b"; }
  std::vector<ParameterPtr> parameters() const override;
  std::string_view suited_initializer() const override { return "he_normal"; }

 protected:
  static constexpr int64_t each_channel = 0;
  struct Instances {};
  GroupNorm(Instances, double epsilon, Site at);

 private:
  int64_t groups_;
  double epsilon_;
  Site at_;
  ParameterPtr gain_, bias_;
};

// Ulyanov, Vedaldi and Lempitsky, "Instance normalization", 2016: every channel is a group.
struct InstanceNorm : GroupNorm {
  explicit InstanceNorm(double epsilon = 1e-5, Site at = Site::here()) : GroupNorm(Instances{}, epsilon, at) {}
};

// Hu, Shen and Sun, "Squeeze-and-excitation networks", 2018: each channel of each example times a number between 0 and
// 1, which a small net finds from the channels' means: sigmoid(V relu(U mean(x) + c) + d), with channels / reduction
// hidden numbers (at least 1).
class SqueezeExcite : public Module {
 public:
  explicit SqueezeExcite(int64_t reduction = 16, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return text("SqueezeExcite ", reduction_); }
  std::string formula() const override { return "x sigmoid(V relu(U mean(x) + c) + d)"; }
  std::vector<ParameterPtr> parameters() const override { return parameters_; }

 private:
  int64_t reduction_;
  Site at_;
  std::vector<ParameterPtr> parameters_;  // U, c, V, d
};

}  // namespace descent::nn
