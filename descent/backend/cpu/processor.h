// What this processor can do.
#pragma once

#include <string>

namespace descent::cpu {

struct Processor {
  std::string model;
  bool avx2 = false, avx512 = false;
  bool avx512_bf16 = false;  // vdpbf16ps: bf16 products at up to twice the rate of f32
  bool amx_bf16 = false;     // matrix tiles: up to 16 times
};

// What there is, or less of it: the environment variable DESCENT_CPU (baseline, avx2, avx512 or avx512_bf16) hides what
// is beyond it, so that one machine can show how Descent runs on others. Fails if it is another word.
const Processor& processor();
std::string processor_text();  // one line: model, vector and matrix units, tile target, threads

}  // namespace descent::cpu
