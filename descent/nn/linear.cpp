#include "descent/nn/linear.h"

#include "descent/ops/add.h"
#include "descent/ops/matmul.h"
#include "descent/ops/reshape.h"

namespace descent::nn {

Linear::Linear(int64_t features, LinearOptions options, Site at)
    : features_(features), options_(std::move(options)), at_(at) {
  if (features < 1) throw UsageError(at, text("Linear: the number of features must be at least 1, got ", features));
}

std::string Linear::describe() const { return text("Linear ", features_, options_.bias ? "" : ", no bias"); }

std::vector<ParameterPtr> Linear::parameters() const {
  if (!weight_) return {};
  return bias_ ? std::vector{weight_, bias_} : std::vector{weight_};
}

void Linear::make(Pass& pass, int64_t inputs) {
  const Initializer initial =
      options_.init ? *options_.init : make_initializer(suited_.empty() ? "glorot_uniform" : suited_);
  weight_ = make_parameter(pass, "weight", {inputs, features_}, initial, true);
  if (options_.bias) bias_ = make_parameter(pass, "bias", {features_}, init::zeros(), false);
}

namespace {

// What to try where `inputs` features are wanted and x has another number of them.
std::string suggestion(const Shape& x, int64_t inputs) {
  int64_t row = 1;
  for (int axis = 1; axis < x.rank(); ++axis) row *= x[axis];
  if (x.rank() > 2 && row == inputs) return "; did you mean Flatten before it?";
  for (int axis = 0; axis + 1 < x.rank(); ++axis)
    if (x[axis] == inputs) return text("; did you mean axis ", axis, " to be the last?");
  return text("; did you mean a Linear ", inputs, " before it, or other weights?");
}

}  // namespace

void Linear::check(const Pass& pass, const Type& x) const {
  const std::string who = layer_label(pass, *this);
  if (x.dtype != DType::f32)
    fail(at_, text(who, "input ", x, " is not f32; put Normalize or OneHot before it, or cast it"));
  if (x.shape.rank() == 0 || x.shape.back() == 0)
    fail(at_, text(who, "input ", x, " has no features on a last axis; did you mean to give it a batch of examples?"));
  if (!weight_) return;
  const int64_t inputs = weight_->type().shape[0];
  if (x.shape.back() != inputs)
    fail(at_, text(who, "input ", x, " has ", x.shape.back(), " features on axis ", x.shape.rank() - 1,
                   ", but the weight ", weight_->type(), " takes ", inputs, suggestion(x.shape, inputs)));
}

Tensor Linear::forward(Pass& pass, Tensor x) {
  check(pass, x.type());
  if (!weight_) make(pass, x.shape().back());
  const Tensor rows = reshape(x, {-1, x.shape().back()}, at_);
  Tensor y = matmul(rows, pass.parameter(weight_), at_);
  if (bias_) y = add({y, at_}, {pass.parameter(bias_), at_});
  return reshape(y, x.shape().with(x.rank() - 1, features_), at_);
}

}  // namespace descent::nn
