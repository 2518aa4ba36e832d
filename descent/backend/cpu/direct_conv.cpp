// Convolutions whose windows hold few numbers, and the gradients of their weights. An image is copied into a frame of
// zeros, in f32, so that every window has all its numbers at the same distances; the result's channels are then made,
// or its gradient's read, where they lie. Laying such images out for matrix tiles costs several times the products.
#include "descent/backend/cpu/direct_conv.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "descent/backend/cpu/conv.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"

namespace descent::cpu {

namespace {

namespace direct = direct_conv;

constexpr int64_t most_bytes = 1 << 20;  // of a frame
constexpr int64_t most_parts = 4;        // of the images: their sums are made apart, whatever the number of threads

// One image among zeros: [rows, width, channels], so that no window hangs over.
class Frame {
 public:
  explicit Frame(const ConvShape& shape) : inputs_(shape.inputs) {
    const Windows& w = shape.windows;
    const int last = w.axes() - 1;
    const auto padded = [&](int axis) { return (w.out[axis] - 1) * w.stride[axis] + w.reach(axis); };
    const bool flat = w.axes() == 1;
    rows_ = flat ? 1 : padded(0);
    width_ = padded(last);
    top_ = flat ? 0 : w.low[0];
    left_ = w.low[last];
    image_rows_ = flat ? 1 : w.image[0];
    image_width_ = w.image[last];
    row_step_ = flat ? 0 : w.stride[0] * width_ * inputs_;
    step_ = w.stride[last] * inputs_;
    out_rows_ = flat ? 1 : w.out[0];
    if (!fits()) return;
    for_each_index(Shape(w.size), [&](std::span<const int64_t> tap, int64_t) {
      const int64_t row = flat ? 0 : tap[0] * w.dilation[0], column = tap[static_cast<size_t>(last)] * w.dilation[last];
      for (int64_t c = 0; c < inputs_; ++c)
        offsets_.push_back(static_cast<int32_t>((row * width_ + column) * inputs_ + c));
    });
  }

  bool fits() const {
    return static_cast<double>(rows_) * static_cast<double>(width_ * inputs_) * 4 <= static_cast<double>(most_bytes);
  }
  int64_t elements() const { return (rows_ * width_ * inputs_ + 15) / 16 * 16; }
  int64_t out_rows() const { return out_rows_; }
  const std::vector<int32_t>& offsets() const { return offsets_; }  // of a window's numbers, from its first

  // Copies what windows reach of an image; the rest of the frame stays zero.
  void fill(const std::byte* image, DType dtype, float* frame) const {
    const int64_t count = std::min(image_width_, width_ - left_) * inputs_;
    for (int64_t row = 0; row < std::min(image_rows_, rows_ - top_); ++row) {
      float* to = frame + ((row + top_) * width_ + left_) * inputs_;
      const int64_t from = row * image_width_ * inputs_;
      if (dtype == DType::f32)
        std::memcpy(to, reinterpret_cast<const float*>(image) + from,
                    static_cast<size_t>(std::max<int64_t>(count, 0)) * 4);
      else
        for (int64_t i = 0; i < count; ++i)
          to[i] = std::bit_cast<float>(uint32_t{reinterpret_cast<const uint16_t*>(image)[from + i]} << 16);
    }
  }

  // A row of the result's places.
  direct::Places places(const float* frame, int64_t row, int64_t count) const {
    return {frame + row * row_step_, step_, count, offsets_.data(), static_cast<int64_t>(offsets_.size())};
  }

 private:
  int64_t inputs_, rows_, width_, top_, left_, image_rows_, image_width_, row_step_, step_, out_rows_;
  std::vector<int32_t> offsets_;
};

class DirectConv : public Call {
 public:
  DirectConv(const ConvProblem& problem, const direct::Kernels& kernels)
      : p_(problem), kernels_(kernels), frame_(problem.shape), forward_(problem.kind == ConvKind::forward) {
    const ConvShape& s = p_.shape;
    depth_ = static_cast<int64_t>(frame_.offsets().size());
    panels_ = (s.outputs + direct::columns - 1) / direct::columns;
    parts_ = std::min(most_parts, s.examples);
    threads_ = static_cast<int>(std::min<int64_t>(thread_count(), forward_ ? s.examples : parts_));
    const int64_t tables = (forward_ ? 1 : parts_) * table();
    memory_ = allocate_bytes(static_cast<size_t>((tables + threads_ * frame_.elements()) * 4));
    frames_ = reinterpret_cast<float*>(memory_.get()) + tables;
  }

  void run(std::byte* const* addresses) override {
    const std::byte* x = address_of(p_.x, addresses);
    std::byte *y = address_of(p_.y, addresses), *weights = address_of(p_.weights, addresses);
    if (forward_) order(weights);
    const int64_t examples = p_.shape.examples;
    run_together(threads_, [&](Share share) {
      float* frame = frames_ + share.part * frame_.elements();
      if (forward_)
        return each_image(x, y, examples * share.part / share.parts, examples * (share.part + 1) / share.parts, frame,
                          tables());
      for (int64_t part = parts_ * share.part / share.parts; part < parts_ * (share.part + 1) / share.parts; ++part) {
        float* sums = tables() + part * table();
        std::fill_n(sums, table(), 0.0F);
        each_image(x, y, examples * part / parts_, examples * (part + 1) / parts_, frame, sums);
      }
    });
    if (!forward_) give(weights);
  }
  std::string kernel() const override { return "vectors, direct"; }

 private:
  // [panel][depth][columns], of weights or of sums.
  int64_t table() const { return panels_ * depth_ * direct::columns; }
  float* tables() const { return reinterpret_cast<float*>(memory_.get()); }

  void each_image(const std::byte* x, std::byte* y, int64_t begin, int64_t end, float* frame, float* table) const {
    const ConvShape& s = p_.shape;
    const int64_t x_bytes = s.elements * s.inputs * static_cast<int64_t>(size_of(p_.x.dtype)),
                  y_bytes = s.places * s.outputs * static_cast<int64_t>(size_of(p_.y.dtype));
    for (int64_t n = begin; n < end; ++n) {
      frame_.fill(x + n * x_bytes, p_.x.dtype, frame);
      for (int64_t panel = 0; panel < panels_; ++panel) one_image(frame, y + n * y_bytes, panel, table);
    }
  }

  void one_image(const float* frame, std::byte* y, int64_t panel, float* table) const {
    const ConvShape& s = p_.shape;
    const int64_t width = s.places / frame_.out_rows(), channel = panel * direct::columns;
    const int64_t bytes = static_cast<int64_t>(size_of(p_.y.dtype));
    float* rows = table + panel * depth_ * direct::columns;
    const auto result = [&](int64_t row) {
      return direct::Result{y + (row * width * s.outputs + channel) * bytes, p_.y.dtype == DType::bf16, s.outputs,
                            std::min(direct::columns, s.outputs - channel)};
    };
    if (forward_) {
      for (int64_t row = 0; row < frame_.out_rows(); ++row)
        kernels_.convolve(frame_.places(frame, row, width), rows, result(row));
      return;
    }
    for (int64_t k = 0; k < depth_; k += direct::most_rows)
      for (int64_t row = 0; row < frame_.out_rows(); ++row) {
        direct::Places places = frame_.places(frame, row, width);
        places.offsets += k;
        places.depth = std::min(direct::most_rows, depth_ - k);
        kernels_.correlate(places, result(row), rows + k * direct::columns);
      }
  }

  // Calls visit(number of the weight, its place in a table).
  template <class Visit>
  void each_weight(Visit visit) const {
    for (int64_t k = 0; k < depth_; ++k)
      for (int64_t c = 0; c < p_.shape.outputs; ++c)
        visit(k * p_.shape.outputs + c, ((c / direct::columns) * depth_ + k) * direct::columns + c % direct::columns);
  }

  void order(const std::byte* weights) const {
    each_weight([&](int64_t weight, int64_t place) {
      tables()[place] = p_.weights.dtype == DType::f32
                            ? reinterpret_cast<const float*>(weights)[weight]
                            : float_from_bf16(reinterpret_cast<const uint16_t*>(weights)[weight]);
    });
  }

  // The parts' sums, in order.
  void give(std::byte* weights) const {
    each_weight([&](int64_t weight, int64_t place) {
      float sum = tables()[place];
      for (int64_t part = 1; part < parts_; ++part) sum += tables()[part * table() + place];
      if (p_.weights.dtype == DType::f32)
        reinterpret_cast<float*>(weights)[weight] = sum;
      else
        reinterpret_cast<uint16_t*>(weights)[weight] = bf16_from_float(sum);
    });
  }

  ConvProblem p_;
  const direct::Kernels& kernels_;
  Frame frame_;
  bool forward_;
  int64_t depth_ = 0, panels_ = 1, parts_ = 1;
  int threads_ = 1;
  std::shared_ptr<std::byte[]> memory_;
  float* frames_ = nullptr;  // one a thread
};

}  // namespace

std::unique_ptr<Call> make_direct_conv(const ConvProblem& problem) {
  const ConvShape& s = problem.shape;
  const bool bf16 = problem.x.dtype == DType::bf16 || problem.y.dtype == DType::bf16;
  // With more numbers in a window, what tiles multiply faster outweighs what it costs to lay them out.
  const int64_t most = bf16 ? 16 : 32;
  const direct::Kernels* kernels = direct::avx512(bf16);
  if (kernels == nullptr || problem.kind == ConvKind::input_gradient || s.groups != 1 ||
      s.inputs * product_of(s.windows.size) > most || s.places == 0)
    return nullptr;
  if (!Frame(s).fits()) return nullptr;
  return std::make_unique<DirectConv>(problem, *kernels);
}

}  // namespace descent::cpu
