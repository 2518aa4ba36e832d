#pragma once

#include <algorithm>
#include <cmath>

#include "descent/ops/compare.h"
#include "descent/ops/iota.h"
#include "descent/ops/matmul.h"
#include "descent/ops/maximum.h"
#include "descent/ops/softmax.h"
#include "descent/ops/where.h"

namespace descent {

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
    const Type &q = args.inputs[0], &k = args.inputs[1], &v = args.inputs[2];
    const auto all = [&] { return text("queries ", q, ", keys ", k, ", values ", v); };
    const int rank = q.shape.rank();
    if (!is_floating(q.dtype) || k.dtype != q.dtype || v.dtype != q.dtype || rank < 2 || k.shape.rank() != rank ||
        v.shape.rank() != rank)
      fail(text(name, ": needs inputs of one floating type and equal rank, at least 2: ", all()));
    const Shape lead = q.shape.first(rank - 2);
    if (k.shape.first(rank - 2) != lead || v.shape.first(rank - 2) != lead)
      fail(text(name, ": leading sizes differ: ", all()));
    if (k.shape.back() != q.shape.back() || q.shape.back() == 0)
      fail(text(name, ": queries and keys need the same number of features, at least 1: ", all()));
    if (v.shape[rank - 2] != k.shape[rank - 2] || k.shape[rank - 2] == 0)
      fail(text(name, ": needs as many values as keys, at least 1: ", all()));
    if (is_causal(args.attrs) && q.shape[rank - 2] > k.shape[rank - 2])
      fail(text(name, ": causal queries cannot be more than the keys: ", all()));
    if (args.inputs.size() == 4) check_lengths(args.inputs[3], lead);
    return {{q.dtype, q.shape.with(rank - 1, v.shape.back())}};
  }

  static void evaluate(const EvalArgs& args) {
    const Sizes sizes(args.inputs[0].type.shape, args.inputs[1].type.shape, args.inputs[2].type.shape);
    for (int64_t item = 0; item < sizes.lead; ++item)
      for (int64_t query = 0; query < sizes.queries; ++query) {
        const int64_t seen = keys_seen(args, sizes, item, query);
        attend(args, sizes, item, query, seen);
      }
  }

  static Tensors expand(const ExpandArgs& args) {
    const Tensor q = args.inputs[0], k = args.inputs[1], v = args.inputs[2];
    const double scale = 1 / std::sqrt(static_cast<double>(q.shape().back()));
    Tensor scores = matmul(q, transpose(k, args.at), args.at) * scale;
    if (const Tensor mask = visible(args)) scores = where(mask, scores, {-HUGE_VAL, args.at});
    return {matmul(softmax(scores, args.at), v, args.at)};
  }

  static Samples samples() {
    const auto inputs = [](const Shape& lead, int64_t queries, int64_t keys, int64_t features, int64_t outputs) {
      const auto of = [&](int64_t rows, int64_t columns) {
        Shape shape = lead;
        shape.push_back(rows);
        shape.push_back(columns);
        return SampleInput{{DType::f32, shape}, -2, 2};
      };
      return std::vector<SampleInput>{of(queries, features), of(keys, features), of(keys, outputs)};
    };
    const auto padded = [&](std::vector<SampleInput> all, std::vector<double> lengths) {
      const auto count = static_cast<int64_t>(lengths.size());
      all.push_back({{DType::i32, {count}}, 0, 0, std::move(lengths)});
      return all;
    };
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

 private:
  struct Sizes {
    Sizes(const Shape& q, const Shape& k, const Shape& v)
        : lead(q.first(q.rank() - 2).elements()),
          queries(q[q.rank() - 2]),
          keys(k[k.rank() - 2]),
          features(q.back()),
          outputs(v.back()) {}
    int64_t lead, queries, keys, features, outputs;
  };

  static bool is_causal(const Attrs& attrs) { return attrs.integer("causal") != 0; }

  static void check_lengths(const Type& lengths, const Shape& lead) {
    const int rank = lengths.shape.rank();
    if (lengths.dtype != DType::i32 || rank > lead.rank() || lead.first(rank) != lengths.shape)
      fail(text(name, ": the lengths must be i32 of the first leading sizes, ", lead, ", got ", lengths));
  }

  // The first so many keys count for a query.
  static int64_t keys_seen(const EvalArgs& args, const Sizes& sizes, int64_t item, int64_t query) {
    int64_t seen = sizes.keys;
    if (is_causal(args.attrs)) seen = query + 1 + sizes.keys - sizes.queries;
    if (args.inputs.size() == 4) {
      const std::vector<double>& lengths = args.inputs[3].values;
      const int64_t share = sizes.lead / std::ssize(lengths);  // leading items with one length
      seen = static_cast<int64_t>(std::clamp(lengths[item / share], 1.0, static_cast<double>(seen)));
    }
    return seen;
  }

  static void attend(const EvalArgs& args, const Sizes& sizes, int64_t item, int64_t query, int64_t seen) {
    const double* q = args.inputs[0].values.data() + (item * sizes.queries + query) * sizes.features;
    const double* k = args.inputs[1].values.data() + item * sizes.keys * sizes.features;
    const double* v = args.inputs[2].values.data() + item * sizes.keys * sizes.outputs;
    double* out = args.outputs[0].values.data() + (item * sizes.queries + query) * sizes.outputs;
    std::vector<double> weights(static_cast<size_t>(seen));
    for (int64_t key = 0; key < seen; ++key)
      for (int64_t i = 0; i < sizes.features; ++i)
        weights[key] += q[i] * k[key * sizes.features + i] / std::sqrt(static_cast<double>(sizes.features));
    const double largest = *std::ranges::max_element(weights);
    double total = 0;
    for (double& weight : weights) total += weight = std::exp(weight - largest);
    for (int64_t key = 0; key < seen; ++key)
      for (int64_t i = 0; i < sizes.outputs; ++i) out[i] += weights[key] / total * v[key * sizes.outputs + i];
  }

  // Which keys count for which queries, broadcasting to the scores; no tensor: all.
  static Tensor visible(const ExpandArgs& args) {
    const Shape &q = args.inputs[0].shape(), &k = args.inputs[1].shape();
    const Shape places{q[q.rank() - 2], k[k.rank() - 2]};
    Graph& graph = args.inputs[0].graph();
    const auto column = [&] { return iota(graph, places, 1, DType::i32, args.at); };
    Tensor mask;
    if (is_causal(args.attrs)) {
      const Tensor own = iota(graph, places, 0, DType::i32, args.at) + static_cast<double>(places[1] - places[0]);
      mask = less_equal(column(), own);
    }
    if (args.inputs.size() == 4) {
      Shape beside = args.inputs[3].shape();
      while (beside.rank() < q.rank()) beside.push_back(1);
      const Tensor lengths = reshape(maximum(args.inputs[3], 1.0), beside, args.at);
      const Tensor within = less(column(), lengths);
      mask = mask ? logical_and(mask, within) : within;
    }
    return mask;
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
