#pragma once

#include "descent/ops/fused_attention.h"

namespace descent {

// The gradients of a self-attention's queries, keys and values in one array, as the product that made them had them.
struct FusedAttentionGradient {
  static constexpr auto name = "fused_attention_gradient";
  static constexpr auto summary =
      "the gradients of attention, of q, k, v, g[B, H, T, features] and perhaps lengths, as [B, T, 3 * H * features]: "
      "{causal}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = -1;

  static std::vector<Type> infer(const InferArgs& args) {
    const std::vector<Type> each = AttentionGradient::infer(args);
    const Shape& s = each[0].shape;
    if (s.rank() != 4 || each[1] != each[0] || each[2] != each[0])
      fail(text(name, ": needs queries, keys and values [sequences, heads, places, features] of one type, got ",
                each[0], ", ", each[1], ", ", each[2]));
    return {{each[0].dtype, {s[0], s[2], 3 * s[1] * s[3]}}};
  }

  static void evaluate(const EvalArgs& args) {
    std::vector<Dense> parts;
    for (const Type& type : AttentionGradient::infer({FusedAttention::types_of(args.inputs), args.attrs, {}}))
      parts.push_back({type, std::vector<double>(static_cast<size_t>(type.shape.elements()), 0)});
    AttentionGradient::evaluate({args.inputs, parts, args.attrs});
    for (int64_t part = 0; part < 3; ++part)
      FusedAttention::beside_each_other(parts[part], args.outputs[0].values, 3, part);
  }

  static Tensors expand(const ExpandArgs& args) {
    const Shape& s = args.inputs[0].shape();
    Tensors parts = attention_gradient(args.inputs, args.attrs, args.at);
    for (Tensor& part : parts)
      part = reshape(permute(part, {0, 2, 1, 3}, args.at), Shape{s[0], s[2], s[1] * s[3]}, args.at);
    return {concat(parts, -1, args.at)};
  }

  static Samples samples() {
    const auto inputs = [](const Shape& lead, int64_t places, int64_t features) {
      std::vector<SampleInput> all = attention_sample(lead, places, places, features, features);
      all.push_back(all[0]);
      return all;
    };
    const auto padded = padded_sample;
    const Attrs open{{"causal", int64_t{0}}}, causal{{"causal", int64_t{1}}};
    return {{"heads", inputs({2, 3}, 4, 8), open},
            {"causal", inputs({2, 2}, 6, 4), causal},
            {"padded", padded(inputs({3, 2}, 5, 4), {5, 2, 1}), open},
            {"causal and padded", padded(inputs({3, 2}, 5, 4), {5, 3, 0}), causal},
            {"several blocks", inputs({1, 2}, 70, 40), causal},
            {"one place", inputs({2, 1}, 1, 4), causal},
            {"empty", inputs({0, 2}, 3, 4), causal}};
  }
  static Misuses misuse() {
    const auto of = [](const Shape& shape) { return Type{DType::f32, shape}; };
    return {{{of({1, 1, 3, 4}), of({1, 1, 5, 4}), of({1, 1, 5, 4}), of({1, 1, 3, 4})},
             {{"causal", int64_t{0}}},
             "of one type, got f32[1,1,3,4], f32[1,1,5,4], f32[1,1,5,4]"}};
  }
};

}  // namespace descent
