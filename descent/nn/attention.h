// Attention as a layer.
#pragma once

#include "descent/nn/linear.h"

namespace descent::nn {

struct AttentionOptions {
  bool causal = false;  // a place sees itself and those before it only
  bool rotary = false;  // queries and keys are turned by their places (ops/rotary.h)
  double rotary_base = 1e4;
  LinearOptions input = {};  // of queries, keys and values
  LinearOptions output = {};
};

// Each place asks all places of its sequence (Vaswani et al., "Attention is all you need", 2017): x f32 [B, T,
// features] gives the same type. Queries, keys and values are one affine map of x, "inputs"; each is parted into
// `heads` groups of features; what the heads make of them goes through another, "output".
class SelfAttention : public Module {
 public:
  explicit SelfAttention(int64_t heads, AttentionOptions options = {}, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  std::string formula() const override { return "attention(x)"; }
  bool goes_place_by_place() const override { return options_.causal; }
  bool takes_lengths() const override { return true; }
  std::vector<std::pair<std::string, ModulePtr>> children() const override;

 private:
  void make(int64_t features);
  Tensor look_back(Pass& pass, Tensor query, Tensor key, Tensor value) const;

  int64_t heads_;
  AttentionOptions options_;
  Site at_;
  ModulePtr inputs_, output_;
};

}  // namespace descent::nn
