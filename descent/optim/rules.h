// The optimisers' settings and rules. Each is a value with its settings as fields: optim::AdamW{.learning_rate = 1e-3}.
#pragma once

#include <array>
#include <concepts>
#include <span>
#include <string>
#include <string_view>

#include "descent/graph/op.h"

namespace descent::optim {

// What a rule makes the update of one parameter from. Its moments (the arrays it keeps for each parameter) are those
// before the step, in the order of Rule::moments(), and start at 0.
struct UpdateArgs {
  Tensor weight, gradient;
  std::span<const Tensor> moments;
  Tensor rate, step;       // f32 scalars: this parameter's rate; step is 1 in the first step
  bool decays;             // whether weight decay applies to this parameter
  double rate_factor = 1;  // how many times the optimiser's learning rate `rate` is
};

// What makes a struct an optimiser. update() gives the new weight, then the new moments.
template <class R>
concept UpdateRule = requires(const R& rule, const UpdateArgs& args) {
  { R::name } -> std::convertible_to<std::string_view>;
  { rule.learning_rate } -> std::convertible_to<double>;
  { rule.moments() } -> std::convertible_to<std::span<const std::string_view>>;
  { rule.update(args) } -> std::same_as<Tensors>;
};

// Robbins and Monro 1951; with momentum Polyak 1964, with nesterov Sutskever et al. 2013. The decay is added to the
// gradient: L2 regularisation.
//
// Decoupled, each setting can be changed alone (after Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024):
// learning_rate is how far a gradient of 1 moves a weight in the end, by this step and, through the momentum, by those
// after it, and weight_decay is the part of the weight that is taken away likewise.
struct SGD {
  static constexpr std::string_view name = "SGD";
  double learning_rate = 0.01;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
  bool decoupled = false;
  bool decay_all = false;  // biases and gains decay, too

  std::span<const std::string_view> moments() const;
  Tensors update(const UpdateArgs& args) const;
};

// Kingma and Ba, "Adam: a method for stochastic optimization", 2015. The decay is added to the gradient.
struct Adam {
  static constexpr std::string_view name = "Adam";
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;

  std::span<const std::string_view> moments() const;
  Tensors update(const UpdateArgs& args) const;
};

// Loshchilov and Hutter, "Decoupled weight decay regularization", 2019: Adam whose decay shrinks the weights directly,
// by learning rate times weight decay a step.
struct AdamW {
  static constexpr std::string_view name = "AdamW";
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;

  std::span<const std::string_view> moments() const;
  Tensors update(const UpdateArgs& args) const;
};

// Tieleman and Hinton 2012. The weight decay is added to the gradient.
struct RMSProp {
  static constexpr std::string_view name = "RMSProp";
  double learning_rate = 1e-3;
  double decay = 0.99;  // of the mean square
  double epsilon = 1e-8;
  double weight_decay = 0;

  std::span<const std::string_view> moments() const;
  Tensors update(const UpdateArgs& args) const;
};

// Duchi, Hazan and Singer 2011. The decay is added to the gradient.
struct Adagrad {
  static constexpr std::string_view name = "Adagrad";
  double learning_rate = 0.01;
  double epsilon = 1e-10;
  double weight_decay = 0;

  std::span<const std::string_view> moments() const;
  Tensors update(const UpdateArgs& args) const;
};

}  // namespace descent::optim
