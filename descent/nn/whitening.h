// Patches of images without correlations.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

struct WhitenOptions {
  int64_t kernel = 2;       // the side of a patch
  double epsilon = 5e-4;    // added to the variances
  int64_t bias_epochs = 0;  // in how many epochs the bias is trained, from the first; 0: in all
};

// A convolution without padding whose weights are not trained: they take each patch of kernel x kernel pixels to its
// coordinates along the eigenvectors of the patches' second moments, divided by their deviations, largest first, and
// to the negatives of these (Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498, 2024). So x
// f32[n, height, width, channels] gives 2 * kernel * kernel * channels features. The weights, the state PATH.weight,
// are computed from examples before training (nn/from_examples.h) and are 0 before that; PATH.bias is trained.
class WhitenPatches : public Module {
 public:
  explicit WhitenPatches(WhitenOptions options = {}, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  std::string formula() const override { return "E * x + b"; }
  std::vector<ParameterPtr> parameters() const override;
  std::vector<StatePtr> states() const override;
  bool wants_examples() const override;
  void see_examples(const Array& x) override;

 private:
  WhitenOptions options_;
  Site at_;
  StatePtr weight_;
  ParameterPtr bias_;
};

// The eigenvalues of a symmetric matrix, row-major of size^2 values, largest first, and an eigenvector of length 1 for
// each, as rows (Jacobi's method).
struct Eigen {
  std::vector<double> values, vectors;
};
Eigen symmetric_eigen(std::vector<double> matrix, size_t size);

}  // namespace descent::nn
