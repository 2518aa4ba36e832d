// What a device must offer: two functions.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "descent/compile/program.h"

namespace descent {

// A compiled program bound to a device. run() allocates nothing and decides nothing.
class Executable {
 public:
  virtual ~Executable() = default;

  // addresses[i] are the bytes of program.buffers[i] for inputs and outputs; entries of temporaries are ignored.
  virtual void run(std::span<std::byte* const> addresses) = 0;

  // One line a step: seconds since the last call and which kernel runs it; empty unless profiling was asked for.
  struct StepTime {
    std::string label;
    std::string kernel;  // "loop", or the library's own word for its implementation
    double seconds = 0;
    int64_t runs = 0;
  };
  virtual std::vector<StepTime> step_times() const = 0;
};

struct ExecutableOptions {
  bool profile = false;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  virtual bool fast_bf16() const = 0;  // bf16 matrix products at least as fast as f32 ones, in hardware
  // Whether a composite op on inputs of these types is better left to this backend than expanded.
  virtual bool runs_whole(const OpDef&, std::span<const Type>) const { return false; }
  virtual std::string describe() const = 0;  // the processor, its vector and matrix units, threads

  // Floating-point operations a second of what multiplies matrices of this type (f32 or bf16), from registers alone and
  // on all threads: what no product can exceed. Measured for about so many seconds; 0 if there is no such unit.
  virtual double matrix_peak(DType dtype, double seconds) const = 0;

  // Throws naming the step if it has a call the backend does not know.
  virtual std::unique_ptr<Executable> compile(Program program, const ExecutableOptions& options) = 0;
};

// Backends register themselves at start-up; the first is the default.
void register_backend(Backend& backend);
std::span<Backend* const> backends();
Backend& default_backend();

}  // namespace descent
