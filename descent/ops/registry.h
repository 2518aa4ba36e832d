// All ops of the library, by name.
#pragma once

#include "descent/graph/op.h"

namespace descent {

// Sorted by name.
std::span<const OpDef* const> registry();

// Nothing if there is none of that name.
const OpDef* find_op(std::string_view name);

}  // namespace descent
