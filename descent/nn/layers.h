// Layers beside the linear one and the activations.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

// Each example as a vector: [N, ..] becomes [N, the product of the rest].
struct Flatten : Module {
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "Flatten"; }
  std::string formula() const override { return "x"; }
};

// While training, 0 with probability `rate`, else x / (1 - rate); otherwise x (Srivastava et al. 2014).
class Dropout : public Module {
 public:
  explicit Dropout(double rate = 0.5, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return text("Dropout ", rate_); }
  std::string formula() const override { return "dropout(x)"; }
  bool goes_place_by_place() const override { return true; }
  bool takes_lengths() const override { return true; }

 private:
  double rate_;
  Site at_;
};

// Ba, Kiros and Hinton, "Layer normalization", 2016: each row (the last axis) gets mean 0 and deviation 1, then a
// learnt gain and bias a feature, PATH.gain and PATH.bias.
class LayerNorm : public Module {
 public:
  explicit LayerNorm(double epsilon = 1e-5, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "LayerNorm"; }
  std::string formula() const override { return "g norm(x) + b"; }
  bool goes_place_by_place() const override { return true; }
  bool takes_lengths() const override { return true; }
  std::vector<ParameterPtr> parameters() const override;

 private:
  double epsilon_;
  Site at_;
  ParameterPtr gain_, bias_;
};

// Zhang and Sennrich, "Root mean square layer normalization", 2019: each row (the last axis) over the root of its mean
// square, times a learnt gain a feature, PATH.gain.
class RmsNorm : public Module {
 public:
  explicit RmsNorm(double epsilon = 1e-5, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "RmsNorm"; }
  std::string formula() const override { return "g norm(x)"; }
  bool goes_place_by_place() const override { return true; }
  bool takes_lengths() const override { return true; }
  std::vector<ParameterPtr> parameters() const override;

 private:
  double epsilon_;
  Site at_;
  ParameterPtr gain_;
};

// x * scale + shift as f32, from u8 or f32: the inputs as the net wants them. Scale and shift come from the data, one
// for all or one a feature of the last axis. They are states (PATH.scale, PATH.shift): saved with the weights, so that
// what was trained takes raw inputs.
class Normalize : public Module {
 public:
  Normalize(std::span<const float> scale, std::span<const float> shift, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "Normalize"; }
  std::string formula() const override { return "s x + t"; }
  bool takes_lengths() const override { return true; }
  std::vector<StatePtr> states() const override;

 private:
  Array scale_values_, shift_values_;
  Site at_;
  StatePtr scale_, shift_;
};

// x times a number, plus another.
class Scale : public Module {
 public:
  explicit Scale(double factor, double shift = 0) : factor_(factor), shift_(shift) {}
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  std::string formula() const override;
  bool goes_place_by_place() const override { return true; }
  bool takes_lengths() const override { return true; }

 private:
  double factor_, shift_;
};

// Class indices i32[..] as f32[.., classes]: 1 in the place of the index, 0 elsewhere.
class OneHot : public Module {
 public:
  explicit OneHot(int64_t classes, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return text("OneHot ", classes_); }
  std::string formula() const override { return "one_hot(x)"; }
  bool takes_lengths() const override { return true; }

 private:
  int64_t classes_;
  Site at_;
};

}  // namespace descent::nn
