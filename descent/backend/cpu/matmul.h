// The ways a matrix product runs on the CPU.
#pragma once

#include <optional>

#include "descent/backend/cpu/calls.h"
#include "descent/backend/cpu/gemm.h"

namespace descent::cpu {

// What a product reads and writes, the same for each of a batch.
class MatmulOperands {
 public:
  // With `ends`, an epilogue that only multiplies the product by what is stored, or takes its gelu and slope, and rounds,
  // becomes part of the problem.
  explicit MatmulOperands(const CallStep& step, bool ends = false);

  const gemm::Problem& problem() const { return problem_; }  // without addresses
  const View& result() const { return c_; }
  int64_t batch() const { return batch_; }
  bool has_bias() const { return has_bias_; }
  bool has_factors() const { return factors_.has_value(); }
  bool has_slopes() const { return slopes_.has_value(); }

  // Number `index` of the batch. C has no address where the result is `passing`.
  gemm::Problem bound(std::byte* const* addresses, int64_t index) const;

 private:
  View a_, b_, c_, bias_;
  std::optional<View> factors_, slopes_;
  bool has_bias_, passing_;
  gemm::Problem problem_;
  int64_t batch_ = 1;
};

// Below about a microsecond of work a second thread costs more than it brings.
int useful_threads(const gemm::Problem& problem, int64_t batch);

std::unique_ptr<Call> make_onednn_matmul(const CallStep& step);                           // without its epilogue
std::unique_ptr<Call> make_widened_matmul(const CallStep& step, const Program& program);  // likewise
std::unique_ptr<Call> make_blocked_matmul(const CallStep& step, const Program& program, const gemm::Kernels& kernels);

// With one row on the left: B is read once, as it lies. Null where there are more rows, or no kernel for it.
std::unique_ptr<Call> make_gemv(const CallStep& step);

}  // namespace descent::cpu
