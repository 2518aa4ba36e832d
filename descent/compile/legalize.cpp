#include <algorithm>

#include "descent/compile/fusion.h"
#include "descent/compile/passes.h"
#include "descent/compile/view.h"
#include "descent/ops/broadcast.h"
#include "descent/ops/cast.h"
#include "descent/ops/constant.h"
#include "descent/ops/fused_matmul.h"
#include "descent/ops/permute.h"
#include "descent/ops/reshape.h"

namespace descent {

namespace {

// A copy is a cast to the same type: the only loop that changes nothing. Added raw, for cast() would skip it.
Tensor copied(Tensor x, Site at) { return apply<Cast>({x}, {{"to", x.dtype()}}, at); }

bool is_reduction_over_axes(const Node& node) { return node.op->op_class == OpClass::reduce && node.attrs.has("axes"); }

// `inner` (reduced) axes of size 1 do not matter: whether the others are the last ones, or the first ones.
bool is_block(const Shape& shape, const std::vector<int64_t>& axes, bool last) {
  bool outside = false;  // seen an axis of size > 1 that is not reduced
  for (int i = 0; i < shape.rank(); ++i) {
    const int axis = last ? shape.rank() - 1 - i : i;
    if (shape[axis] == 1) continue;
    const bool reduced = std::ranges::find(axes, axis) != axes.end();
    if (reduced && outside) return false;
    outside |= !reduced;
  }
  return true;
}

bool reduces_nothing(const Shape& shape, const std::vector<int64_t>& axes) {
  return std::ranges::all_of(axes, [&](int64_t axis) { return shape[static_cast<int>(axis)] == 1; });
}

// The reduced axes moved behind the others.
Tensor with_axes_last(Tensor x, const std::vector<int64_t>& axes, Site at) {
  std::vector<int64_t> order;
  for (int64_t axis = 0; axis < x.rank(); ++axis)
    if (std::ranges::find(axes, axis) == axes.end()) order.push_back(axis);
  order.insert(order.end(), axes.begin(), axes.end());
  return permute(x, order, at);
}

std::vector<int64_t> reduced_axes(const Node& node) {
  if (node.attrs.has("axes")) return node.attrs.integers("axes");
  return {node.attrs.integer("axis")};
}

Tensor normalized(Rewriter& rewriter, const Node& node) {
  const Tensor x = rewriter.inputs(node)[0];
  const std::vector<int64_t> axes = reduced_axes(node);
  if (reduces_nothing(x.shape(), axes)) {
    if (is_reduction_over_axes(node)) return reshape(x, node.outputs[0].shape, node.site);
    return broadcast(constant(rewriter.to(), 0, node.outputs[0].dtype, node.site), node.outputs[0].shape, node.site);
  }
  if (is_block(x.shape(), axes, true) || is_block(x.shape(), axes, false)) return rewriter.copy(node)[0];
  const Tensor moved = with_axes_last(x, axes, node.site);
  std::vector<int64_t> last;
  for (size_t i = 0; i < axes.size(); ++i) last.push_back(x.rank() - static_cast<int64_t>(axes.size() - i));
  Attrs attrs = node.attrs;
  if (is_reduction_over_axes(node))
    attrs.set("axes", last);
  else
    attrs.set("axis", last[0]);
  return apply(*node.op, std::span(&moved, 1), attrs, node.site)[0];
}

// What a value is a view of, and how; `strided` is false where a reshape on the way needs a copy.
class ViewTracker {
 public:
  const View& of(Tensor x) {
    const auto known = views_.find(x.value());
    if (known != views_.end()) return known->second;
    return views_[x.value()] = dense_view(0, x.type());
  }
  void set(Tensor x, View view) { views_[x.value()] = std::move(view); }

 private:
  std::map<Value, View> views_;
};

// What a call can read as it lies: a matrix product takes matrices in either order, whose leading axes may have any
// stride; other contractions and indexed accesses take dense arrays, and so does a drawing of random numbers.
bool takes_stored_inputs(const Node& node) {
  return node.op->op_class == OpClass::contraction || node.op->op_class == OpClass::index ||
         (is_generator(node) && !node.inputs.empty());
}

bool call_can_read(const Node& call, const View& view) {
  if (call.op != &op_def<Matmul>() && call.op != &op_def<FusedMatmul>()) return view.offset == 0 && view.dense();
  if (view.sizes.size() < 2) return view.dense();
  const size_t row = view.sizes.size() - 2, column = row + 1;
  const auto unit = [&](size_t axis, size_t other) {
    return (view.strides[axis] == 1 || view.sizes[axis] == 1) &&
           (view.strides[other] >= view.sizes[axis] || view.sizes[other] == 1);
  };
  const bool forwards = std::ranges::all_of(view.strides, [](int64_t stride) { return stride >= 0; });
  return forwards && (unit(column, row) || unit(row, column));
}

bool is_constant(Tensor x) {
  const Node& node = x.node();
  return node.op->name == "constant" || (is_plain_view(node) && is_constant({x.graph(), node.inputs[0]}));
}

bool is_stored_by_a_kernel(Tensor x) {
  const Node& node = x.node();
  return !is_plain_view(node) && node.op->op_class != OpClass::leaf;
}

// Rows are added in f32, and rounded once.
Tensor added_in_f32(Rewriter& rewriter, const Node& node) {
  const Tensors in = rewriter.inputs(node);
  const Tensor rows[] = {in[0], cast(in[1], DType::f32, node.site)};
  return cast(apply(*node.op, rows, node.attrs, node.site)[0], node.outputs[0].dtype, node.site);
}

bool adds_small_floats(const Node& node) {
  const DType dtype = node.outputs[0].dtype;
  return node.op->name == "scatter_add" && is_floating(dtype) && dtype != DType::f32;
}

}  // namespace

Staged normalize_reductions(const Staged& from) {
  Rewriter rewriter(from);
  return simplify(rewriter.run([&](uint32_t, const Node& node) -> Tensors {
    if (node.op->op_class == OpClass::reduce) return {normalized(rewriter, node)};
    if (adds_small_floats(node)) return {added_in_f32(rewriter, node)};
    return rewriter.copy(node);
  }));
}

Staged legalize_views(const Staged& from) {
  Rewriter rewriter(from);
  ViewTracker views;
  Staged staged = rewriter.run([&](uint32_t, const Node& node) -> Tensors {
    if (takes_stored_inputs(node)) {
      Tensors in = rewriter.inputs(node);
      for (Tensor& x : in)
        if (is_constant(x) || !call_can_read(node, views.of(x))) x = copied(x, node.site);
      return apply(*node.op, in, node.attrs, node.site);
    }
    if (!is_plain_view(node)) return rewriter.copy(node);
    Tensor x = rewriter.inputs(node)[0];
    std::optional<View> view = through(node, views.of(x));
    if (!view) {
      x = copied(x, node.site);
      view = through(node, views.of(x));
    }
    const Tensor out = apply(*node.op, std::span(&x, 1), node.attrs, node.site)[0];
    views.set(out, *view);
    return {out};
  });
  std::vector<Value> taken;  // two results that are one value each need a buffer
  for (Value& result : staged.results) {
    Tensor x(*staged.graph, result);
    while (!is_stored_by_a_kernel(x) || std::ranges::find(taken, x.value()) != taken.end())
      x = copied(x, x.node().site);
    taken.push_back(result = x.value());
  }
  return staged;
}

}  // namespace descent
