#pragma once

#include "descent/ops/attention.h"
#include "descent/ops/cast.h"
#include "descent/ops/log.h"
#include "descent/ops/permute.h"

namespace descent {

// Attention and its gradient as a backend may run them whole, where it never stores the weights. Users write attention;
// the compiler makes these of it. The heads of a place lie side by side, as the products around attention want them.
// Beside the result it gives the logarithm of each query's sum of exponentials, f32 [B, H, Q], which tells the gradient
// what a weight is without all others of its query (as in Dao, "FlashAttention-2", 2023).
struct FusedAttention {
  static constexpr auto name = "fused_attention";
  static constexpr auto summary =
      "attention of q[B, H, Q, features], k[B, H, K, features], v[B, H, K, m] and perhaps lengths, as [B, Q, H, m], "
      "and "
      "the logarithms of sums of exponentials of scores, f32[B, H, Q]: {causal}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = -1;

  static std::vector<Type> infer(const InferArgs& args) {
    const Type out = Attention::infer(args)[0];
    const Shape& s = out.shape;
    if (s.rank() != 4) fail(text(name, ": needs inputs [sequences, heads, places, features], got ", args.inputs[0]));
    return {{out.dtype, {s[0], s[2], s[1], s[3]}}, {DType::f32, s.first(3)}};
  }

  static void evaluate(const EvalArgs& args) {
    const Type apart = Attention::infer({types_of(args.inputs), args.attrs, {}})[0];
    Dense out{apart, std::vector<double>(args.outputs[0].values.size(), 0)};
    Attention::evaluate({args.inputs, std::span(&out, 1), args.attrs});
    beside_each_other(out, args.outputs[0].values, 1, 0);
    for (int64_t row = 0, queries = apart.shape[2]; row < std::ssize(args.outputs[1].values); ++row)
      args.outputs[1].values[row] = log_of_sum(attention_scores(args, 3, row / queries, row % queries));
  }

  static Tensors expand(const ExpandArgs& args) {
    const Tensor scores = attention_scores(args, 3), largest = max(scores, {-1}, true, args.at);
    const Tensor sums = sum(exp(sub(scores, largest), args.at), {-1}, true, args.at);
    const Tensor logs = reshape(add(log(sums, args.at), largest), scores.shape().first(3), args.at);
    return {permute(apply(op_def<Attention>(), args.inputs, args.attrs, args.at)[0], {0, 2, 1, 3}, args.at),
            logs.dtype() == DType::f32 ? logs : cast(logs, DType::f32, args.at)};
  }

  static Samples samples() {
    const auto inputs = attention_sample;
    const auto padded = padded_sample;
    const Attrs open{{"causal", int64_t{0}}}, causal{{"causal", int64_t{1}}};
    return {{"heads", inputs({2, 3}, 4, 5, 8, 8), open},
            {"causal", inputs({2, 2}, 6, 6, 4, 4), causal},
            {"one new query", inputs({2, 1}, 1, 6, 4, 4), causal},
            {"padded", padded(inputs({3, 2}, 2, 5, 4, 3), {5, 2, 1}), open},
            {"causal and padded", padded(inputs({3, 2}, 5, 5, 4, 4), {5, 3, 0}), causal},
            {"several blocks", inputs({1, 2}, 70, 100, 40, 20), causal},
            {"long", inputs({1, 1}, 20, 300, 16, 16), open},
            {"no queries", inputs({2, 1}, 0, 3, 4, 4), open},
            {"empty", inputs({0, 2}, 2, 3, 4, 4), causal}};
  }
  static Misuses misuse() {
    const Type matrix{DType::f32, {3, 4}};
    return {{{matrix, matrix, matrix}, {{"causal", int64_t{0}}}, "needs inputs [sequences, heads, places, features]"}};
  }

  static std::vector<Type> types_of(std::span<const Dense> all) {
    std::vector<Type> out;
    for (const Dense& each : all) out.push_back(each.type);
    return out;
  }

  // x[B, H, T, m] into part number `part` of each row of [B, T, parts * H * m].
  static void beside_each_other(const Dense& x, std::vector<double>& out, int64_t parts, int64_t part) {
    const Shape& s = x.type.shape;
    for_each_index(s, [&](std::span<const int64_t> at, int64_t flat) {
      out[((at[0] * s[2] + at[2]) * parts + part) * s[1] * s[3] + at[1] * s[3] + at[3]] = x.values[flat];
    });
  }
};

}  // namespace descent
