#include "descent/backend/cpu/gemm.h"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <vector>

#include "descent/base/team.h"
#include "descent/base/threads.h"

namespace descent::cpu::gemm {

const Kernels* best_kernels(bool bf16) {
  const auto first = [](std::initializer_list<const Kernels*> best_first) -> const Kernels* {
    const auto found = std::ranges::find_if(best_first, [](const Kernels* kernels) { return kernels != nullptr; });
    return found == best_first.end() ? nullptr : *found;
  };
  return bf16 ? first({amx_bf16(), avx512_bf16()}) : first({avx512_f32(), avx2_f32()});
}

double measure_peak(const Kernels& kernels, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  constexpr int64_t rounds = 20000;
  double best = 0;
  for (const Clock::time_point begin = Clock::now(); best == 0 || since(begin) < seconds;) {
    std::vector<double> done(static_cast<size_t>(thread_count()), 0);
    const Clock::time_point start = Clock::now();
    run_together(thread_count(), [&](Share share) { done[static_cast<size_t>(share.part)] = kernels.exercise(rounds); });
    double all = 0;
    for (const double part : done) all += part;
    best = std::max(best, all / since(start));
  }
  return best;
}

}  // namespace descent::cpu::gemm
