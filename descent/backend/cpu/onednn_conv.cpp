// Convolutions and their gradients on oneDNN: channels-last activations as they lie, weights in the order that the
// kernel wants, which they are brought into within the call.
//
// The batch is cut into parts whose number depends on the shape alone, each with a kernel for one thread; our threads
// share the parts out. So OpenMP's threads sleep, and no sum depends on how many threads there are.
#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "descent/backend/cpu/conv.h"
#include "descent/backend/cpu/onednn.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"

namespace descent::cpu {

namespace {

using dnnl::memory;
using onednn::engine;
using Dims = memory::dims;

memory::data_type type_of(DType dtype) { return onednn::data_type(dtype, "convolutions"); }

// [n, spatial.., channels] in memory, named channels first.
memory::desc image_desc(DType dtype, int64_t examples, const std::vector<int64_t>& spatial, int64_t channels) {
  Dims dims{examples, channels}, strides{product_of(spatial) * channels, 1};
  for (size_t axis = 0; axis < spatial.size(); ++axis) {
    dims.push_back(spatial[axis]);
    strides.push_back(product_of(std::span(spatial).subspan(axis + 1)) * channels);
  }
  return {dims, type_of(dtype), strides};
}

Dims weight_dims(const ConvShape& shape) {
  Dims dims;
  if (shape.groups > 1) dims.push_back(shape.groups);
  dims.push_back(shape.outputs);
  dims.push_back(shape.inputs);
  dims.insert(dims.end(), shape.windows.size.begin(), shape.windows.size.end());
  return dims;
}

// [window.., inputs, groups * outputs] in memory.
memory::desc weight_desc(DType dtype, const ConvShape& shape) {
  const int64_t results = shape.groups * shape.outputs;
  Dims strides;
  if (shape.groups > 1) strides.push_back(shape.outputs);
  strides.push_back(1);
  strides.push_back(results);
  for (size_t axis = 0; axis < shape.windows.size.size(); ++axis)
    strides.push_back(product_of(std::span(shape.windows.size).subspan(axis + 1)) * shape.inputs * results);
  return {weight_dims(shape), type_of(dtype), strides};
}

// A primitive and what it wants.
struct Made {
  dnnl::primitive primitive;
  memory::desc weights, scratch;
  std::string kernel;
};

template <class Description>
Made made(const Description& description, const memory::desc& weights) {
  return {dnnl::primitive(description), weights, description.scratchpad_desc(), description.impl_info_str()};
}

class Maker {
 public:
  explicit Maker(const ConvProblem& problem) : p_(problem) {
    const Windows& windows = p_.shape.windows;
    strides_ = windows.stride;
    low_ = windows.low;
    for (int axis = 0; axis < windows.axes(); ++axis) {
      dilation_.push_back(windows.dilation[axis] - 1);
      high_.push_back((windows.out[axis] - 1) * windows.stride[axis] + windows.reach(axis) - windows.image[axis] - windows.low[axis]);
    }
    attr_.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  }

  // For a part of the batch; its weights in this order, or in the best.
  Made make(int64_t examples, const memory::desc* weights) const {
    const ConvShape& s = p_.shape;
    const memory::desc x = image_desc(p_.x.dtype, examples, s.windows.image, s.groups * s.inputs);
    const memory::desc y = image_desc(p_.y.dtype, examples, s.windows.out, s.groups * s.outputs);
    // Sums over the parts follow, in f32.
    const DType kept = p_.kind == ConvKind::weight_gradient ? DType::f32 : p_.weights.dtype;
    const memory::desc w = weights ? *weights : memory::desc(weight_dims(s), type_of(kept), memory::format_tag::any);
    if (p_.kind == ConvKind::forward) {
      const auto forward = forward_of(x, w, y);
      return made(forward, forward.weights_desc());
    }
    const DType operands = p_.kind == ConvKind::weight_gradient ? p_.x.dtype : p_.weights.dtype;
    const auto hint = forward_of(image_desc(operands, examples, s.windows.image, s.groups * s.inputs),
                                 memory::desc(weight_dims(s), type_of(operands), memory::format_tag::any), y);
    if (p_.kind == ConvKind::input_gradient) {
      const dnnl::convolution_backward_data::primitive_desc back(
          {dnnl::algorithm::convolution_direct, x, w, y, strides_, dilation_, low_, high_}, attr_, engine(), hint);
      return made(back, back.weights_desc());
    }
    const dnnl::convolution_backward_weights::primitive_desc back(
        {dnnl::algorithm::convolution_direct, x, w, y, strides_, dilation_, low_, high_}, attr_, engine(), hint);
    return made(back, back.diff_weights_desc());
  }

 private:
  dnnl::convolution_forward::primitive_desc forward_of(const memory::desc& x, const memory::desc& w, const memory::desc& y) const {
    const dnnl::convolution_forward::desc wanted(dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, x, w, y,
                                                 strides_, dilation_, low_, high_);
    dnnl::convolution_forward::primitive_desc first(wanted, attr_, engine());
    // The first choice takes a row of the result at a time, which pays where rows are long.
    constexpr int64_t short_row = 6;
    const bool by_rows = std::string_view(first.impl_info_str()).starts_with("brgconv");
    if (!by_rows || p_.shape.windows.out.back() > short_row || !first.next_impl())
      return {wanted, attr_, engine()};
    return first;
  }

  const ConvProblem& p_;
  dnnl::primitive_attr attr_;
  Dims strides_, dilation_, low_, high_;
};

class OneDnnConv : public Call {
 public:
  explicit OneDnnConv(const ConvProblem& problem)
      : p_(problem), sums_(problem.kind == ConvKind::weight_gradient), threads_(thread_count()) {
    const onednn::OneThread alone;  // from here on thread_count() is 1
    const Maker maker(p_);
    const int64_t examples = p_.shape.examples, count = parts_of(examples);
    const Made large = maker.make((examples + count - 1) / count, nullptr);
    const Made small = examples % count == 0 ? large : maker.make(examples / count, &large.weights);
    kernel_ = text("oneDNN ", large.kernel);
    wanted_ = large.weights;
    plain_ = weight_desc(sums_ ? DType::f32 : p_.weights.dtype, p_.shape);
    make_weight_memory(count);
    const size_t scratch = std::max(large.scratch.get_size(), small.scratch.get_size());
    for (int64_t i = 0, begin = 0; i < count; ++i) {
      const int64_t rows = examples / count + (i < examples % count ? 1 : 0);
      add_part(i < examples % count || examples % count == 0 ? large : small, begin, rows, i, scratch);
      begin += rows;
    }
    threads_ = static_cast<int>(std::min<int64_t>(threads_, count));
  }

  void run(std::byte* const* addresses) override {
    const onednn::OneThread alone;
    if (!sums_) order_weights(addresses);
    for (Part& part : parts_) {
      part.x.set_data_handle(address_of(p_.x, addresses) + part.x_offset);
      part.y.set_data_handle(address_of(p_.y, addresses) + part.y_offset);
    }
    run_together(threads_, [&](Share share) { run_share(share); });
    if (sums_) give_weights(addresses);
  }
  std::string kernel() const override { return kernel_; }

 private:
  struct Part {
    dnnl::primitive primitive;
    memory x, y;
    int64_t x_offset, y_offset;  // bytes
    std::unordered_map<int, memory> arguments;
  };

  // Sums of weights cost a copy a part, so those are few.
  int64_t parts_of(int64_t examples) const {
    if (!sums_) return std::min<int64_t>(examples, 8);
    return std::min<int64_t>(examples, p_.weights.elements() < (1 << 16) ? 4 : 2);
  }

  void make_weight_memory(int64_t count) {
    in_order_ = wanted_ == plain_;
    weight_bytes_ = (wanted_.get_size() + 63) / 64 * 64;
    if (sums_ || !in_order_) bytes_ = allocate_bytes(weight_bytes_ * static_cast<size_t>(sums_ ? count : 1));
    weights_ = memory(wanted_, engine(), bytes_ ? bytes_.get() : nullptr);
    outside_ = memory(sums_ ? weight_desc(p_.weights.dtype, p_.shape) : plain_, engine(), nullptr);
    if (sums_) reorder_ = dnnl::reorder(weights_, outside_);
    else if (!in_order_) reorder_ = dnnl::reorder(outside_, weights_);
  }

  void add_part(const Made& from, int64_t begin, int64_t rows, int64_t number, size_t scratch_bytes) {
    const ConvShape& s = p_.shape;
    const int64_t x_row = s.elements * s.groups * s.inputs, y_row = s.places * s.groups * s.outputs;
    Part part{from.primitive,
              memory(image_desc(p_.x.dtype, rows, s.windows.image, s.groups * s.inputs), engine(), nullptr),
              memory(image_desc(p_.y.dtype, rows, s.windows.out, s.groups * s.outputs), engine(), nullptr),
              begin * x_row * static_cast<int64_t>(size_of(p_.x.dtype)),
              begin * y_row * static_cast<int64_t>(size_of(p_.y.dtype)),
              {}};
    memory weights = weights_;
    if (sums_ && number > 0) weights = memory(wanted_, engine(), bytes_.get() + static_cast<size_t>(number) * weight_bytes_);
    const bool forward = p_.kind == ConvKind::forward;
    part.arguments = {{p_.kind == ConvKind::input_gradient ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, part.x},
                      {sums_ ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, weights},
                      {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, part.y}};
    if (scratch_bytes > 0) {
      scratch_.push_back(allocate_bytes(scratch_bytes));
      part.arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(from.scratch, engine(), scratch_.back().get()));
    }
    parts_.push_back(std::move(part));
  }

  void order_weights(std::byte* const* addresses) {
    std::byte* given = address_of(p_.weights, addresses);
    if (in_order_) return weights_.set_data_handle(given);
    outside_.set_data_handle(given);
    reorder_.execute(stream_, outside_, weights_);
  }

  void run_share(Share share) {
    const onednn::OneThread alone;
    const auto count = static_cast<int64_t>(parts_.size());
    for (int64_t i = count * share.part / share.parts; i < count * (share.part + 1) / share.parts; ++i)
      parts_[static_cast<size_t>(i)].primitive.execute(stream_, parts_[static_cast<size_t>(i)].arguments);
    if (!sums_ || count == 1) return;
    team::barrier(share);
    const auto floats = static_cast<int64_t>(weight_bytes_ / sizeof(float));
    auto* sums = reinterpret_cast<float*>(bytes_.get());
    for (int64_t part = 1; part < count; ++part) {
      const float* more = sums + part * floats;
      for (int64_t i = floats * share.part / share.parts; i < floats * (share.part + 1) / share.parts; ++i) sums[i] += more[i];
    }
  }

  void give_weights(std::byte* const* addresses) {
    outside_.set_data_handle(address_of(p_.weights, addresses));
    reorder_.execute(stream_, weights_, outside_);
  }

  ConvProblem p_;
  bool sums_;
  int threads_;
  std::string kernel_;
  memory::desc wanted_, plain_;
  bool in_order_ = false;
  size_t weight_bytes_ = 0;
  std::shared_ptr<std::byte[]> bytes_;  // the weights as wanted; of a gradient, one for each part
  memory weights_, outside_;
  dnnl::reorder reorder_;
  dnnl::stream stream_{engine()};
  std::vector<Part> parts_;
  std::vector<std::shared_ptr<std::byte[]>> scratch_;
};

// oneDNN 2.6 writes beside its buffers in the bf16 gradient of weights where rows of the result are 384 or wider.
constexpr int64_t widest_row = 320;

bool is_broken(const ConvProblem& problem) {
  return problem.kind == ConvKind::weight_gradient && problem.x.dtype == DType::bf16 &&
         problem.shape.windows.out.back() > widest_row;
}

bool is_known(const ConvProblem& problem) {
  return problem.kind == ConvKind::weight_gradient || problem.out().dtype == DType::f32 || problem.weights.dtype == DType::bf16;
}

}  // namespace

std::unique_ptr<Call> make_onednn_conv(const ConvProblem& problem) {
  if (is_broken(problem) || !is_known(problem)) return nullptr;
  try {
    return std::make_unique<OneDnnConv>(problem);
  } catch (const dnnl::error&) {
    return nullptr;  // it has no kernel for this shape
  }
}

}  // namespace descent::cpu
