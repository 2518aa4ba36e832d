#include "descent/train/interrupt.h"

#include <signal.h>

#include <atomic>
#include <iterator>

namespace descent::train {

namespace {

constexpr int caught[] = {SIGINT, SIGTERM};
std::atomic<bool> requested{false};
struct sigaction before[std::size(caught)];

// The default actions return with the first signal, so that a second one ends the program.
extern "C" void on_signal(int) {
  requested = true;
  struct sigaction fallback {};
  fallback.sa_handler = SIG_DFL;
  for (const int number : caught) ::sigaction(number, &fallback, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard(bool active) : active_(active) {
  requested = false;
  if (!active_) return;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < std::size(caught); ++i) ::sigaction(caught[i], &action, &before[i]);
}

InterruptGuard::~InterruptGuard() {
  if (!active_) return;
  for (size_t i = 0; i < std::size(caught); ++i) ::sigaction(caught[i], &before[i], nullptr);
}

bool stop_requested() { return requested; }
void request_stop() { requested = true; }

}  // namespace descent::train
