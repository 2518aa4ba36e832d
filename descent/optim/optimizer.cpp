#include "descent/optim/optimizer.h"

#include "descent/ops/add.h"
#include "descent/ops/cast.h"
#include "descent/ops/mul.h"

namespace descent::optim {

struct Optimizer::Core {
  // The states kept for one parameter. Owning it keeps its address from being used again.
  struct Kept {
    nn::ParameterPtr parameter;
    std::vector<nn::StatePtr> moments;
  };

  Rule rule;
  nn::StatePtr rate, step;
  std::vector<Kept> kept;

  const std::vector<nn::StatePtr>& moments_of(const nn::ParameterPtr& parameter) {
    for (const Kept& known : kept)
      if (known.parameter == parameter) return known.moments;
    Kept fresh{parameter, {}};
    for (const std::string_view moment : rule.moments)
      fresh.moments.push_back(
          std::make_shared<nn::State>(text(parameter->name(), ".", moment), Array(parameter->type())));
    kept.push_back(std::move(fresh));
    return kept.back().moments;
  }
};

namespace {

void check_rate(double rate, const std::string& who, Site at) {
  if (!(rate >= 0)) throw UsageError(at, text(who, ": the learning rate must be at least 0, got ", rate));
}

}  // namespace

Optimizer::Optimizer(Rule rule, std::string name, Site at) {
  check_rate(rule.learning_rate, rule.name, at);
  const auto rate =
      std::make_shared<nn::State>(text(name, ".learning_rate"), Array::scalar(static_cast<float>(rule.learning_rate)));
  const auto step = std::make_shared<nn::State>(text(name, ".step"), Array(DType::i32, {}));
  core_ = std::make_shared<Core>(Core{std::move(rule), rate, step, {}});
}

const std::string& Optimizer::name() const { return core_->rule.name; }
double Optimizer::learning_rate() const { return core_->rate->array().item(); }
double Optimizer::base_learning_rate() const { return core_->rule.learning_rate; }
int64_t Optimizer::steps() const { return static_cast<int64_t>(core_->step->array().item()); }

void Optimizer::set_learning_rate(double rate) {
  check_rate(rate, name(), {});
  core_->rate->assign(rate);
}

std::vector<nn::StatePtr> Optimizer::states() const {
  std::vector<nn::StatePtr> out{core_->rate, core_->step};
  for (const Core::Kept& kept : core_->kept) out.insert(out.end(), kept.moments.begin(), kept.moments.end());
  return out;
}

Tensor Optimizer::update(nn::Pass& pass, const nn::ParameterPtr& parameter, Tensor gradient) {
  const Tensor step = pass.read(core_->step) + 1;
  pass.assign(core_->step, step);
  const std::vector<nn::StatePtr>& kept = core_->moments_of(parameter);
  Tensors moments;
  for (const nn::StatePtr& moment : kept) moments.push_back(pass.read(moment));
  Tensor rate = pass.read(core_->rate);
  if (parameter->rate != 1) rate = rate * parameter->rate;
  const Tensors updated = core_->rule.update(
      {pass.read(parameter), gradient, moments, rate, cast(step, DType::f32), parameter->decays, parameter->rate});
  pass.assign(parameter, updated[0]);
  for (size_t i = 0; i < kept.size(); ++i) pass.assign(kept[i], updated[i + 1]);
  return updated[0];
}

std::span<const nn::Kind<Optimizer>> optimizer_kinds() {
  using nn::Settings, nn::SettingRule;
  const auto rate = [](double fallback) { return SettingRule{"learning_rate", fallback, "the size of steps"}; };
  const auto decay = [](double fallback) {
    return SettingRule{"weight_decay", fallback, "how strongly weights are pulled to 0"};
  };
  const auto small = [](double fallback) { return SettingRule{"epsilon", fallback, "keeps the divisor from 0"}; };
  static const SettingRule beta1{"beta1", 0.9, "decay of the first moment"},
      beta2{"beta2", 0.999, "decay of the second moment"};
  static const std::vector<nn::Kind<Optimizer>> kinds = {
      {"sgd",
       "gradient descent, with momentum if asked for",
       {rate(0.01),
        {"momentum", 0.0, "what stays of the last step"},
        {"nesterov", false, "whether to look ahead"},
        decay(0),
        {"decoupled", false,
         "the rate and the decay count what momentum adds, and the decay is no multiple of the rate"},
        {"decay_all", false, "whether biases and gains are pulled to 0, too"}},
       [](const Settings& s) {
         return Optimizer(SGD{s.number("learning_rate"), s.number("momentum"), s.flag("nesterov"),
                              s.number("weight_decay"), s.flag("decoupled"), s.flag("decay_all")},
                          "optimizer", s.at("learning_rate"));
       }},
      {"adam",
       "steps scaled by the gradients' moments",
       {rate(1e-3), beta1, beta2, small(1e-8), decay(0)},
       [](const Settings& s) {
         return Optimizer(Adam{s.number("learning_rate"), s.number("beta1"), s.number("beta2"), s.number("epsilon"),
                               s.number("weight_decay")},
                          "optimizer", s.at("learning_rate"));
       }},
      {"adamw",
       "Adam with decoupled weight decay",
       {rate(1e-3), beta1, beta2, small(1e-8), decay(0.01)},
       [](const Settings& s) {
         return Optimizer(AdamW{s.number("learning_rate"), s.number("beta1"), s.number("beta2"), s.number("epsilon"),
                                s.number("weight_decay")},
                          "optimizer", s.at("learning_rate"));
       }},
      {"rmsprop",
       "steps scaled by the gradients' mean square",
       {rate(1e-3), {"decay", 0.99, "of the mean square"}, small(1e-8), decay(0)},
       [](const Settings& s) {
         return Optimizer(
             RMSProp{s.number("learning_rate"), s.number("decay"), s.number("epsilon"), s.number("weight_decay")},
             "optimizer", s.at("learning_rate"));
       }},
      {"adagrad", "steps scaled by all gradients so far", {rate(0.01), small(1e-10), decay(0)}, [](const Settings& s) {
         return Optimizer(Adagrad{s.number("learning_rate"), s.number("epsilon"), s.number("weight_decay")},
                          "optimizer", s.at("learning_rate"));
       }}};
  return kinds;
}

Optimizer make_optimizer(std::string_view kind, const nn::Settings& settings) {
  return nn::make_kind(optimizer_kinds(), "optimiser", kind, settings);
}

}  // namespace descent::optim
