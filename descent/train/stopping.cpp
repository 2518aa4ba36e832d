#include "descent/train/stopping.h"

#include <cmath>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::train {

bool EarlyStopping::observe(const Figures& validation, int64_t epoch) {
  const std::optional<double> value = figure(validation, metric_);
  if (!value) {
    std::vector<std::string> names;
    for (const auto& [name, number] : validation) names.push_back(name);
    throw UsageError(text("a validation has no figure '", metric_, "' to watch (it has ", join(names, ", "), ")",
                          did_you_mean(metric_, names)));
  }
  const bool better = !std::isnan(*value) &&
                      (!memory_.best || (larger_is_better(metric_) ? *value > *memory_.best : *value < *memory_.best));
  if (better)
    memory_ = {value, epoch, 0};
  else
    ++memory_.waited;
  return better;
}

}  // namespace descent::train
