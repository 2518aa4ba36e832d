// Ctrl-C: the first one asks a run to stop after its step, the second ends the program at once.
#pragma once

namespace descent::train {

// While one lives, SIGINT and SIGTERM are caught; after it, they do what they did before. One at a time.
class InterruptGuard {
 public:
  explicit InterruptGuard(bool active = true);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  bool active_;
};

// True once a signal has come, or request_stop() was called, until the next guard is made.
bool stop_requested();

// The same from the program itself, from any thread.
void request_stop();

}  // namespace descent::train
