#pragma once

#include "descent/ops/attention.h"
#include "descent/ops/concat.h"
#include "descent/ops/sum.h"

namespace descent {

// Of attention's result o with the cotangent g. The weights p are computed again, not kept: with dp = g v^T and
// ds = p (dp - <dp, p>) / sqrt(features), the gradients are ds k, ds^T q and p^T g.
struct AttentionGradient {
  static constexpr auto name = "attention_gradient";
  static constexpr auto summary =
      "the gradients of attention's queries, keys and values: of q, k, v, g[.., Q, m] and perhaps lengths: {causal}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = -1;

  static std::vector<Type> infer(const InferArgs& args) {
    if (args.inputs.size() != 4 && args.inputs.size() != 5)
      fail(text(name, ": takes queries, keys, values, a cotangent and perhaps lengths, got ", args.inputs.size(),
                " inputs"));
    check_attention(args, 4, name);
    const Type &q = args.inputs[0], &v = args.inputs[2];
    const Type wanted{q.dtype, q.shape.with(q.shape.rank() - 1, v.shape.back())};
    if (args.inputs[3] != wanted) fail(text(name, ": the cotangent must be ", wanted, ", got ", args.inputs[3]));
    return {args.inputs[0], args.inputs[1], args.inputs[2]};
  }

  static void evaluate(const EvalArgs& args) {
    const AttentionSizes sizes(args.inputs[0].type.shape, args.inputs[1].type.shape, args.inputs[2].type.shape);
    for (int64_t item = 0; item < sizes.lead; ++item)
      for (int64_t query = 0; query < sizes.queries; ++query) add_query(args, sizes, item, query);
  }

  static Tensors expand(const ExpandArgs& args) {
    const Tensor q = args.inputs[0], k = args.inputs[1], v = args.inputs[2], g = args.inputs[3];
    const double scale = 1 / std::sqrt(static_cast<double>(q.shape().back()));
    const Tensor p = attention_weights(args, 4), dp = matmul(g, transpose(v, args.at), args.at);
    const Tensor ds = mul(p, sub(dp, sum(mul(dp, p), {-1}, true, args.at))) * scale;
    return {matmul(ds, k, args.at), matmul(transpose(ds, args.at), q, args.at),
            matmul(transpose(p, args.at), g, args.at)};
  }

  static Samples samples() {
    const auto inputs = [](const Shape& lead, int64_t queries, int64_t keys, int64_t features, int64_t outputs) {
      std::vector<SampleInput> all = attention_sample(lead, queries, keys, features, outputs);
      all.push_back(attention_sample(lead, queries, keys, outputs, outputs)[0]);
      return all;
    };
    const auto padded = padded_sample;
    const Attrs open{{"causal", int64_t{0}}}, causal{{"causal", int64_t{1}}};
    return {{"matrices", inputs({}, 3, 5, 4, 6), open},
            {"heads", inputs({2, 3}, 4, 5, 8, 8), open},
            {"causal", inputs({2, 2}, 6, 6, 4, 4), causal},
            {"causal and padded", padded(inputs({3, 2}, 5, 5, 4, 4), {5, 3, 0}), causal},
            {"no queries", inputs({2}, 0, 3, 4, 4), open},
            {"empty", inputs({0}, 2, 3, 4, 4), causal}};
  }
  static Misuses misuse() {
    const auto of = [](const Shape& shape) { return Type{DType::f32, shape}; };
    const Attrs open{{"causal", int64_t{0}}};
    return {{{of({3, 4}), of({5, 4}), of({5, 6}), of({3, 4})},
             open,
             "attention_gradient: the cotangent must be f32[3,6], got f32[3,4]"},
            {{of({3, 4}), of({5, 4}), of({5, 6})}, open, "a cotangent and perhaps lengths, got 3 inputs"}};
  }

 private:
  static void add_query(const EvalArgs& args, const AttentionSizes& sizes, int64_t item, int64_t query) {
    const std::vector<double> p = attention_weights(args, 4, item, query);
    const int64_t own = item * sizes.queries + query, keys = item * sizes.keys;
    const auto in = [&](int port, int64_t row, int64_t i) {
      const int64_t width = args.inputs[port].type.shape.back();
      return args.inputs[port].values[row * width + i];
    };
    const auto add = [&](int port, int64_t row, int64_t i, double value) {
      const int64_t width = args.outputs[port].type.shape.back();
      args.outputs[port].values[row * width + i] += value;
    };
    std::vector<double> dp(p.size());
    double mean = 0;
    for (int64_t key = 0; key < std::ssize(p); ++key) {
      for (int64_t i = 0; i < sizes.outputs; ++i) dp[key] += in(3, own, i) * in(2, keys + key, i);
      mean += dp[key] * p[key];
    }
    for (int64_t key = 0; key < std::ssize(p); ++key) {
      const double ds = p[key] * (dp[key] - mean) / std::sqrt(static_cast<double>(sizes.features));
      for (int64_t i = 0; i < sizes.features; ++i) {
        add(0, own, i, ds * in(1, keys + key, i));
        add(1, keys + key, i, ds * in(0, own, i));
      }
      for (int64_t i = 0; i < sizes.outputs; ++i) add(2, keys + key, i, p[key] * in(3, own, i));
    }
  }
};

// q, k, v, the cotangent of attention(q, k, v), and the lengths if there are any; gives the gradients of q, k and v.
inline Tensors attention_gradient(std::span<const Tensor> inputs, const Attrs& attrs, Site at) {
  return apply(op_def<AttentionGradient>(), inputs, attrs, at);
}

}  // namespace descent
