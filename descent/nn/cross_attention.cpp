#include "descent/nn/cross_attention.h"

#include "descent/nn/decoding.h"
#include "descent/ops/attention.h"
#include "descent/ops/permute.h"
#include "descent/ops/reshape.h"
#include "descent/ops/split.h"

namespace descent::nn {

CrossAttention::CrossAttention(int64_t heads, CrossAttentionOptions options, Site at)
    : heads_(heads), options_(std::move(options)), at_(at) {
  if (heads < 1) throw UsageError(at, text("CrossAttention: the number of heads must be at least 1, got ", heads));
}

std::vector<std::pair<std::string, ModulePtr>> CrossAttention::children() const {
  if (!queries_) return {};
  return {{"queries", queries_}, {"source", source_}, {"output", output_}};
}

void CrossAttention::make(int64_t features) {
  queries_ = std::make_shared<Linear>(features, options_.queries, at_);
  source_ = std::make_shared<Linear>(2 * features, options_.source, at_);
  output_ = std::make_shared<Linear>(features, options_.output, at_);
}

void CrossAttention::check(const Pass& pass, const Type& x) const {
  const std::string who = layer_label(pass, *this);
  if (x.dtype != DType::f32 || x.shape.rank() != 3)
    fail(at_, text(who, "needs f32 inputs [sequences, places, features], got ", x));
  if (x.shape[2] == 0 || x.shape[2] % heads_ != 0)
    fail(at_, text(who, "the ", x.shape[2], " features of ", x, " cannot be parted into ", heads_, " heads"));
  const Tensor source = pass.source();
  if (!source && !pass.decoding())
    fail(at_, text(who, "there is no other sequence to look at; it belongs into the decoder of an EncoderDecoder"));
  if (source && (source.dtype() != DType::f32 || source.rank() != 3 || source.shape()[0] != x.shape[0]))
    fail(at_, text(who, "looks at ", source.type(), ", which is not f32 [sequences, places, features] beside ", x));
}

// [B, T, features] as [B, heads, T, features / heads].
Tensor CrossAttention::in_heads(Tensor x) const {
  const Shape& shape = x.shape();
  return permute(reshape(x, {shape[0], shape[1], heads_, shape[2] / heads_}, at_), {0, 2, 1, 3}, at_);
}

CrossAttention::Source CrossAttention::source(Pass& pass) {
  Source out;
  if (pass.source()) {
    const Tensor both = trace_layer(pass, "source", *source_, pass.source());
    const Tensors parts = split(both, -1, 2, at_);
    out = {in_heads(parts[0]), in_heads(parts[1]), pass.source_lengths()};
  }
  Decoding* decoding = pass.decoding();
  if (decoding == nullptr) return out;
  out.keys = decoding->hold(pass, "source_keys", out.keys);
  out.values = decoding->hold(pass, "source_values", out.values);
  out.lengths = decoding->hold(pass, "source_lengths", out.lengths);
  return out;
}

Tensor CrossAttention::forward(Pass& pass, Tensor x) {
  check(pass, x.type());
  if (!queries_) make(x.shape()[2]);
  const Tensor queries = in_heads(trace_layer(pass, "queries", *queries_, x));
  const auto [keys, values, lengths] = source(pass);
  const Tensor seen = lengths ? padded_attention(queries, keys, values, lengths, false, at_)
                              : attention(queries, keys, values, false, at_);
  return trace_layer(pass, "output", *output_, reshape(permute(seen, {0, 2, 1, 3}, at_), x.shape(), at_));
}

}  // namespace descent::nn
