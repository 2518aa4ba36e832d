// Attention whole: fused_attention and its gradient.
#pragma once

#include "descent/backend/cpu/calls.h"

namespace descent::cpu {

// Whether make_attention has a kernel for the op, if it is one of them, on inputs of these types.
bool runs_attention(const OpDef& op, std::span<const Type> inputs);

}  // namespace descent::cpu
