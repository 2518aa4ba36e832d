// Layers that change the size of images [n, height, width, channels] and of sounds [n, length, channels], channel by
// channel. None has parameters.
#pragma once

#include <optional>

#include "descent/nn/per_axis.h"

namespace descent::nn {

struct PoolOptions {
  std::optional<PerAxis> stride = {};  // none given: the window's sizes
  PerAxis padding = 0;
  bool count_padding = false;  // AveragePool: padding counts as zeros, instead of not at all
};

// The largest element of each window.
class MaxPool : public Module {
 public:
  explicit MaxPool(PerAxis kernel = 2, PoolOptions options = {}, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  std::string formula() const override { return "max_pool(x)"; }

 private:
  PerAxis kernel_;
  PoolOptions options_;
  Site at_;
};

// The mean of each window.
class AveragePool : public Module {
 public:
  explicit AveragePool(PerAxis kernel = 2, PoolOptions options = {}, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  std::string formula() const override { return "mean_pool(x)"; }

 private:
  PerAxis kernel_;
  PoolOptions options_;
  Site at_;
};

// Each channel's mean: [n, .., channels] becomes [n, channels].
class GlobalAveragePool : public Module {
 public:
  explicit GlobalAveragePool(Site at = Site::here()) : at_(at) {}
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "GlobalAveragePool"; }
  std::string formula() const override { return "mean(x)"; }

 private:
  Site at_;
};

// Each channel's largest element: [n, .., channels] becomes [n, channels].
class GlobalMaxPool : public Module {
 public:
  explicit GlobalMaxPool(Site at = Site::here()) : at_(at) {}
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "GlobalMaxPool"; }
  std::string formula() const override { return "max(x)"; }

 private:
  Site at_;
};

// Means over windows as even as can be, so many that the result has these sizes whatever the input's.
class AdaptiveAveragePool : public Module {
 public:
  explicit AdaptiveAveragePool(PerAxis sizes, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return text("AdaptiveAveragePool ", to_text(sizes_)); }
  std::string formula() const override { return "mean_pool(x)"; }

 private:
  PerAxis sizes_;
  Site at_;
};

// `factor` times as large along each axis: every element repeated, or straight lines between the elements.
class Upsample : public Module {
 public:
  explicit Upsample(int64_t factor = 2, bool bilinear = false, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return text("Upsample ", factor_, bilinear_ ? ", bilinear" : ""); }
  std::string formula() const override { return "upsample(x)"; }

 private:
  int64_t factor_;
  bool bilinear_;
  Site at_;
};

}  // namespace descent::nn
