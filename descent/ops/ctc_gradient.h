#pragma once

#include "descent/ops/ctc_loss.h"

namespace descent {

// What each class's probability in a frame is, less what it is given the labels (Graves et al. 2006, equation 16).
struct CtcGradient {
  static constexpr auto name = "ctc_gradient";
  static constexpr auto summary =
      "g times the gradient of ctc_loss by its scores, from g[sequences] and ctc_loss's inputs: {blank}";
  static constexpr OpClass op_class = OpClass::index;
  static constexpr int arity = 5;
  static constexpr auto no_gradient = "a loss is descended on by its first";

  static std::vector<Type> infer(const InferArgs& args) {
    ctc::check(args.inputs.subspan(1), args.attrs, name);
    const Type& scores = args.inputs[1];
    if (args.inputs[0] != Type{DType::f32, {scores.shape[0]}})
      fail(text(name, ": scores ", scores, " take one cotangent a sequence, got ", args.inputs[0]));
    return {scores};
  }

  static void evaluate(const EvalArgs& args) {
    const std::vector<double>& g = args.inputs[0].values;
    const ctc::Sizes sizes = ctc::sizes_of(args.inputs[1].type, args.inputs[2].type);
    for (int64_t i = 0; i < sizes.sequences; ++i) {
      const ctc::Paths paths = ctc::paths_of(args.inputs.subspan(1), args.attrs, i);
      if (std::isinf(paths.log_probability())) continue;
      const std::vector<double> occupancy = paths.occupancy();
      double* out = args.outputs[0].values.data() + i * sizes.frames * sizes.classes;
      for (int64_t t = 0; t < paths.frames(); ++t)
        for (int64_t c = 0; c < sizes.classes; ++c)
          out[t * sizes.classes + c] =
              g[static_cast<size_t>(i)] *
              (std::exp(paths.log_p(t, c)) - occupancy[static_cast<size_t>(t * sizes.classes + c)]);
    }
  }

  static Samples samples() {
    Samples out;
    for (const ctc::Case& each : ctc::cases()) {
      std::vector<SampleInput> inputs = each.inputs();
      inputs.insert(inputs.begin(), SampleInput{{DType::f32, {each.scores[0]}}});
      out.push_back({each.name, inputs, each.attrs()});
    }
    return out;
  }
  static Misuses misuse() {
    const Type scores{DType::f32, {2, 9, 5}}, labels{DType::i32, {2, 3}}, each{DType::i32, {2}};
    return {{{{DType::f32, {3}}, scores, labels, each, each},
             {{"blank", int64_t{0}}},
             "ctc_gradient: scores f32[2,9,5] take one cotangent a sequence, got f32[3]"}};
  }
};

inline Tensor ctc_gradient(Tensor g, std::span<const Tensor> inputs, const Attrs& attrs, Site at) {
  return apply<CtcGradient>({g, inputs[0], inputs[1], inputs[2], inputs[3]}, {{"blank", attrs.integer("blank")}}, at);
}

}  // namespace descent
