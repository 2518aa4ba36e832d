#pragma once

#include "descent/ops/fused_attention.h"

namespace descent {

// The gradients of a self-attention's queries, keys and values in one array, as the product that made them had them,
// from what fused_attention gave: a weight is exp(score - log), and with the result o the mean <dp, p> is <g, o>. Where
// queries, keys and values lie in one array as the result does, it may take their place: kernels read all of a head
// that they will still need before they write it.
struct FusedAttentionGradient {
  static constexpr auto name = "fused_attention_gradient";
  static constexpr auto summary =
      "the gradients of attention, of q, k, v, g and its result, each [B, H, T, features], its logarithms [B, H, T] "
      "and "
      "perhaps lengths, as [B, T, 3 * H * features]: {causal}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = -1;
  static constexpr int result = 4, logs = 5, lengths = 6;  // numbers of inputs

  static std::vector<Type> infer(const InferArgs& args) {
    if (args.inputs.size() != 6 && args.inputs.size() != 7)
      fail(text(name, ": takes queries, keys, values, a cotangent, a result, logarithms and perhaps lengths, got ",
                args.inputs.size(), " inputs"));
    check_attention(args, lengths, name);
    const Type& q = args.inputs[0];
    for (int i = 1; i <= result; ++i)
      if (args.inputs[i] != q || q.shape.rank() != 4)
        fail(text(name, ": needs inputs [sequences, heads, places, features] of one type, got ", q, " and ",
                  args.inputs[i]));
    if (args.inputs[logs].shape != q.shape.first(3) || !is_floating(args.inputs[logs].dtype))
      fail(text(name, ": the logarithms must be of shape ", q.shape.first(3), ", got ", args.inputs[logs]));
    return {{q.dtype, {q.shape[0], q.shape[2], 3 * q.shape[1] * q.shape[3]}}};
  }

  static void evaluate(const EvalArgs& args) {
    const Type& type = args.inputs[0].type;
    std::vector<Dense> parts(3, {type, std::vector<double>(static_cast<size_t>(type.shape.elements()), 0)});
    for (int64_t row = 0; row < type.shape.first(3).elements(); ++row) add_query(args, row, parts);
    for (int64_t part = 0; part < 3; ++part)
      FusedAttention::beside_each_other(parts[part], args.outputs[0].values, 3, part);
  }

  static Tensors expand(const ExpandArgs& args) {
    const Tensor q = args.inputs[0], k = args.inputs[1], v = args.inputs[2], g = args.inputs[3];
    const Shape& s = q.shape();
    const Tensor given = reshape(args.inputs[logs], Shape{s[0], s[1], s[2], 1}, args.at);
    const Tensor beside = given.dtype() == q.dtype() ? given : cast(given, q.dtype(), args.at);
    const Tensor p = exp(sub(attention_scores(args, lengths), beside), args.at);
    const Tensor mean = sum(mul(g, args.inputs[result]), {-1}, true, args.at);
    const double scale = 1 / std::sqrt(static_cast<double>(s[3]));
    const Tensor ds = mul(p, sub(matmul(g, transpose(v, args.at), args.at), mean)) * scale;
    Tensors parts{matmul(ds, k, args.at), matmul(transpose(ds, args.at), q, args.at),
                  matmul(transpose(p, args.at), g, args.at)};
    for (Tensor& part : parts)
      part = reshape(permute(part, {0, 2, 1, 3}, args.at), Shape{s[0], s[2], s[1] * s[3]}, args.at);
    return {concat(parts, -1, args.at)};
  }

  static Samples samples() {
    const auto inputs = [](const Shape& lead, int64_t places, int64_t features) {
      std::vector<SampleInput> all = attention_sample(lead, places, places, features, features);
      all.push_back(all[0]);
      all.push_back(all[0]);
      all.push_back({{DType::f32, {lead[0], lead[1], places}}, 1, 4});
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
    const Type heads = of({1, 1, 3, 4}), longer = of({1, 1, 5, 4}), logarithms = of({1, 1, 3});
    const Attrs open{{"causal", int64_t{0}}};
    return {{{heads, longer, longer, heads, heads, logarithms}, open, "of one type, got f32[1,1,3,4] and f32[1,1,5,4]"},
            {{heads, heads, heads, heads, heads, heads}, open, "the logarithms must be of shape [1,1,3]"},
            {{heads, heads, heads, heads}, open, "logarithms and perhaps lengths, got 4 inputs"}};
  }

 private:
  static void add_query(const EvalArgs& args, int64_t row, std::vector<Dense>& parts) {
    const Shape& s = args.inputs[0].type.shape;
    const int64_t places = s[2], width = s[3], keys = row / places * places;
    const double scale = 1 / std::sqrt(static_cast<double>(width));
    const auto in = [&](int port, int64_t at, int64_t i) { return args.inputs[port].values[at * width + i]; };
    const std::vector<double> scores = attention_scores(args, lengths, row / places, row % places);
    double mean = 0;
    for (int64_t i = 0; i < width; ++i) mean += in(3, row, i) * in(result, row, i);
    for (int64_t key = 0; key < std::ssize(scores); ++key) {
      const double p = std::exp(scores[key] - args.inputs[logs].values[row]);
      double dp = 0;
      for (int64_t i = 0; i < width; ++i) dp += in(3, row, i) * in(2, keys + key, i);
      const double ds = p * (dp - mean) * scale;
      for (int64_t i = 0; i < width; ++i) {
        parts[0].values[row * width + i] += ds * in(1, keys + key, i);
        parts[1].values[(keys + key) * width + i] += ds * in(0, row, i);
        parts[2].values[(keys + key) * width + i] += p * in(3, row, i);
      }
    }
  }
};

}  // namespace descent
