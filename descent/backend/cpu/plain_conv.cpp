// Convolutions as loops: for the shapes that no library kernel takes. The innermost loop runs over the channels of the
// result, which lie side by side. No sum depends on the number of threads.
#include <algorithm>
#include <bit>

#include "descent/backend/cpu/conv.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"

namespace descent::cpu {

namespace {

struct Tap {
  int32_t place, element, tap;
};

float load(float x) { return x; }
float load(uint16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }
void store(float x, float& to) { to = x; }
void store(float x, uint16_t& to) { to = bf16_from_float(x); }

// In: how the operands are stored; Out: the result (bf16 is stored as uint16_t).
template <class In, class Out>
class PlainConv : public Call {
 public:
  explicit PlainConv(const ConvProblem& problem) : p_(problem), s_(problem.shape) {
    for_each_tap(s_.windows, [&](int64_t place, int64_t element, int64_t tap) {
      taps_.push_back({static_cast<int32_t>(place), static_cast<int32_t>(element), static_cast<int32_t>(tap)});
    });
    switch (p_.kind) {
      case ConvKind::forward: jobs_ = s_.examples; scratch_ = s_.places * results(); break;
      case ConvKind::input_gradient: jobs_ = s_.examples; scratch_ = s_.elements * channels(); break;
      case ConvKind::weight_gradient: jobs_ = channels(); scratch_ = window() * s_.outputs; break;
    }
    threads_ = static_cast<int>(std::min<int64_t>(thread_count(), jobs_));
    sums_.resize(static_cast<size_t>(threads_));
    for (std::vector<float>& sums : sums_) sums.resize(static_cast<size_t>(scratch_));
  }

  void run(std::byte* const* addresses) override {
    run_together(threads_, [&](Share share) {
      std::vector<float>& sums = sums_[static_cast<size_t>(share.part)];
      for (int64_t job = jobs_ * share.part / share.parts; job < jobs_ * (share.part + 1) / share.parts; ++job) {
        std::ranges::fill(sums, 0.0F);
        run_job(job, sums.data(), addresses);
      }
    });
  }
  std::string kernel() const override { return "plain loops"; }

 private:
  int64_t channels() const { return s_.groups * s_.inputs; }
  int64_t results() const { return s_.groups * s_.outputs; }
  int64_t window() const { return product_of(s_.windows.size); }

  template <class T>
  static T* at(const View& view, std::byte* const* addresses) {
    return reinterpret_cast<T*>(address_of(view, addresses));
  }

  void run_job(int64_t job, float* sums, std::byte* const* addresses) const {
    if (p_.kind == ConvKind::forward) return forward(job, sums, addresses);
    p_.kind == ConvKind::input_gradient ? input_gradient(job, sums, addresses) : weight_gradient(job, sums, addresses);
  }

  // The result of one image.
  void forward(int64_t n, float* sums, std::byte* const* addresses) const {
    const In *x = at<const In>(p_.x, addresses) + n * s_.elements * channels(), *weights = at<const In>(p_.weights, addresses);
    for (const Tap& tap : taps_)
      for (int64_t c = 0; c < channels(); ++c) {
        const float value = load(x[tap.element * channels() + c]);
        const int64_t group = c / s_.inputs, row = (tap.tap * s_.inputs + c % s_.inputs) * results() + group * s_.outputs;
        float* to = sums + tap.place * results() + group * s_.outputs;
        for (int64_t k = 0; k < s_.outputs; ++k) to[k] += value * load(weights[row + k]);
      }
    store_all(sums, at<Out>(p_.y, addresses) + n * scratch_);
  }

  // The gradient of one image.
  void input_gradient(int64_t n, float* sums, std::byte* const* addresses) const {
    const In *g = at<const In>(p_.y, addresses) + n * s_.places * results(), *weights = at<const In>(p_.weights, addresses);
    for (const Tap& tap : taps_)
      for (int64_t c = 0; c < channels(); ++c) {
        const int64_t group = c / s_.inputs, row = (tap.tap * s_.inputs + c % s_.inputs) * results() + group * s_.outputs;
        const In* from = g + tap.place * results() + group * s_.outputs;
        float sum = 0;
        for (int64_t k = 0; k < s_.outputs; ++k) sum += load(from[k]) * load(weights[row + k]);
        sums[tap.element * channels() + c] += sum;
      }
    store_all(sums, at<Out>(p_.x, addresses) + n * scratch_);
  }

  // The gradient of one channel's weights.
  void weight_gradient(int64_t c, float* sums, std::byte* const* addresses) const {
    const In *x = at<const In>(p_.x, addresses) + c, *g = at<const In>(p_.y, addresses);
    const int64_t group = c / s_.inputs;
    for (int64_t n = 0; n < s_.examples; ++n)
      for (const Tap& tap : taps_) {
        const float value = load(x[(n * s_.elements + tap.element) * channels()]);
        const In* from = g + (n * s_.places + tap.place) * results() + group * s_.outputs;
        for (int64_t k = 0; k < s_.outputs; ++k) sums[tap.tap * s_.outputs + k] += value * load(from[k]);
      }
    Out* to = at<Out>(p_.weights, addresses) + (c % s_.inputs) * results() + group * s_.outputs;
    for (int64_t t = 0; t < window(); ++t)
      for (int64_t k = 0; k < s_.outputs; ++k) store(sums[t * s_.outputs + k], to[t * s_.inputs * results() + k]);
  }

  void store_all(const float* sums, Out* to) const {
    for (int64_t i = 0; i < scratch_; ++i) store(sums[i], to[i]);
  }

  ConvProblem p_;
  ConvShape s_;
  std::vector<Tap> taps_;
  int64_t jobs_ = 0, scratch_ = 0;
  int threads_ = 1;
  std::vector<std::vector<float>> sums_;
};

template <class In>
std::unique_ptr<Call> make_for(const ConvProblem& problem) {
  if (problem.out().dtype == DType::f32) return std::make_unique<PlainConv<In, float>>(problem);
  return std::make_unique<PlainConv<In, uint16_t>>(problem);
}

}  // namespace

std::unique_ptr<Call> make_plain_conv(const ConvProblem& problem) {
  const DType dtype = problem.kind == ConvKind::forward ? problem.x.dtype : problem.y.dtype;
  return dtype == DType::f32 ? make_for<float>(problem) : make_for<uint16_t>(problem);
}

}  // namespace descent::cpu
