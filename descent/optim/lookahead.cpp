#include "descent/optim/lookahead.h"

#include <cmath>

#include "descent/base/text.h"

namespace descent::optim {

Lookahead::Lookahead(LookaheadOptions options, Site at) : options_(options) {
  if (options.every < 1)
    throw UsageError(at, text("lookahead: there must be at least 1 step between returns, got ", options.every));
  if (!(options.keep >= 0 && options.keep <= 1))
    throw UsageError(at, text("lookahead: what the slow weights keep must be from 0 to 1, got ", options.keep));
  if (!(options.power >= 0)) throw UsageError(at, text("lookahead: the power must be at least 0, got ", options.power));
}

void Lookahead::follow(const std::vector<nn::StatePtr>& states) {
  if (!pairs_.empty()) return;
  for (const nn::StatePtr& state : states)
    if (state->type().dtype == DType::f32)
      pairs_.push_back({state, std::make_shared<nn::State>(state->name() + ".slow", state->array().clone())});
}

void Lookahead::after_step(int64_t steps, int64_t total) {
  const bool returns = steps % options_.every == 0;
  if (!returns && steps != total) return;
  const double done = static_cast<double>(steps) / static_cast<double>(total);
  const auto keep = static_cast<float>(returns ? options_.keep * std::pow(done, options_.power) : 1);
  for (const Pair& pair : pairs_) {
    Array slow_array = pair.slow->array();  // the same bytes
    const std::span<float> slow = slow_array.as<float>();
    const std::span<const float> fast = pair.fast->array().as<float>();
    for (size_t i = 0; i < slow.size(); ++i) slow[i] += (1 - keep) * (fast[i] - slow[i]);
    pair.slow->mark_written();
    pair.fast->assign(slow_array);
  }
}

std::vector<nn::StatePtr> Lookahead::states() const {
  std::vector<nn::StatePtr> out;
  for (const Pair& pair : pairs_) out.push_back(pair.slow);
  return out;
}

}  // namespace descent::optim
