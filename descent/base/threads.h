// How many threads a step may use. One number for the whole process: OpenMP's, which oneDNN shares.
#pragma once

namespace descent {

int thread_count();
void set_thread_count(int count);  // at least 1; also sets OpenMP's, so that library calls follow

// Subnormal numbers cost a trap of ~150 cycles on most processors; a step flushes them to zero in every thread.
// Call before the first parallel region: workers inherit the caller's setting.
void flush_subnormals_to_zero();

}  // namespace descent
