// The other comparisons, and logic on booleans, from less, equal and maximum. All broadcast by NumPy's rule.
#pragma once

#include "descent/ops/equal.h"
#include "descent/ops/less.h"
#include "descent/ops/minimum.h"

namespace descent {

inline Tensor greater(Operand a, Operand b) { return less(b, a); }

inline Tensor logical_and(Operand a, Operand b) { return minimum(a, b); }
inline Tensor logical_or(Operand a, Operand b) { return maximum(a, b); }
inline Tensor logical_not(Operand a) { return equal(a, 0); }

// With NaN, these four are false, false, true and false.
inline Tensor less_equal(Operand a, Operand b) { return logical_or({less(a, b), a.at}, equal(a, b)); }
inline Tensor greater_equal(Operand a, Operand b) { return less_equal(b, a); }
inline Tensor not_equal(Operand a, Operand b) { return logical_not({equal(a, b), a.at}); }

}  // namespace descent
