#include "descent/base/team.h"

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "descent/base/threads.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace descent::team {

namespace {

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Waits until `value` is no longer `old`: first awake, for some tens of microseconds; then for some hundreds, giving
// way to whoever else wants the processor, since being woken takes up to a hundred; then asleep.
void wait_while(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < 2000; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  for (int i = 0; i < 1000; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    std::this_thread::yield();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

class Team {
 public:
  ~Team() {
    stopping_ = true;
    begin_.fetch_add(1, std::memory_order_release);
    begin_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  bool try_run(int threads, void (*job)(void*, Share), void* context) {
    if (busy_.test_and_set(std::memory_order_acquire)) return false;
    while (static_cast<int>(workers_.size()) + 1 < threads) add_worker();
    job_ = job;
    context_ = context;
    parts_ = threads;
    control_ = float_control();
    at_work_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
    begin_.fetch_add(1, std::memory_order_release);
    begin_.notify_all();
    job(context, {0, threads});
    for (uint32_t left; (left = at_work_.load(std::memory_order_acquire)) != 0;) wait_while(at_work_, left);
    busy_.clear(std::memory_order_release);
    return true;
  }

  void barrier(int parts) {
    const uint32_t phase = phase_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(parts)) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.fetch_add(1, std::memory_order_release);
      phase_.notify_all();
    } else {
      wait_while(phase_, phase);
    }
  }

 private:
  void add_worker() {
    const int part = static_cast<int>(workers_.size()) + 1;
    workers_.emplace_back([this, part, seen = begin_.load()] { work(part, seen); });
  }

  void work(int part, uint32_t seen) {
    for (;; ++seen) {
      wait_while(begin_, seen);
      if (stopping_) return;
      set_float_control(control_);
      if (part < parts_) job_(context_, {part, parts_});
      if (at_work_.fetch_sub(1, std::memory_order_acq_rel) == 1) at_work_.notify_all();
    }
  }

  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::vector<std::thread> workers_;
  std::atomic<bool> stopping_{false};
  void (*job_)(void*, Share) = nullptr;
  void* context_ = nullptr;
  int parts_ = 1;
  unsigned control_ = 0;
  // Each on a cache line of its own: they are written by different threads.
  alignas(64) std::atomic<uint32_t> begin_{0};    // jobs so far
  alignas(64) std::atomic<uint32_t> at_work_{0};  // workers that have not finished this one
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
};

// A forked child has none of its parent's threads: it begins with a new team, and leaves the old one's memory alone.
std::unique_ptr<Team>& the_team() {
  static std::unique_ptr<Team> team = [] {
    pthread_atfork(nullptr, nullptr, [] {
      (void)the_team().release();
      the_team() = std::make_unique<Team>();
    });
    return std::make_unique<Team>();
  }();
  return team;
}

}  // namespace

void run(int threads, void (*job)(void*, Share), void* context) {
  if (!the_team()->try_run(threads, job, context)) job(context, {0, 1});
}

void barrier(Share share) {
  if (share.parts > 1) the_team()->barrier(share.parts);
}

}  // namespace descent::team
