// From tokens to vectors and back, and where each stands.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

// A learnt vector for each of `count` tokens: integers [..], 0 to count - 1, give f32 [.., features], the rows of
// PATH.weight f32 [count, features]. Integers outside count as the first or the last. Starts normal with deviation 0.02
// (Radford et al., "Language models are unsupervised multitask learners", 2019).
class Embedding : public Module {
 public:
  Embedding(int64_t count, int64_t features, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return text("Embedding ", count_, " x ", features_); }
  std::string formula() const override { return "W[x]"; }
  bool goes_place_by_place() const override { return true; }
  bool takes_lengths() const override { return true; }
  std::vector<ParameterPtr> parameters() const override;

  const ParameterPtr& weight() const { return weight_; }  // null before the first forward()

 private:
  int64_t count_, features_;
  Site at_;
  ParameterPtr weight_;
};

// Scores of tokens by the vectors of an embedding that came before it: W^T x along the last axis, f32 [.., features] to
// f32 [.., count] (Press and Wolf, "Using the output embedding to improve language models", 2017). The weight is the
// embedding's.
class TiedScores : public Module {
 public:
  explicit TiedScores(std::shared_ptr<Embedding> embedding, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "TiedScores"; }
  std::string formula() const override { return "W^T x"; }
  bool goes_place_by_place() const override { return true; }
  bool takes_lengths() const override { return true; }

 private:
  std::shared_ptr<Embedding> embedding_;
  Site at_;
};

// A learnt vector for each place, added to what stands there: x f32 [.., T, features], T at most `most`, with
// PATH.weight f32 [most, features].
class LearntPositions : public Module {
 public:
  explicit LearntPositions(int64_t most, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return text("LearntPositions ", most_); }
  std::string formula() const override { return "x + W"; }
  bool goes_place_by_place() const override { return true; }
  bool takes_lengths() const override { return true; }
  std::vector<ParameterPtr> parameters() const override;

 private:
  int64_t most_;
  Site at_;
  ParameterPtr weight_;
};

// Sines and cosines of each place, of wavelengths from 2 pi to almost 2 pi `base`, added to what stands there (Vaswani
// et al., "Attention is all you need", 2017): x f32 [.., T, features], of any T.
class SinusoidalPositions : public Module {
 public:
  explicit SinusoidalPositions(double base = 1e4, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "SinusoidalPositions"; }
  std::string formula() const override { return "x + sinusoids"; }
  bool goes_place_by_place() const override { return true; }
  bool takes_lengths() const override { return true; }

 private:
  double base_;
  Site at_;
};

}  // namespace descent::nn
