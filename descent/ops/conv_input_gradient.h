#pragma once

#include "descent/ops/conv.h"

namespace descent {

// Also what is called a transposed convolution: each element of `g` adds its window of weights to the image.
struct ConvInputGradient {
  static constexpr auto name = "conv_input_gradient";
  static constexpr auto summary =
      "the images' gradient of a conv, from that of its result: {sizes of the image, strides, low, high, dilation, groups, to}";
  static constexpr OpClass op_class = OpClass::contraction;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) {
    const DType to = conv_dtype(args, name);
    const Type image = image_of(args.inputs[0], args.inputs[1], args.attrs);
    const ConvShape shape = conv_shape(args.attrs, image, args.inputs[1], name);
    const Shape wanted = image_shape(shape.examples, shape.windows.out, shape.groups * shape.outputs);
    if (args.inputs[0].shape != wanted)
      fail(text(name, ": the gradient of a result ", wanted, " (of images ", image, " under weights ", args.inputs[1],
                ") has its shape, got ", args.inputs[0]));
    return {{to, image.shape}};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<double>&g = args.inputs[0].values, &weights = args.inputs[1].values;
    std::vector<double>& x = args.outputs[0].values;
    conv_shape(args.attrs, args.outputs[0].type, args.inputs[1].type, name)
        .for_each_product([&](int64_t i, int64_t j, int64_t k) { x[i] += g[k] * weights[j]; });
  }

  static int64_t multiply_adds(std::span<const Type> inputs, const Attrs& attrs) {
    return Conv::multiply_adds(std::vector{image_of(inputs[0], inputs[1], attrs), inputs[1]}, attrs);
  }

  static Tensors vjp(const VjpArgs& args) {
    const Tensor g = args.inputs[0], weights = args.inputs[1], c = in_dtype_of(args.cotangents[0], g, args.at);
    const std::span<const int64_t> window(weights.shape().begin(), static_cast<size_t>(weights.rank() - 2));
    return {apply<Conv>({c, weights}, conv_geometry(args.attrs), args.at),
            conv_weight_gradient(c, g, {window.begin(), window.end()}, args.attrs, args.at)};
  }

  static Samples samples() {
    return conv_samples(&ConvCase::result, &ConvCase::weights,
                        [](const ConvCase& sample) { return Attrs{{"sizes", spatial_sizes(sample.x)}}; });
  }
  static Misuses misuse() {
    Attrs attrs = ConvCase{"", {}, {}, 0, {1, 1}, {0, 0}, {0, 0}, {1, 1}}.attrs();
    attrs.set("sizes", std::vector<int64_t>{28, 28});
    return {{{{DType::f32, {8, 28, 28, 16}}, {DType::f32, {3, 3, 3, 16}}},
             attrs,
             "conv_input_gradient: the gradient of a result [8,26,26,16] (of images f32[8,28,28,3] under weights "
             "f32[3,3,3,16]) has its shape, got f32[8,28,28,16]"}};
  }

 private:
  static Type image_of(const Type& g, const Type& weights, const Attrs& attrs) {
    check_image(g, name);
    const int rank = g.shape.rank();
    const std::vector<int64_t>& sizes = attrs.integers("sizes");
    if (weights.shape.rank() != rank || std::ssize(sizes) != rank - 2)
      fail(text(name, ": needs weights of ", rank, " axes and ", rank - 2, " sizes of the image for ", g, ", got weights ",
                weights, " and ", Shape(sizes)));
    return {g.dtype, image_shape(g.shape[0], sizes, weights.shape[rank - 2] * attrs.integer("groups"))};
  }
};

inline Tensor conv_input_gradient(Tensor g, Tensor weights, std::vector<int64_t> sizes, const Attrs& attrs, Site at) {
  return apply<ConvInputGradient>({g, weights}, conv_geometry(attrs).set("sizes", std::move(sizes)), at);
}

// The transpose of conv: x [n, places.., k] under weights [window.., c / groups, k] gives [n, spatial.., c], where a conv
// with these options would take the second to the first. Several sizes do so where a stride is above 1: the smallest,
// plus `more` on each axis (0 <= more < stride).
inline Tensor conv_transpose(Tensor x, Tensor weights, const ConvGeometry& options = {}, std::vector<int64_t> more = {},
                             Site at = Site::here()) {
  check_image(x.type(), "conv_transpose");
  const int axes = x.rank() - 2;
  const Attrs attrs = options.attrs(axes);
  if (weights.rank() != x.rank())
    fail(at, text("conv_transpose: the weights must have ", x.rank(), " axes for ", x.type(), ", got ", weights.type()));
  more.resize(static_cast<size_t>(axes), 0);
  std::vector<int64_t> sizes;
  for (int axis = 0; axis < axes; ++axis)
    sizes.push_back((x.shape()[axis + 1] - 1) * attrs.integers("strides").at(axis) - attrs.integers("low").at(axis) -
                    attrs.integers("high").at(axis) + (weights.shape()[axis] - 1) * attrs.integers("dilation").at(axis) + 1 +
                    more[axis]);
  return conv_input_gradient(x, weights, std::move(sizes), attrs, at);
}

}  // namespace descent
