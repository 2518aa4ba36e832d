// The vector tile machine: runs loop steps on the CPU. Its kernels are compiled for several vector instruction sets, of
// which the best that the processor has is taken at start-up.
//
// What holds for results: they are the same bits for any number of threads, since sums are blocked by a kernel's sizes
// alone; and for every target too, except exp, log, sin, cos, tanh, erf and pow, which use fused multiply-add where
// there is one. Integer results saturate. Sums of i32 saturate at each addition. Rounding to bf16 takes numbers below
// the normal range for zero.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "descent/backend/cpu/tile_code.h"

namespace descent::cpu {

// A loop step made ready: decoded and divided among threads once, with nothing left to decide when it runs.
class TileLaunch {
 public:
  // Fails naming the kernel and instruction where something is not known here: f64, or an operation without meaning for
  // its type. The launch keeps what it needs of `step` and `program`; `threads` is the most it will use.
  TileLaunch(const LoopStep& step, const Program& program, int threads);
  TileLaunch(TileLaunch&&) noexcept;
  ~TileLaunch();

  // addresses[i] are the bytes of the program's buffer i. One parallel region if the work is worth it, else none. One
  // thread at a time may run a launch. Allocates nothing but, the first time in a thread, that thread's registers.
  void run(std::byte* const* addresses) const;

  int threads() const;     // that it uses
  bool is_native() const;  // all of it is machine code of its own

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A part of a passing buffer's f32 elements: where the first is, and how far apart the rows of an extent are.
struct Piece {
  BufferId buffer;
  float* data;
  int64_t pitch;
};

// An elementwise kernel made ready to run span by span, inside somebody else's parallel region.
class TileSpans {
 public:
  // Fails as a launch does, and if the kernel's elements depend on each other.
  TileSpans(const LoopKernel& kernel, const Program& program);
  TileSpans(TileSpans&&) noexcept;
  ~TileSpans();

  // Readies the calling thread, whose next run()s take the bytes from `addresses`.
  void begin(std::byte* const* addresses) const;

  // Some elements of the domain. `addresses` are those of begin(); the entry of the piece's buffer is changed.
  void run(const Extent& extent, std::byte** addresses, const Piece& piece) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The vector target that new launches use: "AVX3+BF16", "AVX3", "AVX2" or Highway's name for plain C++.
std::string tile_target();

// All that this processor can run, best first; and the choice of one of them, for tests. Fails on any other name.
std::vector<std::string> tile_targets();
void set_tile_target(const std::string& name);

// Launches made from now on are divided among threads if they cost at least so many vector operations (of 16 lanes);
// what a parallel region is worth is the default. For tests, which divide small ones.
constexpr double default_parallel_cost = 4000;
void set_tile_parallel_cost(double vectors);

}  // namespace descent::cpu
