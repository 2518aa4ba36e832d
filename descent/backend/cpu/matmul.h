// The other ways a matrix product runs on the CPU than by our own packed kernels.
#pragma once

#include "descent/backend/cpu/calls.h"

namespace descent::cpu {

std::unique_ptr<Call> make_onednn_matmul(const CallStep& step);

// With one row on the left: B is read once, as it lies. Null where there are more rows, or no kernel for it.
std::unique_ptr<Call> make_gemv(const CallStep& step);

}  // namespace descent::cpu
