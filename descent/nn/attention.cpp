#include "descent/nn/attention.h"

#include <cmath>

#include "descent/nn/decoding.h"
#include "descent/ops/attention.h"
#include "descent/ops/concat.h"
#include "descent/ops/permute.h"
#include "descent/ops/reshape.h"
#include "descent/ops/rotary.h"
#include "descent/ops/split.h"

namespace descent::nn {

SelfAttention::SelfAttention(int64_t heads, AttentionOptions options, Site at)
    : heads_(heads), options_(std::move(options)), at_(at) {
  if (heads < 1) throw UsageError(at, text("SelfAttention: the number of heads must be at least 1, got ", heads));
}

std::string SelfAttention::describe() const {
  return text("SelfAttention ", heads_, heads_ == 1 ? " head" : " heads", options_.causal ? ", causal" : "",
              options_.rotary ? ", rotary" : "");
}

std::vector<std::pair<std::string, ModulePtr>> SelfAttention::children() const {
  if (!inputs_) return {};
  return {{"inputs", inputs_}, {"output", output_}};
}

void SelfAttention::make(int64_t features) {
  inputs_ = std::make_shared<Linear>(3 * features, options_.input, at_);
  output_ = std::make_shared<Linear>(features, options_.output, at_);
}

// A new place: the keys and values before it are remembered, its own are at hand. f32 [B, heads, 1, features] each.
Tensor SelfAttention::look_back(Pass& pass, Tensor query, Tensor key, Tensor value) const {
  Decoding& decoding = *pass.decoding();
  const int64_t places = decoding.places();
  const Tensor keys = decoding.remember(pass, "keys", key), values = decoding.remember(pass, "values", value);
  const Tensor scaled = query * (1 / std::sqrt(static_cast<double>(query.shape().back())));
  const Tensor before = less(iota(pass.graph(), Shape{1, places}, 1, DType::i32, at_), decoding.position());
  const Tensor scores = where(before, matmul(scaled, transpose(keys, at_), at_), {-HUGE_VAL, at_});
  const Tensor all = softmax(concat({scores, sum(scaled * key, {-1}, true, at_)}, -1, at_), at_);
  const Tensor of_others = matmul(slice_axis(all, -1, 0, places, 1, at_), values, at_);
  return add({of_others, at_}, {slice_axis(all, -1, places, places + 1, 1, at_) * value, at_});
}

Tensor SelfAttention::forward(Pass& pass, Tensor x) {
  const std::string who = layer_label(pass, *this);
  if (x.dtype() != DType::f32 || x.rank() != 3)
    fail(at_, text(who, "needs f32 inputs [sequences, places, features], got ", x.type()));
  const int64_t sequences = x.shape()[0], places = x.shape()[1], features = x.shape()[2], each = features / heads_;
  if (features == 0 || features % heads_ != 0)
    fail(at_, text(who, "the ", features, " features of ", x.type(), " cannot be parted into ", heads_, " heads"));
  if (options_.rotary && each % 2 != 0)
    fail(at_, text(who, "rotary positions turn pairs of features, but a head has ", each, " of them"));
  if (!inputs_) make(features);
  const Tensors parts = split(trace_layer(pass, "inputs", *inputs_, x), -1, 3, at_);
  const auto heads = [&](Tensor part) {
    return permute(reshape(part, {sequences, places, heads_, each}, at_), {0, 2, 1, 3}, at_);
  };
  Tensor queries = heads(parts[0]), keys = heads(parts[1]);
  if (options_.rotary) {
    const Tensor positions =
        pass.decoding() ? pass.decoding()->position() : iota(pass.graph(), Shape{places}, 0, DType::i32, at_);
    queries = rotary(queries, positions, options_.rotary_base, at_);
    keys = rotary(keys, positions, options_.rotary_base, at_);
  }
  const Tensor values = heads(parts[2]), lengths = pass.lengths();
  const Tensor seen = pass.decoding() ? look_back(pass, queries, keys, values)
                      : lengths       ? padded_attention(queries, keys, values, lengths, options_.causal, at_)
                                      : attention(queries, keys, values, options_.causal, at_);
  return trace_layer(pass, "output", *output_, reshape(permute(seen, {0, 2, 1, 3}, at_), x.shape(), at_));
}

}  // namespace descent::nn
