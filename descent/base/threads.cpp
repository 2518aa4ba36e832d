#include "descent/base/threads.h"

#include <omp.h>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace descent {

int thread_count() { return omp_get_max_threads(); }
void set_thread_count(int count) { omp_set_num_threads(std::max(1, count)); }

#if defined(__x86_64__)
SubnormalsFlushed::SubnormalsFlushed() : before_(_mm_getcsr()) {
  constexpr unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040;
  _mm_setcsr(before_ | flush_to_zero | denormals_are_zero);
}
SubnormalsFlushed::~SubnormalsFlushed() { _mm_setcsr(before_); }
#else
SubnormalsFlushed::SubnormalsFlushed() = default;
SubnormalsFlushed::~SubnormalsFlushed() = default;
#endif

}  // namespace descent
