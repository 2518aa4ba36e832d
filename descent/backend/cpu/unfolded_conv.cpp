// The gradient of a convolution's weights as a matrix product: the windows of the images laid out as rows, times the
// gradient of the result. For shapes whose own kernel is broken.
#include <algorithm>
#include <array>
#include <cstring>

#include "descent/backend/cpu/conv.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"

namespace descent::cpu {

namespace {

constexpr int64_t part_bytes = 8 << 20;  // of rows laid out at a time

// The batch goes part by part, as many examples at a time as the shape says: no sum depends on the number of threads.
class UnfoldedConv : public Call {
 public:
  explicit UnfoldedConv(const ConvProblem& problem) : p_(problem), bytes_(static_cast<int64_t>(size_of(problem.x.dtype))) {
    const ConvShape& s = p_.shape;
    taps_ = product_of(s.windows.size);
    elements_.assign(static_cast<size_t>(s.places * taps_), -1);
    for_each_tap(s.windows, [&](int64_t place, int64_t element, int64_t tap) {
      elements_[static_cast<size_t>(place * taps_ + tap)] = static_cast<int32_t>(element);
    });
    row_ = taps_ * s.inputs;
    part_ = std::clamp<int64_t>(part_bytes / (s.places * row_ * bytes_), 1, s.examples);
    whole_ = product(part_);
    if (s.examples % part_ != 0) rest_ = product(s.examples % part_);
    rows_ = allocate_bytes(static_cast<size_t>(part_ * s.places * row_ * bytes_));
    sums_.resize(static_cast<size_t>(row_ * s.outputs));
    more_.resize(sums_.size());
  }

  void run(std::byte* const* addresses) override {
    const ConvShape& s = p_.shape;
    const std::byte* x = address_of(p_.x, addresses);
    std::byte* g = address_of(p_.y, addresses);
    for (int64_t begin = 0; begin < s.examples; begin += part_) {
      const int64_t count = std::min(part_, s.examples - begin);
      unfold(x + begin * s.elements * s.inputs * bytes_, count);
      std::vector<float>& to = begin == 0 ? sums_ : more_;
      const std::array<std::byte*, 3> operands{rows_.get(), g + begin * s.places * s.outputs * bytes_,
                                               reinterpret_cast<std::byte*>(to.data())};
      (count == part_ ? whole_ : rest_)->run(operands.data());
      if (begin > 0) std::ranges::transform(sums_, more_, sums_.begin(), std::plus<>{});
    }
    give(address_of(p_.weights, addresses));
  }
  std::string kernel() const override { return text("unfolded, ", whole_->kernel()); }

  Scratch scratch() const override { return rest_ ? larger(whole_->scratch(), rest_->scratch()) : whole_->scratch(); }
  void use_scratch(std::byte* memory, size_t bytes) override {
    whole_->use_scratch(memory, bytes);
    if (rest_) rest_->use_scratch(memory, bytes);
  }

 private:
  std::unique_ptr<Call> product(int64_t examples) const {
    const int64_t rows = examples * p_.shape.places, outputs = p_.shape.outputs;
    return make_matmul(CallStep{"matmul",
                        {{"to", DType::f32}},
                        {{0, p_.x.dtype, 0, {row_, rows}, {1, row_}}, {1, p_.y.dtype, 0, {rows, outputs}, {outputs, 1}}},
                        {{2, DType::f32, 0, {row_, outputs}, {outputs, 1}}}}, Program{});
  }

  // One row a place: the elements of its window, zeros outside the image.
  void unfold(const std::byte* x, int64_t examples) {
    const ConvShape& s = p_.shape;
    const auto each = static_cast<size_t>(s.inputs * bytes_);
    const int64_t count = examples * s.places;
    run_together(thread_count(), [&](Share share) {
      for (int64_t row = count * share.part / share.parts; row < count * (share.part + 1) / share.parts; ++row) {
        const std::byte* image = x + row / s.places * s.elements * s.inputs * bytes_;
        std::byte* to = rows_.get() + row * row_ * bytes_;
        for (int64_t tap = 0; tap < taps_; ++tap, to += each) {
          const int32_t element = elements_[static_cast<size_t>(row % s.places * taps_ + tap)];
          if (element < 0) std::memset(to, 0, each);
          else std::memcpy(to, image + element * s.inputs * bytes_, each);
        }
      }
    });
  }

  void give(std::byte* to) const {
    if (p_.weights.dtype == DType::f32) {
      std::memcpy(to, sums_.data(), sums_.size() * sizeof(float));
      return;
    }
    for (size_t i = 0; i < sums_.size(); ++i) reinterpret_cast<uint16_t*>(to)[i] = bf16_from_float(sums_[i]);
  }

  ConvProblem p_;
  int64_t bytes_, taps_ = 0, row_ = 0, part_ = 1;
  std::vector<int32_t> elements_;  // by place and tap; -1: outside
  std::unique_ptr<Call> whole_, rest_;
  std::shared_ptr<std::byte[]> rows_;
  std::vector<float> sums_, more_;
};

}  // namespace

std::unique_ptr<Call> make_unfolded_conv(const ConvProblem& problem) {
  if (problem.kind != ConvKind::weight_gradient || problem.shape.groups != 1) return nullptr;
  return std::make_unique<UnfoldedConv>(problem);
}

}  // namespace descent::cpu
