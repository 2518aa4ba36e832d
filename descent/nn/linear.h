// The affine layer.
#pragma once

#include <optional>

#include "descent/nn/module.h"

namespace descent::nn {

struct LinearOptions {
  bool bias = true;
  // Of the weight. By default what suits the layer that follows: He's for ReLU-like activations, LeCun's for SELU,
  // Glorot's otherwise (all uniform). Biases start at 0.
  std::optional<Initializer> init = {};
};

// W x + b along the last axis: x f32[.., in] gives f32[.., features], with PATH.weight f32[in, features] and PATH.bias
// f32[features]. The number of inputs is that of the first x; another one later is an error.
class Linear : public Module {
 public:
  Linear(int64_t features, LinearOptions options = {},
         Site at = Site::here());  // NOLINT: implicit, as in Sequential{..}

  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  std::string formula() const override { return options_.bias ? "W x + b" : "W x"; }
  bool goes_place_by_place() const override { return true; }
  bool takes_lengths() const override { return true; }
  std::vector<ParameterPtr> parameters() const override;
  void followed_by(const Module& next) override { suited_ = next.suited_initializer(); }

 private:
  void make(Pass& pass, int64_t inputs);
  void check(const Pass& pass, const Type& x) const;

  int64_t features_;
  LinearOptions options_;
  Site at_;
  std::string suited_;
  ParameterPtr weight_, bias_;
};

}  // namespace descent::nn
