#include "descent/nn/conv.h"

#include <algorithm>

#include "descent/nn/lengths.h"
#include "descent/ops/add.h"
#include "descent/ops/conv.h"

namespace descent::nn {

Conv::Conv(std::string_view title, int axes, int64_t features, PerAxis kernel, ConvOptions options, Site at)
    : title_(title),
      axes_(axes),
      features_(features),
      kernel_(std::move(kernel)),
      options_(std::move(options)),
      at_(at) {
  const auto refuse = [&](const std::string& what) { throw UsageError(at, text(title_, ": ", what)); };
  if (features < 1) refuse(text("the number of features must be at least 1, got ", features));
  const auto check = [&](const PerAxis& sizes, std::string_view what, int64_t least) {
    if (std::ssize(sizes.values) != 1 && std::ssize(sizes.values) != axes_)
      refuse(text("the ", what, " is 1 or ", axes_, " numbers, got ", to_text(sizes)));
    if (std::ranges::min(sizes.values) < least)
      refuse(text("the ", what, " must be at least ", least, ", got ", to_text(sizes)));
    if (std::ranges::max(sizes.values) > longest_window)
      refuse(text("the ", what, " must be at most ", longest_window, ", got ", to_text(sizes)));
  };
  check(kernel_, "kernel", 1);
  check(options_.stride, "stride", 1);
  check(options_.dilation, "dilation", 1);
  if (options_.padding) check(*options_.padding, "padding", 0);
  if (options_.groups < 1 || features % options_.groups != 0)
    refuse(text(options_.groups, " groups do not divide ", features, " features"));
}

std::string Conv::describe() const {
  const auto unless = [](const PerAxis& sizes, std::string_view what) {
    return sizes.values == std::vector<int64_t>{1} ? "" : text(", ", what, " ", to_text(sizes));
  };
  const PerAxis shown(kernel_.values.size() == 1 ? std::vector<int64_t>(static_cast<size_t>(axes_), kernel_.values[0])
                                                 : kernel_.values);
  return text(title_, " ", features_, ", ", to_text(shown), unless(options_.stride, "stride"),
              options_.padding ? text(", padding ", to_text(*options_.padding)) : "",
              unless(options_.dilation, "dilation"), options_.groups == 1 ? "" : text(", groups ", options_.groups),
              options_.bias ? "" : ", no bias");
}

std::vector<ParameterPtr> Conv::parameters() const {
  if (!weight_) return {};
  return bias_ ? std::vector{weight_, bias_} : std::vector{weight_};
}

Initializer Conv::initial() const {
  return options_.init ? *options_.init : make_initializer(suited_.empty() ? "glorot_uniform" : suited_);
}

void Conv::make(Pass& pass, int64_t channels) {
  Shape shape(kernel_.on(axes_, "the kernel", at_));
  shape.push_back(channels / options_.groups);
  shape.push_back(features_);
  weight_ = make_parameter(pass, "weight", shape, initial(), true);
}

int64_t Conv::channels_taken() const { return weight_->type().shape[axes_] * options_.groups; }

namespace {

ConvGeometry geometry_of(const ConvOptions& options, int axes, Padding padding, Site at) {
  return {.strides = options.stride.on(axes, "the stride", at),
          .low = std::move(padding.low),
          .high = std::move(padding.high),
          .dilation = options.dilation.on(axes, "the dilation", at),
          .groups = options.groups};
}

// Where sequences have lengths of their own, those of the result.
void move_lengths(Pass& pass, int64_t kernel, const ConvGeometry& geometry, Site at) {
  move_window(pass, (kernel - 1) * geometry.dilation[0] + 1, geometry.strides[0], geometry.low[0] + geometry.high[0],
              at);
}

}  // namespace

Tensor Conv::convolve(Pass& pass, Tensor x) const {
  const std::vector<int64_t> kernel = kernel_.on(axes_, "the kernel", at_);
  ConvGeometry geometry = geometry_of(options_, axes_, {}, at_);
  const std::vector<int64_t> ones(static_cast<size_t>(axes_), 1);
  const Padding padding =
      options_.padding
          ? Padding{options_.padding->on(axes_, "the padding", at_), options_.padding->on(axes_, "the padding", at_)}
          : same_padding(spatial_sizes(x.shape()), kernel, pass.lengths() ? ones : geometry.strides, geometry.dilation);
  geometry.low = padding.low;
  geometry.high = padding.high;
  const Tensor y = conv(zeros_after_end(pass, x, at_), pass.parameter(weight_), geometry, at_);
  if (pass.lengths()) move_lengths(pass, kernel[0], geometry, at_);
  return y;
}

Tensor Conv::forward(Pass& pass, Tensor given) {
  const Tensor x = as_images(pass, *this, given, axes_, at_);
  const int64_t channels = x.shape().back();
  if (channels < 1 || channels % options_.groups != 0)
    fail(at_, text(layer_label(pass, *this), options_.groups, " groups do not divide the ", channels, " channels of ",
                   x.type()));
  if (!weight_) {
    make(pass, channels);
    if (options_.bias) bias_ = make_parameter(pass, "bias", {features_}, init::zeros(), false);
  }
  if (channels != channels_taken())
    fail(at_, text(layer_label(pass, *this), "input ", x.type(), " has ", channels, " channels on axis ", x.rank() - 1,
                   ", but the weight ", weight_->type(), " takes ", channels_taken(),
                   x.shape()[1] == channels_taken() ? "; images are channels-last here, did you mean to permute them?"
                                                    : ""));
  const Tensor y = convolve(pass, x);
  return bias_ ? add({y, at_}, {pass.parameter(bias_), at_}) : y;
}

void ConvTranspose::make(Pass& pass, int64_t channels) {
  // Drawn as [window.., channels / groups, features], whose fans are meant, and laid the other way about.
  const Initializer inner = initial();
  const auto groups = static_cast<size_t>(options_.groups);
  const Initializer turned(inner.describe(), [inner, groups](std::span<float> values, const Shape& shape,
                                                             const RandomSource& source) {
    const int rank = shape.rank();
    const auto outputs = static_cast<size_t>(shape[rank - 2]), inputs = static_cast<size_t>(shape[rank - 1]) / groups;
    const Shape drawn =
        shape.with(rank - 2, static_cast<int64_t>(inputs)).with(rank - 1, static_cast<int64_t>(outputs * groups));
    std::vector<float> from(values.size());
    inner.fill(from, drawn, source);
    for (size_t i = 0; i < values.size(); ++i) {
      const size_t tap = i / (outputs * inputs * groups), k = i / (inputs * groups) % outputs,
                   c = i % (inputs * groups);
      values[i] = from[(tap * inputs + c % inputs) * outputs * groups + c / inputs * outputs + k];
    }
  });
  Shape shape(kernel_.on(axes_, "the kernel", at_));
  shape.push_back(features_ / options_.groups);
  shape.push_back(channels);
  weight_ = make_parameter(pass, "weight", shape, turned, true);
}

Tensor ConvTranspose::convolve(Pass& pass, Tensor x) const {
  const std::vector<int64_t> kernel = kernel_.on(axes_, "the kernel", at_);
  ConvGeometry geometry = geometry_of(options_, axes_, {}, at_);
  std::vector<int64_t> more;
  for (int axis = 0; axis < axes_; ++axis) {
    const int64_t reach = (kernel[axis] - 1) * geometry.dilation[axis] + 1, beyond = reach - geometry.strides[axis];
    const int64_t both =
        options_.padding ? 2 * options_.padding->on(axes_, "the padding", at_)[axis] : std::max<int64_t>(0, beyond);
    geometry.low.push_back(both / 2);
    geometry.high.push_back(both - both / 2);
    more.push_back(options_.padding ? 0 : std::max<int64_t>(0, -beyond));
  }
  return conv_transpose(x, pass.parameter(weight_), geometry, more, at_);
}

}  // namespace descent::nn
