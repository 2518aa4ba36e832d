// The kernels that CallSteps name: each is prepared once, when its program is compiled.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "descent/compile/program.h"

namespace descent::cpu {

// Memory that nothing is kept in from run to run: so many bytes for each of so many threads.
struct Scratch {
  size_t bytes = 0;
  int threads = 0;
};
inline Scratch larger(Scratch a, Scratch b) { return {std::max(a.bytes, b.bytes), std::max(a.threads, b.threads)}; }

class Call {
 public:
  virtual ~Call() = default;
  virtual void run(std::byte* const* addresses) = 0;  // addresses[buffer id]
  // Takes what an earlier call of the same program packs of its right operand, which both read as it is; false if they
  // pack it differently.
  virtual bool takes_panels_of(Call&) { return false; }
  // What it wants, and where that is. All calls of a program work in the same memory, so that it stays in the threads'
  // second caches.
  virtual Scratch scratch() const { return {}; }
  virtual void use_scratch(std::byte*, size_t /*bytes between threads*/) {}
  virtual std::string kernel() const = 0;             // which implementation runs: for logs, profiles and tests
};

// Fails naming the call if there is no such kernel. The call keeps what it needs of the step and its program.
std::unique_ptr<Call> make_call(const CallStep& step, const Program& program);

// The element a view begins at.
inline std::byte* address_of(const View& view, std::byte* const* addresses) {
  return addresses[view.buffer] + view.offset * static_cast<int64_t>(size_of(view.dtype));
}

// The makers that make_call chooses from.
std::unique_ptr<Call> make_matmul(const CallStep& step, const Program& program);  // matmul, fused_matmul
std::unique_ptr<Call> make_conv(const CallStep& step, const Program& program);    // conv and its two gradients
std::unique_ptr<Call> make_pool(const CallStep& step, const Program& program);    // max_pool, sum_pool, their gradients, take_taps
std::unique_ptr<Call> make_attention(const CallStep& step, const Program& program);  // fused_attention and its gradient
std::unique_ptr<Call> make_gather(const CallStep& step, const Program& program);
std::unique_ptr<Call> make_scatter_add(const CallStep& step, const Program& program);
std::unique_ptr<Call> make_ctc(const CallStep& step, const Program& program);  // ctc_loss, ctc_gradient

}  // namespace descent::cpu
