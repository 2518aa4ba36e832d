#include "descent/check/verdict.h"

#include <algorithm>

namespace descent::check {

namespace {

// How far off, in parts of what is allowed.
double error_of(double got, double want, double allowed) {
  if (std::isnan(allowed)) return 0;
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got) ? 0 : HUGE_VAL;
  if (got == want) return 0;
  return std::isinf(want) && std::isinf(got) ? HUGE_VAL : allowed > 0 ? std::abs(got - want) / allowed : HUGE_VAL;
}

double in_range(double value, DType dtype) {
  const double stored = rounded(value, dtype);
  return is_floating(dtype) && std::isinf(stored) ? stored : value;
}

}  // namespace

Verdict compare(const Dense& got, const Dense& want, std::span<const double> allowed, std::string_view what) {
  if (got.type != want.type) return failed(text(what, " is ", got.type, " instead of ", want.type));
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < want.values.size(); ++i) {
    const double error = error_of(got.values[i], in_range(want.values[i], want.type.dtype), allowed[i]);
    if (error > worst) {
      worst = error;
      at = i;
    }
  }
  if (worst <= 1) return {true, "", worst};
  return failed(text(what, " ", want.type, ": element ", at, " is ", got.values[at], " instead of ", want.values[at],
                     ", off by ", std::abs(got.values[at] - want.values[at]), " where ", allowed[at], " is allowed"),
                worst);
}

Verdict compare(const Dense& got, const Dense& want, double relative, double absolute, std::string_view what) {
  double largest = 0;
  for (const double value : want.values)
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  std::vector<double> allowed;
  for (const double value : want.values)
    allowed.push_back(relative * (std::abs(value) + 1e-3 * largest) + absolute + 1e-300);
  return compare(got, want, allowed, what);
}

}  // namespace descent::check
