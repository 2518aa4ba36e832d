// The benchmark of generation: how fast a transformer of ten million weights goes on with a text.
#pragma once

#include <string>
#include <vector>

#include "descent/check/roofline.h"
#include "descent/tasks/generate.h"

namespace descent::cli {

struct GenerationBench {
  std::string name;       // "generate/decoder-10m/bf16"
  std::string precision;  // "bf16"
};

std::vector<GenerationBench> generation_benches();

// One text at a time, and beside it how fast so many bytes are read from memory.
struct GenerationResult {
  tasks::GenerationSpeed speed;
  check::Measurement memory;  // GB/s
  double share() const { return speed.tokens_per_second * speed.bytes_per_token / (memory.best * 1e9); }
};
GenerationResult measure(const GenerationBench& bench, double seconds);

}  // namespace descent::cli
