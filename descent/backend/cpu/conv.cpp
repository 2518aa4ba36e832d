#include "descent/backend/cpu/conv.h"

#include <algorithm>

namespace descent::cpu {

namespace {

Type type_of(const View& view) { return {view.dtype, Shape(view.sizes)}; }

ConvProblem problem_of(const CallStep& step) {
  const View &first = step.reads[0], &second = step.reads[1], &out = step.writes[0];
  ConvProblem problem{ConvKind::forward, {}, first, second, out};
  if (step.what == ConvInputGradient::name) problem = {ConvKind::input_gradient, {}, out, second, first};
  if (step.what == ConvWeightGradient::name) problem = {ConvKind::weight_gradient, {}, first, out, second};
  problem.shape = conv_shape(step.attrs, type_of(problem.x), type_of(problem.weights), step.what);
  return problem;
}

// Sums of nothing.
class EmptyConv : public Call {
 public:
  explicit EmptyConv(View out) : out_(std::move(out)) {}
  void run(std::byte* const* addresses) override {
    std::fill_n(address_of(out_, addresses), out_.elements() * static_cast<int64_t>(size_of(out_.dtype)), std::byte{0});
  }
  std::string kernel() const override { return "empty"; }

 private:
  View out_;
};

}  // namespace

std::unique_ptr<Call> make_conv(const CallStep& step, const Program&) {
  for (const DType dtype : {step.reads[0].dtype, step.writes[0].dtype})
    if (dtype != DType::f32 && dtype != DType::bf16) fail(text("convolutions on the CPU take f32 or bf16, not ", dtype));
  const ConvProblem problem = problem_of(step);
  if (step.reads[0].elements() == 0 || step.reads[1].elements() == 0) return std::make_unique<EmptyConv>(step.writes[0]);
  for (const auto make : {make_direct_conv, make_tiled_conv, make_tiled_weight_gradient, make_onednn_conv, make_unfolded_conv})
    if (std::unique_ptr<Call> call = make(problem)) return call;
  return make_plain_conv(problem);
}

}  // namespace descent::cpu
