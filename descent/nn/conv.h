// Convolutions. Images are channels-last, [examples, height, width, channels]; sounds [examples, length, channels].
#pragma once

#include <optional>

#include "descent/nn/per_axis.h"

namespace descent::nn {

struct ConvOptions {
  PerAxis stride = 1;
  // Elements of zeros on either side; none given: "same", so many that a stride of 1 keeps the size (and a stride s
  // divides it by s, rounded up).
  std::optional<PerAxis> padding = {};
  PerAxis dilation = 1;
  int64_t groups = 1;  // each result sees the channels of its group alone; as many as channels: a depthwise convolution
  bool bias = true;
  // Of the weight. By default what suits the layer that follows, as for Linear.
  std::optional<Initializer> init = {};
};

// W * x + b: every window of x times the same weights. x f32[n, height, width, channels] (or [n, height, width], one
// channel) gives f32[n, .., features], with PATH.weight f32[window.., channels / groups, features] and PATH.bias
// f32[features].
class Conv : public Module {
 public:
  Conv(int64_t features, PerAxis kernel = 3, ConvOptions options = {}, Site at = Site::here())
      : Conv("Conv", 2, features, std::move(kernel), std::move(options), at) {}

  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  std::string formula() const override { return options_.bias ? "W * x + b" : "W * x"; }
  bool takes_lengths() const override { return axes_ == 1; }
  std::vector<ParameterPtr> parameters() const override;
  void followed_by(const Module& next) override { suited_ = next.suited_initializer(); }

 protected:
  Conv(std::string_view title, int axes, int64_t features, PerAxis kernel, ConvOptions options, Site at);

  Initializer initial() const;
  virtual void make(Pass& pass, int64_t channels);
  virtual Tensor convolve(Pass& pass, Tensor x) const;
  virtual int64_t channels_taken() const;  // by the weight

  std::string title_;
  int axes_;
  int64_t features_;
  PerAxis kernel_;
  ConvOptions options_;
  Site at_;
  std::string suited_;
  ParameterPtr weight_, bias_;
};

// The same along one axis: f32[n, length, channels] (or [n, length]). Where sequences have lengths of their own, "same"
// padding is that of a stride of 1, whatever the stride, since it must not depend on where the batch ends.
struct Conv1d : Conv {
  Conv1d(int64_t features, PerAxis kernel = 3, ConvOptions options = {}, Site at = Site::here())
      : Conv("Conv1d", 1, features, std::move(kernel), std::move(options), at) {}
};

// The transpose of a convolution, which enlarges: each element of x adds its window of weights to the result. "same"
// padding multiplies the size by the stride. The weight is f32[window.., features / groups, channels].
class ConvTranspose : public Conv {
 public:
  ConvTranspose(int64_t features, PerAxis kernel = 2, ConvOptions options = {.stride = 2}, Site at = Site::here())
      : Conv("ConvTranspose", 2, features, std::move(kernel), std::move(options), at) {}
  std::string formula() const override { return options_.bias ? "Wᵀ * x + b" : "Wᵀ * x"; }

 protected:
  void make(Pass& pass, int64_t channels) override;
  Tensor convolve(Pass& pass, Tensor x) const override;
  int64_t channels_taken() const override { return weight_->type().shape.back(); }
};

}  // namespace descent::nn
