#include "descent/backend/cpu/matmul.h"

#include <algorithm>

#include "descent/backend/cpu/gemm.h"
#include "descent/backend/cpu/processor.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"

namespace descent::cpu {

namespace {

// A product with no elements, or over nothing: what is left of it is the bias.
class EmptyMatmul : public Call {
 public:
  explicit EmptyMatmul(const CallStep& step) : step_(step) {}
  void run(std::byte* const* addresses) override {
    const View& out = step_.writes[0];
    std::byte* to = address_of(out, addresses);
    std::fill(to, to + out.elements() * static_cast<int64_t>(size_of(out.dtype)), std::byte{0});
    if (step_.reads.size() < 3 || out.dtype != DType::f32) return;
    const auto* bias = reinterpret_cast<const float*>(address_of(step_.reads[2], addresses));
    const bool relu = step_.attrs.string("activation") == "relu";
    for (int64_t i = 0; i < out.elements(); ++i)
      reinterpret_cast<float*>(to)[i] = relu ? std::max(0.0f, bias[i % out.sizes.back()]) : bias[i % out.sizes.back()];
  }
  std::string kernel() const override { return "empty"; }

 private:
  CallStep step_;
};

bool is_multiplied_here(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

bool is_empty(const CallStep& step) { return step.reads[0].elements() == 0 || step.reads[1].elements() == 0; }

gemm::Matrix last_two(const View& view) {
  const size_t rank = view.sizes.size();
  gemm::Matrix out{nullptr, view.strides[rank - 2], view.strides[rank - 1]};
  // An axis of size 1 may have any stride: give it one that makes the matrix plain.
  if (view.sizes[rank - 1] == 1 && out.row_stride != 1) out.column_stride = 1;
  if (view.sizes[rank - 2] == 1 && out.column_stride != 1) out.row_stride = 1;
  return out;
}

// Our own kernels: one parallel region, over panels of columns where there are enough, else over rows; a batch of
// small products is shared out whole.
class GemmMatmul : public Call {
 public:
  GemmMatmul(const CallStep& step, const gemm::Kernels& kernels) : kernels_(kernels), a_(step.reads[0]), b_(step.reads[1]), c_(step.writes[0]) {
    const size_t rank = a_.sizes.size();
    problem_.m = a_.sizes[rank - 2];
    problem_.k = a_.sizes[rank - 1];
    problem_.n = b_.sizes[rank - 1];
    problem_.bf16 = a_.dtype == DType::bf16;
    problem_.a = last_two(a_);
    problem_.b = last_two(b_);
    problem_.ldc = problem_.n;
    problem_.c_bf16 = c_.dtype == DType::bf16;
    problem_.relu = step.what == "fused_matmul" && step.attrs.string("activation") == "relu";
    if (step.reads.size() == 3) bias_ = &(bias_view_ = step.reads[2]);
    for (size_t axis = 0; axis + 2 < rank; ++axis) batch_ *= a_.sizes[axis];
    plan(thread_count());
  }

  void run(std::byte* const* addresses) override {
    const float* bias = bias_ ? reinterpret_cast<const float*>(address_of(*bias_, addresses)) : nullptr;
    run_together(threads_, [&](Share share) { run_part(addresses, bias, share); });
  }
  std::string kernel() const override { return kernels_.name; }

 private:
  void plan(int threads) {
    const double work = 2.0 * static_cast<double>(problem_.m * problem_.n) * static_cast<double>(problem_.k) * static_cast<double>(batch_);
    constexpr double worth_a_thread = 1e5;  // below ~1 us of work a second thread costs more than it brings
    threads_ = static_cast<int>(std::clamp(work / worth_a_thread, 1.0, static_cast<double>(threads)));
    whole_ = batch_ > 1;
    panels_ = (problem_.n + kernels_.panel(problem_) - 1) / kernels_.panel(problem_);
    tiles_ = kernels_.tiles(problem_);
    by_panels_ = panels_ % threads_ == 0 || panels_ >= 4 * threads_;
    shared_bytes_ = (kernels_.shared_bytes(problem_) + 63) / 64 * 64;
    scratch_bytes_ = (kernels_.scratch_bytes(problem_) + 63) / 64 * 64;
    const size_t shares = whole_ ? static_cast<size_t>(threads_) : 1;
    memory_ = allocate_bytes(shares * shared_bytes_ + static_cast<size_t>(threads_) * scratch_bytes_);
    scratch_ = memory_.get() + shares * shared_bytes_;
  }

  // The address of the matrix number `index` of a batch.
  static std::byte* at(const View& view, std::byte* const* addresses, int64_t index) {
    int64_t offset = 0;
    for (size_t axis = view.sizes.size() - 2; axis-- > 0;) {
      offset += index % view.sizes[axis] * view.strides[axis];
      index /= view.sizes[axis];
    }
    return address_of(view, addresses) + offset * static_cast<int64_t>(size_of(view.dtype));
  }

  gemm::Problem problem_at(std::byte* const* addresses, const float* bias, int64_t index) const {
    gemm::Problem p = problem_;
    p.a.data = at(a_, addresses, index);
    p.b.data = at(b_, addresses, index);
    p.c = at(c_, addresses, index);
    p.bias = bias;
    return p;
  }

  void run_part(std::byte* const* addresses, const float* bias, Share share) {
    const auto [part, parts] = share;
    std::byte* scratch = scratch_ + static_cast<size_t>(part) * scratch_bytes_;
    if (whole_) {
      std::byte* shared = memory_.get() + static_cast<size_t>(part) * shared_bytes_;
      for (int64_t i = batch_ * part / parts; i < batch_ * (part + 1) / parts; ++i) {
        const gemm::Problem p = problem_at(addresses, bias, i);
        if (shared_bytes_ != 0) kernels_.share_a(p, shared, 0, 1);
        kernels_.compute(p, shared, scratch, 0, tiles_, 0, panels_);
      }
      return;
    }
    const gemm::Problem p = problem_at(addresses, bias, 0);
    if (shared_bytes_ != 0) {
      kernels_.share_a(p, memory_.get(), part, parts);
      team::barrier(share);
    }
    if (by_panels_) kernels_.compute(p, memory_.get(), scratch, 0, tiles_, panels_ * part / parts, panels_ * (part + 1) / parts);
    else kernels_.compute(p, memory_.get(), scratch, tiles_ * part / parts, tiles_ * (part + 1) / parts, 0, panels_);
  }

  const gemm::Kernels& kernels_;
  View a_, b_, c_, bias_view_;
  const View* bias_ = nullptr;
  gemm::Problem problem_;
  int64_t batch_ = 1, panels_ = 1, tiles_ = 1;
  int threads_ = 1;
  bool whole_ = false, by_panels_ = true;
  size_t shared_bytes_ = 0, scratch_bytes_ = 0;
  std::shared_ptr<std::byte[]> memory_;
  std::byte* scratch_ = nullptr;
};

// Ours, unless the processor has matrix tiles (there oneDNN's are several times faster) or lacks the vectors.
const gemm::Kernels* own_kernels(const CallStep& step) {
  if (step.reads[0].dtype == DType::bf16) return processor().amx_bf16 ? nullptr : gemm::avx512_bf16();
  if (step.reads[0].dtype != DType::f32) return nullptr;
  const gemm::Kernels* widest = gemm::avx512_f32();
  return widest ? widest : gemm::avx2_f32();
}

}  // namespace

std::unique_ptr<Call> make_matmul(const CallStep& step) {
  if (!is_multiplied_here(step.reads[0].dtype)) fail(text("matrix products on the CPU take f32 or bf16, not ", step.reads[0].dtype));
  if (is_empty(step)) return std::make_unique<EmptyMatmul>(step);
  if (const gemm::Kernels* own = own_kernels(step)) return std::make_unique<GemmMatmul>(step, *own);
  return make_onednn_matmul(step);
}

}  // namespace descent::cpu
