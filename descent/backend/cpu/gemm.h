// Our own matrix product for processors without matrix tiles: C = activation(A B + bias).
//
// oneDNN reaches the same share of the peak on these processors (bench/README.md), but allocates in every call and
// wants weights packed beforehand; here a step allocates nothing, and each thread packs what it is about to use.
#pragma once

#include <cstddef>
#include <cstdint>

namespace descent::cpu::gemm {

// Everything is counted in units of 32 bits: one f32, or two bf16 that are neighbours along k. So one kernel serves
// both, with a fused multiply-add or a bf16 dot product as its only difference.

// How A (m x k) or B (k x n) lies in memory, in elements.
struct Matrix {
  const std::byte* data = nullptr;
  int64_t row_stride = 0, column_stride = 0;  // one of them is 1
};

struct Problem {
  int64_t m = 0, n = 0, k = 0;
  bool bf16 = false;      // A and B; else f32
  Matrix a, b;
  std::byte* c = nullptr;  // m x n, row-major, ldc elements apart
  int64_t ldc = 0;
  bool c_bf16 = false;    // else f32
  const float* bias = nullptr;  // n, or none
  bool relu = false;
};

// What one instruction set offers. `scratch` is the calling thread's (its own part of the work), `shared` everybody's.
struct Kernels {
  const char* name;
  int64_t (*panel)(const Problem&);  // columns of a packed panel of B
  int64_t (*tiles)(const Problem&);  // tiles of rows

  // Bytes for the shared copy of A (0: A is read as it lies) and for one thread's packed panel.
  size_t (*shared_bytes)(const Problem&);
  size_t (*scratch_bytes)(const Problem&);

  // Makes part `part` of `parts` of the shared copy of A.
  void (*share_a)(const Problem&, std::byte* shared, int64_t part, int64_t parts);

  // Computes some tiles of the columns of some panels.
  void (*compute)(const Problem&, const std::byte* shared, std::byte* scratch, int64_t tile_begin, int64_t tile_end,
                  int64_t panel_begin, int64_t panel_end);
};

// Null where the processor lacks the instructions.
const Kernels* avx512_f32();
const Kernels* avx512_bf16();
const Kernels* avx2_f32();

}  // namespace descent::cpu::gemm
