// An optimiser at work: a rule with the states that it keeps.
#pragma once

#include <memory>
#include <vector>

#include "descent/nn/pass.h"
#include "descent/nn/settings.h"
#include "descent/optim/rules.h"

namespace descent::optim {

// A handle: copies share the states. Made from any update rule: Optimizer adam = optim::Adam{.learning_rate = 1e-3}.
//
// Its states are NAME.learning_rate (f32, what a schedule writes between steps), NAME.step (i32, the steps done,
// advanced in the graph) and each parameter's moments ("hidden.weight.momentum"), which are made when the step is
// traced.
class Optimizer {
 public:
  // Two optimisers in one step need two names.
  template <UpdateRule R>
  Optimizer(R rule, std::string name = "optimizer", Site at = Site::here())  // NOLINT: implicit on purpose
      : Optimizer(Rule{std::string(R::name), rule.learning_rate, to_vector(rule.moments()),
                       [rule](const UpdateArgs& args) { return rule.update(args); }},
                  std::move(name), at) {}

  const std::string& name() const;      // of the rule: "AdamW"
  double learning_rate() const;         // now
  double base_learning_rate() const;    // as it was made
  void set_learning_rate(double rate);  // for the steps that follow; recompiles nothing
  int64_t steps() const;                // done

  // Everything it keeps: learning rate, step and the moments made by now, for checkpoints.
  std::vector<nn::StatePtr> states() const;

  // Joins the update of one parameter to the step and returns the new value. minimize() calls this.
  Tensor update(nn::Pass& pass, const nn::ParameterPtr& parameter, Tensor gradient);

 private:
  struct Rule {
    std::string name;
    double learning_rate;
    std::vector<std::string_view> moments;
    std::function<Tensors(const UpdateArgs&)> update;
  };
  struct Core;
  Optimizer(Rule rule, std::string name, Site at);
  static std::vector<std::string_view> to_vector(std::span<const std::string_view> names) {
    return {names.begin(), names.end()};
  }

  std::shared_ptr<Core> core_;
};

// The table, and an optimiser from it: make_optimizer("adamw", {{"learning_rate", 1e-3}}).
std::span<const nn::Kind<Optimizer>> optimizer_kinds();
Optimizer make_optimizer(std::string_view kind, const nn::Settings& settings = {});

}  // namespace descent::optim
