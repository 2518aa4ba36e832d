#pragma once

#include "descent/ops/attention_rows.h"

namespace descent {

// attention_gradient.h, included below, defines this.
Tensors attention_gradient(std::span<const Tensor> inputs, const Attrs& attrs, Site at);

// Vaswani et al., "Attention is all you need", 2017: each query takes the mean of the values, weighted by the softmax
// of its products with their keys over the square root of a key's size.
//
// Causal: the queries are the last of the keys' places (all of them, or a new one behind old keys), and see their own
// place and those before it. Lengths: of each sequence only so many keys count, and always the first.
struct Attention {
  static constexpr auto name = "attention";
  static constexpr auto summary =
      "softmax(q k^T / sqrt(features)) v of q[.., Q, features], k[.., K, features], v[.., K, m] and perhaps i32 "
      "lengths of keys that count: {causal}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = -1;

  static std::vector<Type> infer(const InferArgs& args) {
    if (args.inputs.size() != 3 && args.inputs.size() != 4)
      fail(text(name, ": takes queries, keys, values and perhaps lengths, got ", args.inputs.size(), " inputs"));
    check_attention(args, 3, name);
    const Type &q = args.inputs[0], &v = args.inputs[2];
    return {{q.dtype, q.shape.with(q.shape.rank() - 1, v.shape.back())}};
  }

  static void evaluate(const EvalArgs& args) {
    const AttentionSizes sizes(args.inputs[0].type.shape, args.inputs[1].type.shape, args.inputs[2].type.shape);
    for (int64_t item = 0; item < sizes.lead; ++item)
      for (int64_t query = 0; query < sizes.queries; ++query) {
        const std::vector<double> weights = attention_weights(args, 3, item, query);
        const double* v = args.inputs[2].values.data() + item * sizes.keys * sizes.outputs;
        double* out = args.outputs[0].values.data() + (item * sizes.queries + query) * sizes.outputs;
        for (int64_t key = 0; key < std::ssize(weights); ++key)
          for (int64_t i = 0; i < sizes.outputs; ++i) out[i] += weights[key] * v[key * sizes.outputs + i];
      }
  }

  static Tensors expand(const ExpandArgs& args) {
    return {matmul(attention_weights(args, 3), args.inputs[2], args.at)};
  }

  static Tensors vjp(const VjpArgs& args) {
    Tensors in(args.inputs.begin(), args.inputs.end());
    in.insert(in.begin() + 3, args.cotangents[0]);
    Tensors out = attention_gradient(in, args.attrs, args.at);
    out.resize(in.size() - 1);  // lengths have none
    return out;
  }

  static Samples samples() {
    const auto inputs = attention_sample;
    const auto padded = padded_sample;
    const Attrs open{{"causal", int64_t{0}}}, causal{{"causal", int64_t{1}}};
    return {{"matrices", inputs({}, 3, 5, 4, 6), open},
            {"heads", inputs({2, 3}, 4, 5, 8, 8), open},
            {"causal", inputs({2, 2}, 6, 6, 4, 4), causal},
            {"one new query", inputs({2}, 1, 6, 4, 4), causal},
            {"padded", padded(inputs({3, 2}, 2, 5, 4, 3), {5, 2, 1}), open},
            {"causal and padded", padded(inputs({3, 2}, 5, 5, 4, 4), {5, 3, 0}), causal},
            {"lengths outside", padded(inputs({2}, 3, 4, 4, 4), {-7, 2147483647}), open},
            {"one key", inputs({2}, 3, 1, 4, 4), open},
            {"long", inputs({1}, 20, 300, 16, 16), open},
            {"large",
             {{{DType::f32, {1, 1}}, 0, 0, {1000}}, {{DType::f32, {2, 1}}, 0, 0, {1, 2}}, {{DType::f32, {2, 3}}}},
             open,
             false},
            {"no queries", inputs({2}, 0, 3, 4, 4), open},
            {"empty", inputs({0}, 2, 3, 4, 4), causal}};
  }
  static Misuses misuse() {
    const auto of = [](const Shape& shape) { return Type{DType::f32, shape}; };
    const Attrs open{{"causal", int64_t{0}}}, causal{{"causal", int64_t{1}}};
    return {
        {{of({3, 4}), of({5, 6}), of({5, 4})},
         open,
         "attention: queries and keys need the same number of features, at least 1: queries f32[3,4], keys f32[5,6]"},
        {{of({3, 4}), of({5, 4}), of({6, 4})}, open, "attention: needs as many values as keys, at least 1"},
        {{of({2, 3, 4}), of({3, 5, 4}), of({2, 5, 4})}, open, "attention: leading sizes differ"},
        {{of({3, 4}), of({2, 4}), of({2, 4})}, causal, "attention: causal queries cannot be more than the keys"},
        {{of({3, 4}), of({5, 4})}, open, "takes queries, keys, values and perhaps lengths, got 2 inputs"},
        {{of({2, 3, 4}), of({2, 5, 4}), of({2, 5, 4}), {DType::i32, {3}}},
         open,
         "attention: the lengths must be i32 of the first leading sizes, [2], got i32[3]"}};
  }
};

// q[.., Q, features], k[.., K, features] and v[.., K, m] give [.., Q, m]; leading axes are sequences and heads.
inline Tensor attention(Tensor q, Tensor k, Tensor v, bool causal = false, Site at = Site::here()) {
  return apply<Attention>({q, k, v}, {{"causal", int64_t{causal}}}, at);
}

// With lengths i32 of the first leading axes: keys from there on do not count, whatever finite numbers they hold.
inline Tensor padded_attention(Tensor q, Tensor k, Tensor v, Tensor lengths, bool causal = false,
                               Site at = Site::here()) {
  return apply<Attention>({q, k, v, lengths}, {{"causal", int64_t{causal}}}, at);
}

}  // namespace descent

#include "descent/ops/attention_gradient.h"
