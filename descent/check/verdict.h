// What a check finds, and how values are compared.
#pragma once

#include <cmath>
#include <string>

#include "descent/reference/interpreter.h"

namespace descent::check {

struct Verdict {
  bool ok = true;
  std::string message;
  double max_error = 0;  // in parts of what is allowed
};

inline Verdict failed(std::string message, double max_error = HUGE_VAL) {
  return {false, std::move(message), max_error};
}

// The worse of the two.
inline Verdict worse(Verdict a, Verdict b) { return !b.ok && a.ok ? b : !a.ok || a.max_error >= b.max_error ? a : b; }

// Element by element: |got - want| <= allowed, where a NaN answers only a NaN and an infinity the same infinity.
// Numbers beyond the range of the dtype are infinities. Where `allowed` is NaN, anything goes.
Verdict compare(const Dense& got, const Dense& want, std::span<const double> allowed, std::string_view what);

// The same with one relative error for all: of the wanted element, and a thousandth of it of the largest; plus
// `absolute`.
Verdict compare(const Dense& got, const Dense& want, double relative, double absolute, std::string_view what);

}  // namespace descent::check
