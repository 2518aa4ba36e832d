// The threads that share a kernel's work.
//
// OpenMP's own threads spin for milliseconds while they wait: on a machine that also does something else, the spinning
// takes the processor from the thread that is waited for, and a step of 1 ms takes 20. These spin for some tens of
// microseconds, give way for some hundreds, which covers the pauses within a step, and then sleep.
#pragma once

#include <type_traits>

namespace descent {

// How many parts a job has, and which one this thread does.
struct Share {
  int part = 0, parts = 1;
};

namespace team {

// Calls job(context, share) once for each part on as many threads, the caller's among them; returns when all are done.
// If the team already works for another thread, or for this one, the caller does it alone, with one part.
void run(int threads, void (*job)(void* context, Share share), void* context);

// Within a job: waits until every part has come here.
void barrier(Share share);

}  // namespace team

// run_together(2, [&](Share share) { ... }): allocates nothing once as many threads have been used before.
template <class Job>
void run_together(int threads, Job&& job) {
  if (threads <= 1) return job(Share{});
  team::run(
      threads, [](void* context, Share share) { (*static_cast<std::remove_reference_t<Job>*>(context))(share); }, &job);
}

}  // namespace descent
