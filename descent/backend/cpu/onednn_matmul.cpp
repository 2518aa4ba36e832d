// Matrix products on oneDNN.
#include <unordered_map>

#include "descent/backend/cpu/matmul.h"
#include "descent/backend/cpu/onednn.h"

namespace descent::cpu {

namespace {

using onednn::engine;

// A row or column alone may come with any stride; oneDNN takes it for the distance between rows, and wants that no
// smaller than a row is long.
std::vector<int64_t> sound_strides(const View& view) {
  std::vector<int64_t> out = view.strides;
  const size_t rank = out.size();
  if (rank < 2) return out;
  if (view.sizes[rank - 1] == 1) out[rank - 1] = 1;
  if (view.sizes[rank - 2] == 1) out[rank - 2] = out[rank - 1] == 1 ? view.sizes[rank - 1] : 1;
  return out;
}

dnnl::memory::desc desc(const View& view) {
  return {view.sizes, onednn::data_type(view.dtype, "matrix products"), sound_strides(view)};
}

class OneDnnMatmul : public Call {
 public:
  explicit OneDnnMatmul(const CallStep& step) : a_(step.reads[0]), b_(step.reads[1]), out_(step.writes[0]) {
    dnnl::primitive_attr attr;
    if (step.what == "fused_matmul" && step.attrs.string("activation") == "relu") {
      dnnl::post_ops after;
      after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
      attr.set_post_ops(after);
    }
    const bool has_bias = step.reads.size() == 3;
    if (has_bias) {
      bias_ = step.reads[2];
      bias_.sizes.insert(bias_.sizes.begin(), out_.sizes.size() - 1, 1);
      bias_.strides.insert(bias_.strides.begin(), out_.sizes.size() - 1, bias_.sizes.back());
    }
    const dnnl::matmul::desc description = has_bias ? dnnl::matmul::desc(desc(a_), desc(b_), desc(bias_), desc(out_))
                                                    : dnnl::matmul::desc(desc(a_), desc(b_), desc(out_));
    const dnnl::matmul::primitive_desc primitive(description, attr, engine());
    kernel_ = primitive.impl_info_str();
    matmul_ = dnnl::matmul(primitive);
    add(DNNL_ARG_SRC, a_);
    add(DNNL_ARG_WEIGHTS, b_);
    if (has_bias) add(DNNL_ARG_BIAS, bias_);
    add(DNNL_ARG_DST, out_);
  }

  void run(std::byte* const* addresses) override {
    for (const auto& [argument, view] : views_) arguments_.at(argument).set_data_handle(address_of(view, addresses));
    matmul_.execute(stream_, arguments_);
    stream_.wait();
  }
  std::string kernel() const override { return "oneDNN " + kernel_; }

 private:
  void add(int argument, const View& view) {
    views_.emplace_back(argument, view);
    arguments_.emplace(argument, dnnl::memory(desc(view), engine(), nullptr));
  }

  View a_, b_, bias_, out_;
  std::string kernel_;
  dnnl::matmul matmul_;
  dnnl::stream stream_{engine()};
  std::vector<std::pair<int, View>> views_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

}  // namespace

std::unique_ptr<Call> make_onednn_matmul(const CallStep& step) { return std::make_unique<OneDnnMatmul>(step); }

}  // namespace descent::cpu
