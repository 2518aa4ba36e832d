// Attention as the backend's own kernels want it.
#include <algorithm>

#include "descent/compile/passes.h"
#include "descent/ops/fused_attention.h"
#include "descent/ops/fused_attention_gradient.h"
#include "descent/ops/split.h"

namespace descent {

namespace {

// The op's results, if it accepts these inputs and the backend will take it once they are rounded; else nothing. (The
// logarithms that the gradient gets are not rounded.)
Tensors fused(const OpDef& op, const Tensors& in, const Node& node, const RunsWhole& runs_whole) {
  std::vector<Type> types;
  for (const Tensor& x : in)
    types.push_back({x.dtype() == DType::f32 && x.rank() == 4 ? DType::bf16 : x.dtype(), x.shape()});
  const bool of_heads = in[0].rank() == 4 && in[0].dtype() == DType::f32;
  if (!of_heads || !runs_whole || !runs_whole(op, types)) return {};
  return apply(op, in, node.attrs, node.site);
}

// [B, T, H * features] as [B, H, T, features].
Tensor heads_of(Tensor x, const Shape& heads, Site at) {
  return permute(reshape(x, Shape{heads[0], heads[2], heads[1], heads[3]}, at), {0, 2, 1, 3}, at);
}

Tensors attention_of(const Node& node, const Tensors& in, const RunsWhole& runs_whole) {
  if (const Tensors out = fused(op_def<FusedAttention>(), in, node, runs_whole); !out.empty())
    return {permute(out[0], {0, 2, 1, 3}, node.site)};
  return node.op->expand({in, node.attrs, node.site});
}

// With what the forward pass gave: asked for again, it is the same.
Tensors fused_gradient(const Node& node, const Tensors& in, const RunsWhole& runs_whole) {
  if (in[0].type() != in[1].type() || in[0].type() != in[2].type()) return {};
  Tensors looked_at(in.begin(), in.begin() + 3);
  looked_at.insert(looked_at.end(), in.begin() + 4, in.end());
  const Tensors forward = fused(op_def<FusedAttention>(), looked_at, node, runs_whole);
  if (forward.empty()) return {};
  Tensors all(in.begin(), in.begin() + 4);
  all.push_back(permute(forward[0], {0, 2, 1, 3}, node.site));
  all.push_back(forward[1]);
  all.insert(all.end(), in.begin() + 4, in.end());
  return fused(op_def<FusedAttentionGradient>(), all, node, runs_whole);
}

Tensors gradient_of(const Node& node, const Tensors& in, const RunsWhole& runs_whole) {
  const Tensors fused = fused_gradient(node, in, runs_whole);
  if (fused.empty()) return node.op->expand({in, node.attrs, node.site});
  const Tensor all = fused[0];
  Tensors out;
  const int64_t width = all.shape().back() / 3;
  for (int64_t part = 0; part < 3; ++part)
    out.push_back(
        heads_of(slice_axis(all, 2, part * width, (part + 1) * width, 1, node.site), in[0].shape(), node.site));
  return out;
}

}  // namespace

Staged claim_attention(const Staged& from, const RunsWhole& runs_whole) {
  Rewriter rewriter(from);
  return rewriter.run([&](uint32_t, const Node& node) {
    if (node.op == &op_def<Attention>()) return attention_of(node, rewriter.inputs(node), runs_whole);
    if (node.op == &op_def<AttentionGradient>()) return gradient_of(node, rewriter.inputs(node), runs_whole);
    if (node.op == &op_def<Split>()) return node.op->expand({rewriter.inputs(node), node.attrs, node.site});
    return rewriter.copy(node);
  });
}

}  // namespace descent
