#include "descent/train/trainer.h"

#include <algorithm>

#include "descent/base/text.h"
#include "descent/train/fit.h"

namespace descent::train {

std::string to_text(Outcome outcome) {
  static constexpr std::string_view names[] = {"finished", "stopped early", "interrupted"};
  return std::string(names[static_cast<size_t>(outcome)]);
}

StepOptions step_options_of(const FitOptions& options) {
  return {.precision = options.precision,
          .seed = options.seed,
          .regularization = options.regularization,
          .clip = options.clip,
          .average = options.average,
          .lookahead = options.lookahead};
}

Report Trainer::fit(const data::Dataset& training, const FitOptions& options) {
  return Fit(net_, loss_, optimizer_, training, options).run();
}

io::NamedArrays weights_of(const nn::Module& net) {
  io::NamedArrays out;
  for (const nn::StatePtr& state : nn::all_states(net)) out.emplace_back(state->name(), state->array());
  return out;
}

void fill_states(const std::vector<nn::StatePtr>& states, const io::NamedArrays& arrays, const std::string& source,
                 bool exactly) {
  for (const nn::StatePtr& state : states) {
    const auto array = std::ranges::find(arrays, state->name(), &io::NamedArrays::value_type::first);
    if (array == arrays.end())
      fail(text(source, " has no '", state->name(), "' ", state->type(), ": it is of another net"));
    if (array->second.type() != state->type())
      fail(text(source, ": '", state->name(), "' is ", array->second.type(), ", the net's is ", state->type()));
    state->assign(array->second);
  }
  if (!exactly || arrays.size() == states.size()) return;
  for (const auto& [name, array] : arrays)
    if (std::ranges::find(states, name, &nn::State::name) == states.end())
      fail(text(source, " has '", name, "' ", array.type(), ", which the net has not: it is of another net"));
}

}  // namespace descent::train
