// Products of bf16 where the processor has none: operands are widened, and what is made of them in f32 is rounded. That
// is slower than f32 and nobody should want it, but a program made for bf16 runs everywhere.
#include <algorithm>
#include <bit>
#include <optional>

#include "descent/backend/cpu/matmul.h"
#include "descent/compile/view.h"
#include "descent/core/array.h"

namespace descent::cpu {

namespace {

// The elements of a view, axis by axis, one behind the other.
void widen(const View& view, const uint16_t* from, size_t axis, float*& to) {
  const int64_t size = view.sizes[axis], stride = view.strides[axis];
  for (int64_t i = 0; i < size; ++i, from += stride) {
    if (axis + 1 < view.sizes.size())
      widen(view, from, axis + 1, to);
    else
      *to++ = std::bit_cast<float>(uint32_t{*from} << 16);
  }
}

class WidenedMatmul : public Call {
 public:
  WidenedMatmul(const CallStep& step, const Program& program) : buffers_(buffers_of(step, program)) {
    CallStep wide = step;
    wide.epilogue = {};
    for (View& operand : wide.reads)
      if (operand.dtype == DType::bf16) operands_.push_back({operand, replace(operand)});
    if (step.writes[0].dtype == DType::bf16) result_ = Widened{step.writes[0], replace(wide.writes[0])};
    table_.resize(buffers_ + memory_.size());
    for (size_t i = 0; i < memory_.size(); ++i) table_[buffers_ + i] = memory_[i].get();
    product_ = make_matmul(wide, program);
  }

  void run(std::byte* const* addresses) override {
    std::copy_n(addresses, buffers_, table_.begin());
    for (const Widened& operand : operands_) {
      float* to = operand.to;
      widen(operand.from, reinterpret_cast<const uint16_t*>(address_of(operand.from, addresses)), 0, to);
    }
    product_->run(table_.data());
    if (!result_) return;
    auto* to = reinterpret_cast<uint16_t*>(address_of(result_->from, addresses));
    for (int64_t i = 0; i < result_->from.elements(); ++i) to[i] = bf16_from_float(result_->to[i]);
  }
  std::string kernel() const override { return product_->kernel() + ", widened"; }

  Scratch scratch() const override { return product_->scratch(); }
  void use_scratch(std::byte* memory, size_t bytes) override { product_->use_scratch(memory, bytes); }

 private:
  // A view of the program, and its elements in f32.
  struct Widened {
    View from;
    float* to;
  };

  // Those of the program, and of a step that stands alone.
  static size_t buffers_of(const CallStep& step, const Program& program) {
    size_t out = program.buffers.size();
    for (const std::vector<View>* views : {&step.reads, &step.writes})
      for (const View& view : *views) out = std::max(out, static_cast<size_t>(view.buffer) + 1);
    return out;
  }

  // Makes the view one of a new array in f32, which is numbered behind the program's own.
  float* replace(View& view) {
    const auto number = static_cast<BufferId>(buffers_ + memory_.size());
    memory_.push_back(allocate_bytes(static_cast<size_t>(view.elements()) * sizeof(float)));
    view = dense_view(number, {DType::f32, Shape(view.sizes)});
    return reinterpret_cast<float*>(memory_.back().get());
  }

  size_t buffers_;  // that have addresses
  std::vector<Widened> operands_;
  std::optional<Widened> result_;
  std::vector<std::shared_ptr<std::byte[]>> memory_;
  std::vector<std::byte*> table_;
  std::unique_ptr<Call> product_;
};

}  // namespace

std::unique_ptr<Call> make_widened_matmul(const CallStep& step, const Program& program) {
  return std::make_unique<WidenedMatmul>(step, program);
}

}  // namespace descent::cpu
