#include "descent/optim/rules.h"

#include "descent/ops/adagrad_update.h"
#include "descent/ops/adam_update.h"
#include "descent/ops/momentum_update.h"
#include "descent/ops/mul.h"
#include "descent/ops/rmsprop_update.h"
#include "descent/ops/sgd_update.h"

namespace descent::optim {

namespace {

constexpr std::string_view velocity[] = {"momentum"};
constexpr std::string_view adam_moments[] = {"first_moment", "second_moment"};
constexpr std::string_view mean_square[] = {"mean_square"};
constexpr std::string_view sum_of_squares[] = {"sum_of_squares"};

// What the rate multiplies is smaller as the rate is larger.
double decay_for(const UpdateArgs& args, double weight_decay) {
  return args.decays ? weight_decay / args.rate_factor : 0;
}

Tensors adam(const UpdateArgs& args, const AdamOptions& options) {
  return adam_update(args.weight, args.gradient, args.moments[0], args.moments[1], args.rate, args.step, options);
}

}  // namespace

std::span<const std::string_view> SGD::moments() const {
  return momentum == 0 ? std::span<const std::string_view>{} : velocity;
}

Tensors SGD::update(const UpdateArgs& args) const {
  UpdateArgs own = args;
  own.decays = args.decays || decay_all;
  double pull = decay_for(own, weight_decay);
  Tensor rate = args.rate;
  if (decoupled) {
    pull = learning_rate > 0 ? pull / learning_rate : 0;
    if (momentum != 0) rate = rate * (1 - momentum);
  }
  if (momentum == 0) return {sgd_update(args.weight, args.gradient, rate, pull)};
  return momentum_update(args.weight, args.gradient, args.moments[0], rate, {momentum, nesterov, pull});
}

std::span<const std::string_view> Adam::moments() const { return adam_moments; }

Tensors Adam::update(const UpdateArgs& args) const {
  return adam(args, {beta1, beta2, epsilon, decay_for(args, weight_decay), false});
}

std::span<const std::string_view> AdamW::moments() const { return adam_moments; }

Tensors AdamW::update(const UpdateArgs& args) const {
  return adam(args, {beta1, beta2, epsilon, decay_for(args, weight_decay), true});
}

std::span<const std::string_view> RMSProp::moments() const { return mean_square; }

Tensors RMSProp::update(const UpdateArgs& args) const {
  return rmsprop_update(args.weight, args.gradient, args.moments[0], args.rate,
                        {decay, epsilon, decay_for(args, weight_decay)});
}

std::span<const std::string_view> Adagrad::moments() const { return sum_of_squares; }

Tensors Adagrad::update(const UpdateArgs& args) const {
  return adagrad_update(args.weight, args.gradient, args.moments[0], args.rate,
                        {epsilon, decay_for(args, weight_decay)});
}

}  // namespace descent::optim
