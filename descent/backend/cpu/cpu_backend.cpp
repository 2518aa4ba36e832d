// The CPU as a backend: loop steps go to the tile machine, calls to their kernels.
#include <algorithm>
#include <chrono>

#include "descent/backend/cpu/attention.h"
#include "descent/backend/cpu/calls.h"
#include "descent/backend/cpu/gemm.h"
#include "descent/backend/cpu/processor.h"
#include "descent/backend/cpu/tile_machine.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"
#include "descent/runtime/backend.h"

namespace descent::cpu {

namespace {

// A step made ready: one of the two is set.
struct Work {
  std::unique_ptr<TileLaunch> loop;
  std::unique_ptr<Call> call;

  void run(std::byte* const* addresses) const { loop ? loop->run(addresses) : call->run(addresses); }
  std::string kernel() const { return call ? call->kernel() : loop->is_native() ? "native loop" : "loop"; }
};

class CpuExecutable : public Executable {
 public:
  CpuExecutable(const Program& program, bool profile)
      : arena_(allocate_bytes(static_cast<size_t>(program.arena_bytes))), addresses_(program.buffers.size()), profile_(profile) {
    for (BufferId id = 0; id < program.buffers.size(); ++id)
      if (program.buffers[id].role == BufferRole::temporary) addresses_[id] = arena_.get() + program.buffers[id].offset;
      else external_.push_back(id);
    for (const Step& step : program.steps) work_.push_back(prepare(step, program));
    share_panels(program);
    share_scratch();
    for (size_t i = 0; i < work_.size(); ++i) times_.push_back({program.steps[i].label, work_[i].kernel()});
  }

  void run(std::span<std::byte* const> addresses) override {
    const SubnormalsFlushed flushed;
    for (const BufferId id : external_) addresses_[id] = addresses[id];
    if (profile_) return run_profiled();
    for (const Work& work : work_) work.run(addresses_.data());
  }

  std::vector<StepTime> step_times() const override { return times_; }

 private:
  static Work prepare(const Step& step, const Program& program) {
    if (const auto* loop = std::get_if<LoopStep>(&step.work)) return {std::make_unique<TileLaunch>(*loop, program, thread_count()), nullptr};
    return {nullptr, make_call(std::get<CallStep>(step.work), program)};
  }

  // A product whose right operand an earlier one has packed, and nothing has written since, need not pack it again.
  void share_panels(const Program& program) {
    std::vector<std::pair<View, Call*>> packed;
    for (size_t i = 0; i < program.steps.size(); ++i) {
      const auto* step = std::get_if<CallStep>(&program.steps[i].work);
      if (step != nullptr && step->what.ends_with("matmul")) {
        Call& call = *work_[i].call;
        const auto known = std::ranges::find(packed, step->reads[1], &std::pair<View, Call*>::first);
        if (known == packed.end() || !call.takes_panels_of(*known->second)) packed.emplace_back(step->reads[1], &call);
      }
      for (const View& written : writes_of(program.steps[i]))
        std::erase_if(packed, [&](const auto& each) { return lies_in(program, each.first.buffer, written.buffer); });
    }
  }

  void share_scratch() {
    Scratch most;
    for (const Work& work : work_)
      if (work.call) most = larger(most, work.call->scratch());
    if (most.bytes == 0) return;
    scratch_ = allocate_bytes(most.bytes * static_cast<size_t>(most.threads));
    for (const Work& work : work_)
      if (work.call) work.call->use_scratch(scratch_.get(), most.bytes);
  }

  // Whether what is written may be in the buffer, which may share its place.
  static bool lies_in(const Program& program, BufferId buffer, BufferId written) {
    const Buffer &a = program.buffers[buffer], &b = program.buffers[written];
    if (a.role != b.role || a.role != BufferRole::temporary) return buffer == written;
    return a.offset < b.offset + b.type.bytes() && b.offset < a.offset + a.type.bytes();
  }

  void run_profiled() {
    using Clock = std::chrono::steady_clock;
    for (size_t i = 0; i < work_.size(); ++i) {
      const Clock::time_point begin = Clock::now();
      work_[i].run(addresses_.data());
      times_[i].seconds += std::chrono::duration<double>(Clock::now() - begin).count();
      ++times_[i].runs;
    }
  }

  std::shared_ptr<std::byte[]> arena_, scratch_;
  std::vector<std::byte*> addresses_;
  std::vector<BufferId> external_;
  std::vector<Work> work_;
  std::vector<StepTime> times_;
  bool profile_;
};

class CpuBackend : public Backend {
 public:
  std::string_view name() const override { return "cpu"; }
  bool fast_bf16() const override { return processor().avx512_bf16 || processor().amx_bf16; }
  bool runs_whole(const OpDef& op, std::span<const Type> inputs) const override { return runs_attention(op, inputs); }
  std::string describe() const override { return processor_text(); }
  double matrix_peak(DType dtype, double seconds) const override {
    const gemm::Kernels* kernels = gemm::best_kernels(dtype == DType::bf16);
    return kernels ? gemm::measure_peak(*kernels, seconds) : 0;
  }

  std::unique_ptr<Executable> compile(Program program, const ExecutableOptions& options) override {
    processor();  // decides what the tile machine may use
    return std::make_unique<CpuExecutable>(program, options.profile);
  }
};

CpuBackend cpu_backend;
[[maybe_unused]] const bool registered = (register_backend(cpu_backend), true);

}  // namespace

}  // namespace descent::cpu
