// Initial values of parameters.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "descent/core/array.h"
#include "descent/core/philox.h"
#include "descent/nn/settings.h"

namespace descent::nn {

// How a parameter's initial values are drawn. They depend on the seed and the parameter's path only, not on the order
// in which a net is built. The fans of a weight [.., inputs, outputs] are its inputs and outputs, times the product of
// the axes before them (a convolution's window); a vector's fans are both its size.
class Initializer {
 public:
  using Fill = std::function<void(std::span<float> values, const Shape& shape, const RandomSource& source)>;
  Initializer(std::string describe, Fill fill) : describe_(std::move(describe)), fill_(std::move(fill)) {}

  Array operator()(const Shape& shape, uint64_t seed, std::string_view path) const;  // f32
  void fill(std::span<float> values, const Shape& shape, const RandomSource& source) const {
    fill_(values, shape, source);
  }
  const std::string& describe() const { return describe_; }

 private:
  std::string describe_;
  Fill fill_;
};

namespace init {

Initializer constant(double value);
Initializer zeros();
Initializer ones();
Initializer uniform(double low, double high);
Initializer normal(double mean, double deviation);

// Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010:
// variance 2 / (fan in + fan out), which keeps both activations and gradients in scale for tanh-like activations.
Initializer glorot_uniform(double gain = 1);
Initializer glorot_normal(double gain = 1);

// He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015: variance 2 / (1 + slope^2) / fan in, for ReLU-like
// activations with that slope on the negative side.
Initializer he_uniform(double slope = 0);
Initializer he_normal(double slope = 0);

// LeCun, Bottou, Orr and Müller, "Efficient backprop", 1998: variance 1 / fan in. SELU asks for it.
Initializer lecun_uniform();
Initializer lecun_normal();

// Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
// 2014: orthonormal rows or columns (whichever are fewer), uniform among all such matrices, times the gain.
Initializer orthogonal(double gain = 1);

// For convolutions: the first results copy their channel, at the window's centre (Zagoruyko and Komodakis, "DiracNets",
// 2017); those beyond the number of channels are uniform with variance 1 / (3 fan in), as in Jordan, "94% on CIFAR-10
// in 3.29 seconds on a single GPU", 2024.
Initializer dirac();

}  // namespace init

// The table, and an initialiser from it: make_initializer("normal", {{"deviation", 0.02}}).
std::span<const Kind<Initializer>> initializer_kinds();
Initializer make_initializer(std::string_view kind, const Settings& settings = {});

}  // namespace descent::nn
