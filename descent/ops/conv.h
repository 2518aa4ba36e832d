#pragma once

#include "descent/ops/cast.h"
#include "descent/ops/window.h"

namespace descent {

// Convolution is linear in each of its operands, so its two gradients are ops of their own and the three are each
// other's gradients. The headers of the other two, included below, define these.
Tensor conv_input_gradient(Tensor g, Tensor weights, std::vector<int64_t> sizes, const Attrs& attrs, Site at);
Tensor conv_weight_gradient(Tensor x, Tensor g, std::vector<int64_t> window, const Attrs& attrs, Site at);

// Where the operands of a convolution meet.
struct ConvShape {
  Windows windows;
  int64_t examples, groups, inputs, outputs;  // channels of one group
  int64_t elements, places;                   // of an image and of a result, channels aside

  // Calls visit(index into x, into the weights, into y) for every product.
  template <class Visit>
  void for_each_product(Visit visit) const {
    for_each_tap(windows, [&](int64_t place, int64_t element, int64_t tap) {
      for (int64_t n = 0; n < examples; ++n)
        for (int64_t group = 0; group < groups; ++group)
          for (int64_t c = 0; c < inputs; ++c)
            for (int64_t k = 0; k < outputs; ++k)
              visit(((n * elements + element) * groups + group) * inputs + c,
                    ((tap * inputs + c) * groups + group) * outputs + k,
                    ((n * places + place) * groups + group) * outputs + k);
    });
  }
};

// The checked geometry of images `x` under `weights`, which the op `name` speaks of.
inline ConvShape conv_shape(const Attrs& attrs, const Type& x, const Type& weights, std::string_view name) {
  const auto both = [&] { return text("images ", x, ", weights ", weights); };
  check_image(x, name);
  const int rank = x.shape.rank();
  const int64_t groups = attrs.integer("groups");
  if (weights.shape.rank() != rank)
    fail(text(name, ": the weights must be [window.., channels / groups, results], ", rank, " axes: ", both()));
  const int64_t inputs = weights.shape[rank - 2], results = weights.shape.back();
  if (groups < 1 || results % groups != 0 || x.shape.back() % groups != 0)
    fail(text(name, ": ", groups, " groups do not divide the ", x.shape.back(), " channels and the ", results, " results: ",
              both()));
  if (x.shape.back() != inputs * groups)
    fail(text(name, ": the images ", x, " have ", x.shape.back(), " channels on axis ", rank - 1, ", but the weights ",
              weights, " take ", inputs * groups, groups == 1 ? "" : text(" (", groups, " groups of ", inputs, ")"),
              "; did you mean weights ", weights.shape.with(rank - 2, x.shape.back() / groups), "?"));
  const std::span<const int64_t> window(weights.shape.begin(), static_cast<size_t>(rank - 2));
  ConvShape out{windows_of(attrs, spatial_sizes(x.shape), {window.begin(), window.end()}, x, name),
                x.shape[0], groups, inputs, results / groups, 0, 0};
  out.elements = product_of(out.windows.image);
  out.places = product_of(out.windows.out);
  return out;
}

inline DType conv_dtype(const InferArgs& args, std::string_view name) {
  const Type &a = args.inputs[0], &b = args.inputs[1];
  if (a.dtype != b.dtype || !is_floating(a.dtype)) fail(text(name, ": needs two inputs of one floating type: ", a, " and ", b));
  return args.attrs.has("to") ? args.attrs.dtype("to") : a.dtype;
}

// What a convolution is, beside its operands; `to` is the dtype of one result and not of its gradients.
inline Attrs conv_geometry(const Attrs& attrs) {
  Attrs out;
  for (const char* name : {"strides", "low", "high", "dilation", "groups"})
    for (const auto& [key, value] : attrs)
      if (key == name) out.set(key, value);
  return out;
}

inline Tensor in_dtype_of(Tensor g, Tensor like, Site at) { return g.dtype() == like.dtype() ? g : cast(g, like.dtype(), at); }

// The samples of all three ops: a convolution's images, window, results and geometry.
struct ConvCase {
  std::string name;
  Shape x;
  std::vector<int64_t> window;
  int64_t results;
  std::vector<int64_t> strides, low, high, dilation;
  int64_t groups = 1;
  DType dtype = DType::f32;

  Attrs attrs() const {
    Attrs out{{"strides", strides}, {"low", low}, {"high", high}, {"dilation", dilation}, {"groups", groups}};
    return dtype == DType::f32 ? out : out.set("to", DType::f32);
  }
  Type image() const { return {dtype, x}; }
  Type weights() const {
    Shape out(window);
    out.push_back(x.back() / groups);
    out.push_back(results);
    return {dtype, out};
  }
  Type result() const {
    return {dtype, image_shape(x[0], conv_shape(attrs(), image(), weights(), "sample").windows.out, results)};
  }
};

inline std::vector<ConvCase> conv_cases() {
  return {{"same", {2, 5, 4, 3}, {3, 3}, 4, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
          {"one channel", {2, 6, 5, 1}, {3, 2}, 3, {1, 1}, {0, 0}, {0, 0}, {1, 1}},
          {"strides", {2, 7, 6, 2}, {3, 3}, 3, {2, 3}, {1, 1}, {1, 1}, {1, 1}},
          {"asymmetric", {1, 4, 5, 2}, {2, 4}, 3, {1, 2}, {1, 0}, {0, 3}, {1, 1}},
          {"dilation", {1, 7, 8, 2}, {3, 2}, 2, {1, 2}, {2, 0}, {2, 1}, {2, 3}},
          {"groups", {2, 4, 4, 4}, {3, 3}, 6, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 2},
          {"depthwise", {2, 5, 4, 3}, {3, 3}, 3, {2, 1}, {1, 1}, {1, 1}, {1, 1}, 3},
          {"multiplier", {1, 4, 3, 2}, {2, 2}, 6, {1, 1}, {0, 1}, {1, 0}, {1, 1}, 2},
          {"matrix", {2, 3, 3, 16}, {1, 1}, 17, {1, 1}, {0, 0}, {0, 0}, {1, 1}},
          {"one by one strided", {2, 4, 4, 3}, {1, 1}, 4, {2, 2}, {0, 0}, {0, 0}, {1, 1}},
          {"wide", {1, 4, 5, 33}, {3, 3}, 16, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
          {"whole image", {3, 3, 4, 2}, {3, 4}, 5, {1, 1}, {0, 0}, {0, 0}, {1, 1}},
          {"far padding", {1, 2, 2, 2}, {3, 3}, 2, {2, 2}, {2, 2}, {2, 2}, {1, 1}},
          {"one axis", {2, 9, 3}, {4}, 2, {2}, {1}, {2}, {1}},
          {"one axis dilated", {1, 9, 2}, {3}, 2, {1}, {2}, {2}, {2}, 2},
          {"long", {1, 400, 2}, {3}, 2, {1}, {1}, {1}, {1}},
          {"mixed", {2, 4, 3, 3}, {3, 3}, 4, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1, DType::bf16},
          {"empty", {0, 4, 4, 3}, {3, 3}, 2, {1, 1}, {1, 1}, {1, 1}, {1, 1}}};
}

inline Samples conv_samples(Type (ConvCase::*first)() const, Type (ConvCase::*second)() const,
                            Attrs (*more)(const ConvCase&)) {
  Samples out;
  for (const ConvCase& sample : conv_cases()) {
    Attrs attrs = more(sample);
    for (const auto& [key, value] : sample.attrs()) attrs.set(key, value);
    out.push_back({sample.name, {{(sample.*first)()}, {(sample.*second)()}}, attrs});
  }
  return out;
}

// A cross-correlation, as the field calls it a convolution: each result is the sum over the window of image times weight.
struct Conv {
  static constexpr auto name = "conv";
  static constexpr auto summary =
      "images [n, spatial.., c] under weights [window.., c / groups, k]: {strides, low, high, dilation, groups, to}";
  static constexpr OpClass op_class = OpClass::contraction;
  static constexpr int arity = 2;

  static std::vector<Type> infer(const InferArgs& args) {
    const DType to = conv_dtype(args, name);
    const ConvShape shape = conv_shape(args.attrs, args.inputs[0], args.inputs[1], name);
    return {{to, image_shape(shape.examples, shape.windows.out, shape.groups * shape.outputs)}};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<double>&x = args.inputs[0].values, &weights = args.inputs[1].values;
    std::vector<double>& y = args.outputs[0].values;
    conv_shape(args.attrs, args.inputs[0].type, args.inputs[1].type, name)
        .for_each_product([&](int64_t i, int64_t j, int64_t k) { y[k] += x[i] * weights[j]; });
  }

  static int64_t multiply_adds(std::span<const Type> inputs, const Attrs& attrs) {
    const ConvShape shape = conv_shape(attrs, inputs[0], inputs[1], name);
    return shape.examples * shape.places * product_of(shape.windows.size) * shape.groups * shape.inputs * shape.outputs;
  }

  static Tensors vjp(const VjpArgs& args) {
    const Tensor x = args.inputs[0], weights = args.inputs[1], g = in_dtype_of(args.cotangents[0], x, args.at);
    const std::span<const int64_t> window(weights.shape().begin(), static_cast<size_t>(weights.rank() - 2));
    return {conv_input_gradient(g, weights, spatial_sizes(x.shape()), args.attrs, args.at),
            conv_weight_gradient(x, g, {window.begin(), window.end()}, args.attrs, args.at)};
  }

  static Samples samples() { return conv_samples(&ConvCase::image, &ConvCase::weights, [](const ConvCase&) { return Attrs(); }); }
  static Misuses misuse() {
    const auto plain = [](int64_t groups) { return ConvCase{"", {}, {}, 0, {1, 1}, {0, 0}, {0, 0}, {1, 1}, groups}.attrs(); };
    const Type x{DType::f32, {8, 28, 28, 3}}, weights{DType::f32, {3, 3, 3, 16}};
    return {{{x, {DType::f32, {3, 3, 1, 16}}},
             plain(1),
             "conv: the images f32[8,28,28,3] have 3 channels on axis 3, but the weights f32[3,3,1,16] take 1; did you mean "
             "weights [3,3,3,16]?"},
            {{x, weights}, plain(2), "conv: 2 groups do not divide the 3 channels and the 16 results: images f32[8,28,28,3]"},
            {{{DType::f32, {8, 784}}, weights}, plain(1), "or [examples, length, channels], got f32[8,784]; did you mean to reshape"},
            {{x, {DType::f32, {3, 3, 16}}}, plain(1), "the weights must be [window.., channels / groups, results], 4 axes"},
            {{x, {DType::bf16, {3, 3, 3, 16}}}, plain(1), "conv: needs two inputs of one floating type: f32[8,28,28,3] and bf16"},
            {{{DType::f32, {8, 2, 28, 3}}, weights},
             plain(1),
             "conv: the window spans 3 on axis 1 of f32[8,2,28,3], which has 2 and 0 of padding; did you mean a padding of 1?"},
            {{x, weights},
             ConvCase{"", {}, {}, 0, {1, 0}, {0, 0}, {0, 0}, {1, 1}}.attrs(),
             "conv: on axis 2 of f32[8,28,28,3] the window is 3, the stride 0"}};
  }
};

struct ConvGeometry {
  std::vector<int64_t> strides = {}, low = {}, high = {}, dilation = {};  // one a spatial axis; empty: 1, and 0 of padding
  int64_t groups = 1;

  Attrs attrs(int axes) const {
    const auto count = static_cast<size_t>(std::max(axes, 0));
    const auto or_all = [&](const std::vector<int64_t>& given, int64_t value) {
      return given.empty() ? std::vector<int64_t>(count, value) : given;
    };
    return {{"strides", or_all(strides, 1)}, {"low", or_all(low, 0)}, {"high", or_all(high, 0)},
            {"dilation", or_all(dilation, 1)}, {"groups", groups}};
  }
};

// x [n, spatial.., c] under weights [window.., c / groups, k] gives [n, places.., k]; 1 or 2 spatial axes. Result channel
// k sees the input channels of its group alone: groups = c is a depthwise convolution.
inline Tensor conv(Tensor x, Tensor weights, const ConvGeometry& options = {}, Site at = Site::here()) {
  return apply<Conv>({x, weights}, options.attrs(x.rank() - 2), at);
}

}  // namespace descent

#include "descent/ops/conv_input_gradient.h"
#include "descent/ops/conv_weight_gradient.h"
