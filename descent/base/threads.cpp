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
unsigned float_control() { return _mm_getcsr(); }
void set_float_control(unsigned control) { _mm_setcsr(control); }
constexpr unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040;
#else
unsigned float_control() { return 0; }
void set_float_control(unsigned) {}
constexpr unsigned flush_to_zero = 0, denormals_are_zero = 0;
#endif

SubnormalsFlushed::SubnormalsFlushed() : before_(float_control()) {
  set_float_control(before_ | flush_to_zero | denormals_are_zero);
}
SubnormalsFlushed::~SubnormalsFlushed() { set_float_control(before_); }

}  // namespace descent
