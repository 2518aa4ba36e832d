#include "descent/data/random.h"

#include <numeric>
#include <utility>

namespace descent::data {

void random_order(std::span<uint32_t> order, uint64_t key) {
  std::iota(order.begin(), order.end(), 0u);
  RandomStream random(key);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
}

}  // namespace descent::data
