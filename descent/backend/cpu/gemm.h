// Our own matrix product: C = activation(A B + bias).
//
// oneDNN reaches the same share of the peak on processors without matrix tiles, and less with them (bench/README.md),
// but allocates in every call and wants weights packed beforehand; here a step allocates nothing, and each thread packs
// what it is about to use.
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

  // Where C is bf16, and kernels `go_on`, arrays of bf16 that lie as C does: by these the sums are multiplied; or C is
  // the gelu of the sums, and this becomes its slope, in the caches or past them.
  const std::byte* factors = nullptr;
  std::byte* slopes = nullptr;
  bool slopes_pass_caches = false;

  // Products in parts along k, by kernels that `go_on`: the sums so far, as C lies in whole tiles and panels, are begun
  // with; and if C is `roomy`, it has room for whole tiles and panels, all of which are written.
  const float* before = nullptr;
  int64_t before_pitch = 0;
  bool roomy = false;

  // A's rows are multiplied from where they lie: they must be contiguous, m whole tiles, and k whole units of the kernels.
  bool a_in_place = false;
  bool more_rows = false;  // ... and others follow that will be multiplied next
};

// What one instruction set offers. C is made of tiles of rows times panels of columns.
struct Kernels {
  const char* name;
  bool go_on;                                        // takes sums that another product has begun, and A in place
  int64_t (*panel)(const Problem&);                  // columns of a panel of B
  int64_t (*tiles)(const Problem&);                  // tiles of rows
  int64_t (*tile_row)(const Problem&, int64_t tile);  // the first row of a tile; of tile number tiles(): m

  // A copy of A that all threads share (no bytes: A is read as it lies), made part by part.
  size_t (*shared_bytes)(const Problem&);
  void (*share_a)(const Problem&, std::byte* shared, int64_t part, int64_t parts);

  // Copies `count` neighbouring panels of B, `panel_bytes` each, to where one thread will read them.
  size_t (*panel_bytes)(const Problem&);
  void (*pack)(const Problem&, int64_t panel, int64_t count, std::byte* to);

  // Computes some tiles of the columns of packed panels, the first of which is number `panel`. `scratch` is the calling
  // thread's. Packed panels, `shared` and `scratch` are aligned to 64 bytes.
  size_t (*scratch_bytes)(const Problem&);
  void (*multiply)(const Problem&, const std::byte* shared, const std::byte* panels, std::byte* scratch, int64_t tile_begin,
                   int64_t tile_end, int64_t panel, int64_t count);

  // Multiplies registers `rounds` times and says how many floating-point operations that were.
  double (*exercise)(int64_t rounds);
};

// The best that the processor offers for f32 or bf16; null if it lacks the vectors.
const Kernels* best_kernels(bool bf16);

// Floating-point operations a second of these kernels' unit on all threads, measured for about so many seconds.
double measure_peak(const Kernels& kernels, double seconds);

// Null where the processor lacks the instructions.
const Kernels* amx_bf16();
const Kernels* avx512_f32();
const Kernels* avx512_bf16();
const Kernels* avx2_f32();

}  // namespace descent::cpu::gemm
