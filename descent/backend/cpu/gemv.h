// A row times a matrix: y = x B. Nothing of B is used twice, so it is read once, from where it lies, and the
// processor's memory is what bounds it. (Packing panels first, as gemm.h does, would read it and write it.)
#pragma once

#include "descent/backend/cpu/gemm.h"

namespace descent::cpu::gemv {

struct Problem {
  int64_t n = 0, k = 0;
  bool bf16 = false;             // x and B; else f32
  const std::byte* x = nullptr;  // k elements in a row
  gemm::Matrix b;                // k x n, rows or columns contiguous
  std::byte* y = nullptr;        // n elements in a row
  bool y_bf16 = false;           // else f32
  const float* bias = nullptr;   // n, or none
  bool relu = false;
};

// What one instruction set offers. `sums` has room for scratch_floats() and is the calling thread's.
struct Kernels {
  const char* name;
  // Makes the columns from `begin` to `end`. Each column's sum is added in one order, however the columns are shared
  // out.
  void (*multiply)(const Problem&, int64_t begin, int64_t end, float* sums);

  // Where rows of B are contiguous: sums over the rows from `row_begin` to `row_end` alone, of all columns, so that one
  // thread reads memory from end to end; and the columns from the sums of several such parts, `pitch` floats apart.
  void (*add_part)(const Problem&, int64_t row_begin, int64_t row_end, float* sums);
  void (*join_parts)(const Problem&, int64_t begin, int64_t end, float* parts, int64_t pitch, int64_t count);
};
inline int64_t scratch_floats(const Problem& p) { return (p.n + p.k + 128 + 15) / 16 * 16; }

// Null where the processor lacks the instructions.
const Kernels* avx512();

}  // namespace descent::cpu::gemv
