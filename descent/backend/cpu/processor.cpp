#include "descent/backend/cpu/processor.h"

#include <hwy/targets.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "descent/backend/cpu/tile_machine.h"
#include "descent/base/text.h"
#include "descent/base/threads.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace descent::cpu {

namespace {

std::string model_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

#if defined(__x86_64__)
// A process asks Linux for the tiles' state before it uses them (arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
bool allowed_tiles() {
  constexpr long request = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request, tile_data) == 0;
}
#endif

Processor detect() {
  Processor out;
  out.model = model_name();
#if defined(__x86_64__)
  __builtin_cpu_init();
  out.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  out.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) out.avx512_bf16 = out.avx512 && (a >> 5 & 1);
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) out.amx_bf16 = (d >> 22 & 1) && (d >> 24 & 1) && allowed_tiles();
#endif
  return out;
}

// DESCENT_CPU=LEVEL: as if the processor had no more than that. What Highway and oneDNN choose by themselves is held
// to it too.
struct Level {
  std::string_view name;
  const char* onednn;     // its name for the level
  int64_t highway_above;  // targets that are beyond it
};
constexpr int64_t avx512_targets = HWY_AVX3 | HWY_AVX3_DL, avx2_targets = avx512_targets | HWY_AVX2;
constexpr Level levels[] = {{"baseline", "SSE41", avx2_targets},
                            {"avx2", "AVX2", avx512_targets},
                            {"avx512", "AVX512_CORE_VNNI", 0},
                            {"avx512_bf16", "AVX512_CORE_BF16", 0}};

Processor limited(Processor out, std::string_view wanted) {
  const Level* const level = std::ranges::find(levels, wanted, &Level::name);
  if (level == std::end(levels))
    throw UsageError(
        text("DESCENT_CPU is '", wanted, "', but it can be baseline, avx2, avx512 or avx512_bf16; unset, it is all"));
  const int64_t rank = level - levels;
  out.avx2 &= rank >= 1;
  out.avx512 &= rank >= 2;
  out.avx512_bf16 &= rank >= 3;
  out.amx_bf16 = false;
  hwy::DisableTargets(level->highway_above);
  ::setenv("ONEDNN_MAX_CPU_ISA", level->onednn, 0);
  return out;
}

}  // namespace

const Processor& processor() {
  static const char* const wanted = std::getenv("DESCENT_CPU");
  static const Processor detected = wanted == nullptr ? detect() : limited(detect(), wanted);
  return detected;
}

std::string processor_text() {
  const Processor& p = processor();
  const char* vectors = p.avx512 ? "AVX-512" : p.avx2 ? "AVX2" : "baseline";
  const char* matrices = p.amx_bf16 ? "AMX bf16" : p.avx512_bf16 ? "AVX512-BF16" : "none";
  return text(p.model, ", vectors ", vectors, " (", tile_target(), "), bf16 products ", matrices, ", ", thread_count(), " threads");
}

}  // namespace descent::cpu
