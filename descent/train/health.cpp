#include "descent/train/health.h"

#include <fmt/format.h>

#include <algorithm>

namespace descent::train {

namespace {

constexpr int records_in_a_row = 3;
constexpr double vanishing_part = 1e-6, exploding_factor = 100, dead_part = 0.9;
constexpr size_t norms_kept = 50, norms_needed = 5;

}  // namespace

bool HealthWatch::confirmed(const std::string& what, bool sick) {
  int& count = in_a_row_[what];
  count = sick ? count + 1 : 0;
  return count >= records_in_a_row && reported_.insert(what).second;
}

double HealthWatch::median_norm() const {
  std::vector<double> sorted = norms_;
  std::ranges::nth_element(sorted, sorted.begin() + static_cast<int64_t>(sorted.size() / 2));
  return sorted[sorted.size() / 2];
}

std::vector<std::string> HealthWatch::look(const StepRecord& record) {
  std::vector<std::string> out;
  double largest = 0;
  for (const StepRecord::Parameter& each : record.parameters) largest = std::max(largest, each.gradient_norm);
  for (const StepRecord::Parameter& each : record.parameters)
    if (confirmed("vanishing " + each.name, largest > 0 && each.gradient_norm < vanishing_part * largest))
      out.push_back(fmt::format(
          "the gradient of {} has vanished (norm {:.1e}, the largest layer's is {:.1e}): this layer hardly learns; "
          "try ReLU-like activations, another initialiser, layer_norm or residual layers",
          each.name, each.gradient_norm, largest));
  for (const StepRecord::Units& each : record.units)
    if (confirmed("dead " + each.layer, each.dead >= dead_part))
      out.push_back(
          fmt::format("{:.0f}% of the units of {} are dead (0 for whole batches): they learn nothing any more; try a "
                      "smaller learning rate, or leaky_relu",
                      100 * each.dead, each.layer));
  const bool known = norms_.size() >= norms_needed;
  if (confirmed("exploding", known && record.gradient_norm > exploding_factor * median_norm()))
    out.push_back(
        fmt::format("the gradients explode: their norm is {:.1e}, it was {:.1e}; try a smaller learning rate, or "
                    "clipping (clip_norm)",
                    record.gradient_norm, median_norm()));
  norms_.push_back(record.gradient_norm);
  if (norms_.size() > norms_kept) norms_.erase(norms_.begin());
  return out;
}

}  // namespace descent::train
