// Products with one row on the left, as calls.
#include "descent/backend/cpu/gemv.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "descent/backend/cpu/matmul.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"

namespace descent::cpu {

namespace {

// Where the leading axes of a view put matrix number `index`, in elements.
int64_t offset_of(const View& view, int64_t index) {
  int64_t offset = 0;
  for (size_t axis = view.sizes.size() - 2; axis-- > 0;) {
    offset += index % view.sizes[axis] * view.strides[axis];
    index /= view.sizes[axis];
  }
  return offset;
}

// The columns of all products, in blocks that threads share out.
class GemvMatmul : public Call {
 public:
  GemvMatmul(const CallStep& step, const gemv::Kernels& kernels)
      : kernels_(kernels), x_(step.reads[0]), b_(step.reads[1]), y_(step.writes[0]) {
    const size_t rank = b_.sizes.size();
    problem_.k = b_.sizes[rank - 2];
    problem_.n = b_.sizes[rank - 1];
    problem_.bf16 = x_.dtype == DType::bf16;
    problem_.b = {nullptr, b_.strides[rank - 2], b_.strides[rank - 1]};
    if (problem_.n == 1) problem_.b.column_stride = problem_.b.row_stride == 1 ? problem_.k : 1;
    problem_.y_bf16 = y_.dtype == DType::bf16;
    problem_.relu = step.what == "fused_matmul" && step.attrs.string("activation") == "relu";
    if (step.reads.size() == 3) bias_ = step.reads[2];
    int64_t batch = 1;
    for (size_t axis = 0; axis + 2 < rank; ++axis) batch *= b_.sizes[axis];
    for (int64_t i = 0; i < batch; ++i) offsets_.push_back({offset_of(x_, i), offset_of(b_, i), offset_of(y_, i)});
    blocks_ = (problem_.n + block - 1) / block;
    const double bytes = static_cast<double>(batch * problem_.k) * static_cast<double>(problem_.n * size());
    constexpr double worth_a_thread = 40e3;  // below ~1 us of reading a second thread costs more than it brings
    threads_ = static_cast<int>(std::clamp(bytes / worth_a_thread, 1.0, static_cast<double>(thread_count())));
    scratch_ = (static_cast<size_t>(gemv::scratch_floats(problem_)) * sizeof(float) + 63) / 64 * 64;
    in_parts_ = batch == 1 && problem_.b.column_stride == 1 && problem_.k >= 2 * parts * rows_at_least &&
                bytes >= 4 * worth_a_thread;
    memory_ = allocate_bytes(scratch_ * static_cast<size_t>(in_parts_ ? std::max(threads_, parts) : threads_));
  }

  void run(std::byte* const* addresses) override {
    run_together(threads_, [&](Share share) { in_parts_ ? run_rows(addresses, share) : run_part(addresses, share); });
  }
  std::string kernel() const override { return kernels_.name; }

 private:
  static constexpr int64_t block = 64;  // columns
  // A large matrix's rows are read in so many parts, always, so that no sum depends on the number of threads.
  static constexpr int parts = 4;
  static constexpr int64_t rows_at_least = 16;
  struct Offsets {
    int64_t x, b, y;
  };

  int64_t size() const { return static_cast<int64_t>(size_of(b_.dtype)); }

  void run_part(std::byte* const* addresses, Share share) const {
    const int64_t all = blocks_ * std::ssize(offsets_);
    auto* sums = reinterpret_cast<float*>(memory_.get() + static_cast<size_t>(share.part) * scratch_);
    for (int64_t at = all * share.part / share.parts, end = all * (share.part + 1) / share.parts; at < end;) {
      const int64_t matrix = at / blocks_, first = at % blocks_, count = std::min(blocks_ - first, end - at);
      const gemv::Problem p = problem_at(addresses, offsets_[static_cast<size_t>(matrix)]);
      kernels_.multiply(p, first * block, std::min((first + count) * block, p.n), sums);
      at += count;
    }
  }

  // Parts of the rows, then blocks of the columns.
  void run_rows(std::byte* const* addresses, Share share) const {
    const gemv::Problem p = problem_at(addresses, offsets_[0]);
    auto* sums = reinterpret_cast<float*>(memory_.get());
    const auto pitch = static_cast<int64_t>(scratch_ / sizeof(float));
    for (int part = parts * share.part / share.parts; part < parts * (share.part + 1) / share.parts; ++part)
      kernels_.add_part(p, p.k * part / parts, p.k * (part + 1) / parts, sums + part * pitch);
    team::barrier(share);
    const int64_t first = blocks_ * share.part / share.parts, end = blocks_ * (share.part + 1) / share.parts;
    kernels_.join_parts(p, first * block, std::min(end * block, p.n), sums, pitch, parts);
  }

  gemv::Problem problem_at(std::byte* const* addresses, const Offsets& offsets) const {
    gemv::Problem p = problem_;
    p.x = address_of(x_, addresses) + offsets.x * size();
    p.b.data = address_of(b_, addresses) + offsets.b * size();
    p.y = address_of(y_, addresses) + offsets.y * static_cast<int64_t>(size_of(y_.dtype));
    if (bias_) p.bias = reinterpret_cast<const float*>(address_of(*bias_, addresses));
    return p;
  }

  const gemv::Kernels& kernels_;
  View x_, b_, y_;
  std::optional<View> bias_;
  gemv::Problem problem_;
  std::vector<Offsets> offsets_;  // of each product of a batch
  int64_t blocks_ = 1;
  int threads_ = 1;
  bool in_parts_ = false;
  size_t scratch_ = 0;
  std::shared_ptr<std::byte[]> memory_;
};

// Whether an axis goes element by element; one of size 1 does, whatever its stride.
bool contiguous(const View& view, size_t from_last) {
  const size_t axis = view.sizes.size() - from_last;
  return view.sizes[axis] == 1 || view.strides[axis] == 1;
}

}  // namespace

std::unique_ptr<Call> make_gemv(const CallStep& step) {
  const View &x = step.reads[0], &b = step.reads[1], &y = step.writes[0];
  const gemv::Kernels* kernels = gemv::avx512();
  if (kernels == nullptr || x.sizes[x.sizes.size() - 2] != 1 || x.dtype != b.dtype) return nullptr;
  const bool plain_b = b.strides.back() == 1 || b.strides[b.strides.size() - 2] == 1 || b.sizes.back() == 1;
  if (!contiguous(x, 1) || !contiguous(y, 1) || !plain_b) return nullptr;
  return std::make_unique<GemvMatmul>(step, *kernels);
}

}  // namespace descent::cpu
