#include "descent/tasks/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::tasks {

namespace {

void check(std::span<const float> scores, const Sampling& sampling) {
  if (!(sampling.temperature >= 0) || sampling.top_k < 0)
    fail(text("the temperature and top k must be at least 0, got ", sampling.temperature, " and ", sampling.top_k));
  if (!(sampling.top_p > 0 && sampling.top_p <= 1))
    fail(text("top p must be above 0 and at most 1, got ", sampling.top_p));
  if (scores.empty() || std::ranges::any_of(scores, [](float score) { return std::isnan(score); }))
    fail("there are no scores to choose by, or one is not a number");
  if (*std::ranges::max_element(scores) == -HUGE_VALF) fail("nothing can be chosen: all scores are minus infinity");
}

}  // namespace

int64_t choose(std::span<const float> scores, const Sampling& sampling, data::RandomStream& random) {
  check(scores, sampling);
  if (sampling.temperature == 0) return std::ranges::max_element(scores) - scores.begin();
  std::vector<int64_t> best(scores.size());
  std::iota(best.begin(), best.end(), 0);
  std::ranges::stable_sort(best, std::greater<>{}, [&](int64_t i) { return scores[static_cast<size_t>(i)]; });
  if (sampling.top_k > 0) best.resize(std::min(best.size(), static_cast<size_t>(sampling.top_k)));

  const double largest = scores[static_cast<size_t>(best[0])];
  std::vector<double> sums;  // of the weights so far
  double sum = 0;
  for (const int64_t i : best)
    sums.push_back(sum += std::exp((scores[static_cast<size_t>(i)] - largest) / sampling.temperature));
  if (sampling.top_p < 1) {
    const auto enough = std::ranges::lower_bound(sums, sampling.top_p * sum);
    sums.resize(static_cast<size_t>(std::min<int64_t>(enough - sums.begin() + 1, std::ssize(sums))));
    sum = sums.back();
  }
  const auto at = std::ranges::upper_bound(sums, random.uniform() * sum);
  return best[static_cast<size_t>(std::min<int64_t>(at - sums.begin(), std::ssize(sums) - 1))];
}

}  // namespace descent::tasks
