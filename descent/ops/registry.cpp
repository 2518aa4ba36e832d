#include "descent/ops/registry.h"

#include <algorithm>

namespace descent {

const OpDef* find_op(std::string_view name) {
  const std::span<const OpDef* const> ops = registry();
  const auto at = std::ranges::find(ops, name, &OpDef::name);
  return at == ops.end() ? nullptr : *at;
}

}  // namespace descent
