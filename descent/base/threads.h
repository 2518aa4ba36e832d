// How many threads a step may use, and how they treat tiny numbers.
#pragma once

namespace descent {

int thread_count();
void set_thread_count(int count);  // at least 1; also sets OpenMP's, so that library calls follow

// How this thread rounds and treats subnormal numbers, as the processor's control word; threads that share a job use
// the caller's.
unsigned float_control();
void set_float_control(unsigned control);

// While one lives, this thread takes subnormal numbers for zero: they cost a trap of ~150 cycles each on many
// processors, and gradients that shrink are full of them. The caller's setting comes back afterwards.
class SubnormalsFlushed {
 public:
  SubnormalsFlushed();
  ~SubnormalsFlushed();
  SubnormalsFlushed(const SubnormalsFlushed&) = delete;
  SubnormalsFlushed& operator=(const SubnormalsFlushed&) = delete;

 private:
  unsigned before_ = 0;
};

}  // namespace descent
