// The two ways a matrix product runs on the CPU.
#pragma once

#include "descent/backend/cpu/calls.h"

namespace descent::cpu {

std::unique_ptr<Call> make_onednn_matmul(const CallStep& step);

}  // namespace descent::cpu
