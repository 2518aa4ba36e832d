#include "descent/cli/bench_generation.h"

#include "descent/base/text.h"

namespace descent::cli {

std::vector<GenerationBench> generation_benches() {
  std::vector<GenerationBench> out;
  for (const char* precision : {"bf16", "f32"})
    if (std::string(precision) == "f32" || default_backend().fast_bf16())
      out.push_back({text("generate/decoder-10m/", precision), precision});
  return out;
}

GenerationResult measure(const GenerationBench& bench, double seconds) {
  const tasks::Run run = tasks::untrained_text_run(
      "net = { kind = \"decoder\", outputs = 256, layers = 6, heads = 6, width = 384, positions = \"rotary\", bias = "
      "false }",
      256, bench.precision);
  GenerationResult out;
  out.speed = tasks::measure_generation(run, seconds);
  out.memory = check::measure_read(static_cast<int64_t>(out.speed.bytes_per_token));
  return out;
}

}  // namespace descent::cli
