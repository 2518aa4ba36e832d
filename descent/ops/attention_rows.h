// What attention and its gradient share: which keys count for a query, and how much.
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

struct AttentionSizes {
  AttentionSizes(const Shape& q, const Shape& k, const Shape& v)
      : lead(q.first(q.rank() - 2).elements()),
        queries(q[q.rank() - 2]),
        keys(k[k.rank() - 2]),
        features(q.back()),
        outputs(v.back()) {}
  int64_t lead, queries, keys, features, outputs;
};

inline bool is_causal(const Attrs& attrs) { return attrs.integer("causal") != 0; }

// Fails unless the first three inputs are queries, keys and values; `lengths` is the number of the input that tells how
// many keys count, if there is one.
inline void check_attention(const InferArgs& args, size_t lengths, std::string_view name) {
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
  if (args.inputs.size() <= lengths) return;
  const Type& given = args.inputs[lengths];
  const int axes = given.shape.rank();
  if (given.dtype != DType::i32 || axes > lead.rank() || lead.first(axes) != given.shape)
    fail(text(name, ": the lengths must be i32 of the first leading sizes, ", lead, ", got ", given));
}

// The scores of the first keys, those that count for a query, over the square root of a key's size.
inline std::vector<double> attention_scores(const EvalArgs& args, size_t lengths, int64_t item, int64_t query) {
  const AttentionSizes sizes(args.inputs[0].type.shape, args.inputs[1].type.shape, args.inputs[2].type.shape);
  int64_t seen = sizes.keys;
  if (is_causal(args.attrs)) seen = query + 1 + sizes.keys - sizes.queries;
  if (args.inputs.size() > lengths) {
    const std::vector<double>& all = args.inputs[lengths].values;
    const int64_t share = sizes.lead / std::ssize(all);  // leading items with one length
    seen = static_cast<int64_t>(std::clamp(all[item / share], 1.0, static_cast<double>(seen)));
  }
  const double* q = args.inputs[0].values.data() + (item * sizes.queries + query) * sizes.features;
  const double* k = args.inputs[1].values.data() + item * sizes.keys * sizes.features;
  std::vector<double> scores(static_cast<size_t>(seen));
  for (int64_t key = 0; key < seen; ++key)
    for (int64_t i = 0; i < sizes.features; ++i)
      scores[key] += q[i] * k[key * sizes.features + i] / std::sqrt(static_cast<double>(sizes.features));
  return scores;
}

// The logarithm of the sum of scores' exponentials: a weight is exp(score - log_of_sum).
inline double log_of_sum(std::span<const double> scores) {
  const double largest = *std::ranges::max_element(scores);
  double total = 0;
  for (const double score : scores) total += std::exp(score - largest);
  return largest + std::log(total);
}

inline std::vector<double> attention_weights(const EvalArgs& args, size_t lengths, int64_t item, int64_t query) {
  std::vector<double> weights = attention_scores(args, lengths, item, query);
  const double log = log_of_sum(weights);
  for (double& weight : weights) weight = std::exp(weight - log);
  return weights;
}

// The scores in ops: [.., Q, K], minus infinity where a key does not count.
inline Tensor attention_scores(const ExpandArgs& args, size_t lengths) {
  const Tensor q = args.inputs[0], k = args.inputs[1];
  const double scale = 1 / std::sqrt(static_cast<double>(q.shape().back()));
  const Tensor scores = matmul(q, transpose(k, args.at), args.at) * scale;
  const Shape places{q.shape()[q.rank() - 2], k.shape()[k.rank() - 2]};
  const auto column = [&] { return iota(q.graph(), places, 1, DType::i32, args.at); };
  Tensor mask;
  if (is_causal(args.attrs)) {
    const Tensor own = iota(q.graph(), places, 0, DType::i32, args.at) + static_cast<double>(places[1] - places[0]);
    mask = less_equal(column(), own);
  }
  if (args.inputs.size() > lengths) {
    Shape beside = args.inputs[lengths].shape();
    while (beside.rank() < q.rank()) beside.push_back(1);
    const Tensor within = less(column(), reshape(maximum(args.inputs[lengths], 1.0), beside, args.at));
    mask = mask ? logical_and(mask, within) : within;
  }
  return mask ? where(mask, scores, {-HUGE_VAL, args.at}) : scores;
}

// [.., Q, K], 0 where a key does not count.
inline Tensor attention_weights(const ExpandArgs& args, size_t lengths) {
  return softmax(attention_scores(args, lengths), args.at);
}

// Inputs of samples: q[.., queries, features], k[.., keys, features], v[.., keys, outputs].
inline std::vector<SampleInput> attention_sample(const Shape& lead, int64_t queries, int64_t keys, int64_t features,
                                                 int64_t outputs) {
  const auto of = [&](int64_t rows, int64_t columns) {
    Shape shape = lead;
    shape.push_back(rows);
    shape.push_back(columns);
    return SampleInput{{DType::f32, shape}, -2, 2};
  };
  return {of(queries, features), of(keys, features), of(keys, outputs)};
}

// With lengths i32[count] behind them.
inline std::vector<SampleInput> padded_sample(std::vector<SampleInput> inputs, std::vector<double> lengths) {
  const auto count = static_cast<int64_t>(lengths.size());
  inputs.push_back({{DType::i32, {count}}, 0, 0, std::move(lengths)});
  return inputs;
}

}  // namespace descent
