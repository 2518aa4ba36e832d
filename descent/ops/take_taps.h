#pragma once

#include "descent/ops/max_pool_gradient.h"

namespace descent {

// The gradient of max_pool's gradient.
struct TakeTaps {
  static constexpr auto name = "take_taps";
  static constexpr auto summary = "the elements of images that max_pool chose in others: {window, strides, low, high}";
  static constexpr OpClass op_class = OpClass::index;
  static constexpr int arity = 2;
  static constexpr bool exact = true;

  static std::vector<Type> infer(const InferArgs& args) {
    tap_walk(args.attrs, args.inputs[0], args.inputs[1], name);
    return {{args.inputs[0].dtype, args.inputs[1].shape}};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<double>& x = args.inputs[0].values;
    tap_walk(args.attrs, args.inputs[0].type, args.inputs[1].type, name)
        .for_each(args.inputs[1].values, [&](int64_t from, int64_t to) { args.outputs[0].values[to] = x[from]; });
  }

  static Tensors vjp(const VjpArgs& args) {
    return {max_pool_gradient(args.cotangents[0], args.inputs[1], spatial_sizes(args.inputs[0].shape()), args.attrs,
                              args.at),
            Tensor()};
  }

  static Samples samples() {
    Samples out;
    for (const PoolCase& each : pool_cases())
      out.push_back({each.name, {{{DType::f32, each.x}}, sample_taps(each)}, each.attrs()});
    return out;
  }
  static Misuses misuse() {
    return {{{{DType::f32, {2, 8, 8, 3}}, {DType::u8, {2, 4, 3, 3}}},
             PoolCase{"", {}, {2, 2}, {2, 2}, {0, 0}, {0, 0}}.attrs(),
             "take_taps: the taps of f32[2,8,8,3] are u8[2,4,4,3], got u8[2,4,3,3]"}};
  }
};

inline Tensor take_taps(Tensor x, Tensor taps, const Attrs& attrs, Site at) {
  return apply<TakeTaps>({x, taps}, pool_geometry(attrs), at);
}

}  // namespace descent
