// Attention to another sequence, as decoders pay it to what an encoder made.
#pragma once

#include "descent/nn/linear.h"

namespace descent::nn {

struct CrossAttentionOptions {
  LinearOptions queries = {}, source = {};  // source: of keys and values
  LinearOptions output = {};
};

// Each place asks all places of another sequence, Pass::source(): x f32 [B, T, features] gives the same type (Vaswani
// et al., "Attention is all you need", 2017). Queries are an affine map of x, "queries", keys and values one of the
// source, "source"; each is parted into `heads` groups of features; what the heads make of them goes through another,
// "output". Places of the source behind its ends are not seen.
//
// With one head and beside x itself it is what Luong, Pham and Manning ("Effective approaches to attention-based neural
// machine translation", 2015) call "general" attention.
//
// Going place by place, it is given the source with the first place, and keeps its keys and values.
class CrossAttention : public Module {
 public:
  explicit CrossAttention(int64_t heads, CrossAttentionOptions options = {}, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return text("CrossAttention ", heads_, heads_ == 1 ? " head" : " heads"); }
  std::string formula() const override { return "attention(x, source)"; }
  bool goes_place_by_place() const override { return true; }
  bool takes_lengths() const override { return true; }
  std::vector<std::pair<std::string, ModulePtr>> children() const override;

 private:
  // What is asked: keys and values [B, heads, S, features / heads], and how many of the S places count.
  struct Source {
    Tensor keys, values, lengths;
  };
  Source source(Pass& pass);
  void check(const Pass& pass, const Type& x) const;
  void make(int64_t features);
  Tensor in_heads(Tensor x) const;

  int64_t heads_;
  CrossAttentionOptions options_;
  Site at_;
  ModulePtr queries_, source_, output_;
};

}  // namespace descent::nn
