#pragma once

#include "descent/ops/conv.h"

namespace descent {

struct ConvWeightGradient {
  static constexpr auto name = "conv_weight_gradient";
  static constexpr auto summary =
      "the weights' gradient of a conv, from its images and that of its result: {window, strides, low, high, dilation, groups, to}";
  static constexpr OpClass op_class = OpClass::contraction;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) {
    const DType to = conv_dtype(args, name);
    const Type &x = args.inputs[0], &g = args.inputs[1], weights = weights_of(x, g, args.attrs);
    const ConvShape shape = conv_shape(args.attrs, x, weights, name);
    const Shape wanted = image_shape(shape.examples, shape.windows.out, g.shape.back());
    if (g.shape != wanted)
      fail(text(name, ": the gradient of a result ", wanted, " (of images ", x, " under weights ", weights,
                ") has its shape, got ", g));
    return {{to, weights.shape}};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<double>&x = args.inputs[0].values, &g = args.inputs[1].values;
    std::vector<double>& weights = args.outputs[0].values;
    conv_shape(args.attrs, args.inputs[0].type, args.outputs[0].type, name)
        .for_each_product([&](int64_t i, int64_t j, int64_t k) { weights[j] += x[i] * g[k]; });
  }

  static int64_t multiply_adds(std::span<const Type> inputs, const Attrs& attrs) {
    return Conv::multiply_adds(std::vector{inputs[0], weights_of(inputs[0], inputs[1], attrs)}, attrs);
  }

  static Tensors vjp(const VjpArgs& args) {
    const Tensor x = args.inputs[0], g = args.inputs[1], c = in_dtype_of(args.cotangents[0], x, args.at);
    return {conv_input_gradient(g, c, spatial_sizes(x.shape()), args.attrs, args.at),
            apply<Conv>({x, c}, conv_geometry(args.attrs), args.at)};
  }

  static Samples samples() {
    return conv_samples(&ConvCase::image, &ConvCase::result,
                        [](const ConvCase& sample) { return Attrs{{"window", sample.window}}; });
  }
  static Misuses misuse() {
    Attrs attrs = ConvCase{"", {}, {}, 0, {1, 1}, {0, 0}, {0, 0}, {1, 1}}.attrs();
    attrs.set("window", std::vector<int64_t>{3, 3});
    return {{{{DType::f32, {8, 28, 28, 3}}, {DType::f32, {7, 26, 26, 16}}},
             attrs,
             "conv_weight_gradient: the gradient of a result [8,26,26,16] (of images f32[8,28,28,3] under weights "
             "f32[3,3,3,16]) has its shape, got f32[7,26,26,16]"}};
  }

 private:
  static Type weights_of(const Type& x, const Type& g, const Attrs& attrs) {
    check_image(x, name);
    const std::vector<int64_t>& window = attrs.integers("window");
    const int64_t groups = attrs.integer("groups");
    if (g.shape.rank() != x.shape.rank() || std::ssize(window) != x.shape.rank() - 2)
      fail(text(name, ": needs a gradient of ", x.shape.rank(), " axes and a window of ", x.shape.rank() - 2, " for ", x,
                ", got ", g, " and ", Shape(window)));
    if (groups < 1) fail(text(name, ": there is at least 1 group, got ", groups));
    Shape shape(window);
    shape.push_back(x.shape.back() / groups);
    shape.push_back(g.shape.back());
    return {x.dtype, shape};
  }
};

inline Tensor conv_weight_gradient(Tensor x, Tensor g, std::vector<int64_t> window, const Attrs& attrs, Site at) {
  return apply<ConvWeightGradient>({x, g}, conv_geometry(attrs).set("window", std::move(window)), at);
}

}  // namespace descent
