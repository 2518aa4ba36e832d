#include <algorithm>
#include <optional>

#include "descent/compile/passes.h"
#include "descent/ops/broadcast.h"
#include "descent/ops/cast.h"
#include "descent/ops/constant.h"
#include "descent/ops/ops.h"
#include "descent/ops/reshape.h"

namespace descent {

namespace {

template <class Op>
bool is(const Node& node) {
  return node.op == &op_def<Op>();
}

// The number that every element of x is, if that is known.
std::optional<double> splat(Tensor x) {
  const Node& node = x.node();
  if (is<Constant>(node)) return rounded(node.attrs.number("value"), node.outputs[0].dtype);
  if (is<Broadcast>(node) || is<Reshape>(node)) return splat({x.graph(), node.inputs[0]});
  return std::nullopt;
}

Tensor filled(Graph& graph, double value, const Type& type, Site at) {
  return broadcast(constant(graph, value, type.dtype, at), type.shape, at);
}

// An elementwise op on known numbers is a known number.
std::optional<Tensor> folded(Graph& graph, const Node& node, const Tensors& in) {
  if (node.op->op_class != OpClass::elementwise) return std::nullopt;
  std::vector<Dense> values;
  for (const Tensor& x : in) {
    const std::optional<double> value = splat(x);
    if (!value) return std::nullopt;
    values.push_back({{x.dtype(), {}}, {*value}});
  }
  Dense out{{node.outputs[0].dtype, {}}, {0}};
  node.op->evaluate({values, std::span(&out, 1), node.attrs});
  return filled(graph, rounded(out.values[0], out.type.dtype), node.outputs[0], node.site);
}

// An elementwise op on repeated values of one shape repeats its result: the work is done once, on the small shape.
std::optional<Tensor> repeated(const Node& node, const Tensors& in) {
  if (node.op->op_class != OpClass::elementwise) return std::nullopt;
  std::optional<Shape> small;
  for (const Tensor& x : in) {
    if (splat(x)) continue;
    if (!is<Broadcast>(x.node())) return std::nullopt;
    const Shape& shape = x.graph().type(x.node().inputs[0]).shape;
    if (small && *small != shape) return std::nullopt;
    small = shape;
  }
  if (!small) return std::nullopt;
  Tensors inner;
  for (const Tensor& x : in) {
    const auto value = splat(x);
    inner.push_back(value ? filled(x.graph(), *value, {x.dtype(), *small}, node.site)
                          : Tensor(x.graph(), x.node().inputs[0]));
  }
  return broadcast(apply(*node.op, inner, node.attrs, node.site)[0], node.outputs[0].shape, node.site);
}

bool is_splat(Tensor x, double number) { return splat(x) == number; }

// bf16 -> f32 -> bf16 and the like: widening loses nothing, so narrowing back gives the original.
bool widens(DType from, DType to) { return is_floating(from) && is_floating(to) && size_of(from) < size_of(to); }

struct Rule {
  const OpDef* op;
  std::optional<Tensor> (*apply)(const Node& node, const Tensors& in);
};

using Maybe = std::optional<Tensor>;
const Maybe none;

Maybe same_shape_view(const Node& node, const Tensors& in) {
  return in[0].shape() == node.outputs[0].shape ? Maybe(in[0]) : none;
}

// One reshape of what all the reshapes below x start from; that itself if it has the shape.
Tensor reshaped(Tensor x, const Shape& shape, Site at) {
  while (is<Reshape>(x.node())) x = {x.graph(), x.node().inputs[0]};
  return reshape(x, shape, at);
}

// A converted value seen otherwise is the value seen otherwise, converted: what is stored is the narrow one, or what
// takes a part of it. A value that was rounded stays so below its views, where what computes it can round it.
Maybe converted_later(const Node& node, const Tensors& in) {
  if (!is<Cast>(in[0].node())) return none;
  const Tensor below(in[0].graph(), in[0].node().inputs[0]);
  if (widens(in[0].dtype(), below.dtype())) return none;
  return cast(apply(*node.op, std::span(&below, 1), node.attrs, node.site)[0], in[0].dtype(), node.site);
}

Maybe simplify_reshape(const Node& node, const Tensors& in) {
  if (const Maybe same = same_shape_view(node, in)) return same;
  if (const Maybe converted = converted_later(node, in)) return converted;
  if (is<Reshape>(in[0].node())) return reshaped(in[0], node.outputs[0].shape, node.site);
  if (const auto value = splat(in[0])) return filled(in[0].graph(), *value, node.outputs[0], node.site);
  return none;
}

Maybe simplify_broadcast(const Node& node, const Tensors& in) {
  if (const Maybe same = same_shape_view(node, in)) return same;
  if (is<Broadcast>(in[0].node()))
    return broadcast(Tensor(in[0].graph(), in[0].node().inputs[0]), node.outputs[0].shape, node.site);
  if (const auto value = splat(in[0]); value && in[0].rank() > 0)
    return filled(in[0].graph(), *value, node.outputs[0], node.site);
  return none;
}

Maybe simplify_permute(const Node& node, const Tensors& in) {
  const std::vector<int64_t>& axes = node.attrs.integers("axes");
  std::vector<int64_t> moved;  // axes of size 1 may stand anywhere
  for (const int64_t axis : axes)
    if (in[0].shape()[static_cast<int>(axis)] != 1) moved.push_back(axis);
  if (std::ranges::is_sorted(moved)) return reshaped(in[0], node.outputs[0].shape, node.site);
  if (const auto value = splat(in[0])) return filled(in[0].graph(), *value, node.outputs[0], node.site);
  if (!is<Permute>(in[0].node())) return none;
  std::vector<int64_t> both;
  for (const int64_t axis : axes) both.push_back(in[0].node().attrs.integers("axes")[axis]);
  if (std::ranges::is_sorted(both)) return Tensor(in[0].graph(), in[0].node().inputs[0]);
  return permute(Tensor(in[0].graph(), in[0].node().inputs[0]), both, node.site);
}

Maybe simplify_slice(const Node& node, const Tensors& in) {
  if (const Maybe same = same_shape_view(node, in)) return same;
  return converted_later(node, in);
}

// Converted parts are put together as they are, and converted then.
Maybe converted_together(const Node& node, const Tensors& in) {
  Tensors below;
  for (const Tensor& part : in) {
    if (!is<Cast>(part.node())) return none;
    below.emplace_back(part.graph(), part.node().inputs[0]);
    if (below.back().dtype() != below.front().dtype()) return none;
  }
  if (!widens(below.front().dtype(), in[0].dtype())) return none;
  return cast(apply(*node.op, below, node.attrs, node.site)[0], in[0].dtype(), node.site);
}

// Parts of one value put together again.
Maybe simplify_concat(const Node& node, const Tensors& in) {
  if (const Maybe converted = converted_together(node, in)) return converted;
  const auto axis = static_cast<size_t>(node.attrs.integer("axis"));
  const Tensor first = in[0];
  if (!is<Slice>(first.node())) return none;
  const Tensor whole(first.graph(), first.node().inputs[0]);
  if (whole.shape() != node.outputs[0].shape) return none;
  int64_t end = 0;
  for (const Tensor& part : in) {
    if (!is<Slice>(part.node()) || Tensor(part.graph(), part.node().inputs[0]) != whole) return none;
    const std::vector<int64_t>&step = part.node().attrs.integers("step"), &begin = part.node().attrs.integers("begin");
    if (step[axis] != 1 || begin[axis] != end) return none;
    end = part.node().attrs.integers("end")[axis];
  }
  return whole;
}

Maybe simplify_cast(const Node& node, const Tensors& in) {
  const DType to = node.outputs[0].dtype;
  if (in[0].dtype() == to) return in[0];
  if (!is<Cast>(in[0].node())) return none;
  const Tensor origin(in[0].graph(), in[0].node().inputs[0]);
  if (!widens(origin.dtype(), in[0].dtype())) return none;
  return cast(origin, to, node.site);
}

Maybe simplify_add(const Node&, const Tensors& in) {
  if (is_splat(in[0], 0)) return in[1];
  return is_splat(in[1], 0) ? Maybe(in[0]) : none;
}

Maybe simplify_mul(const Node&, const Tensors& in) {
  if (is_splat(in[0], 1)) return in[1];
  return is_splat(in[1], 1) ? Maybe(in[0]) : none;
}

Maybe simplify_div(const Node&, const Tensors& in) { return is_splat(in[1], 1) ? Maybe(in[0]) : none; }

// Products with nothing but zeros: of the state that a sequence begins with.
Maybe simplify_matmul(const Node& node, const Tensors& in) {
  if (!is_splat(in[0], 0) && !is_splat(in[1], 0)) return none;
  return filled(in[0].graph(), 0, node.outputs[0], node.site);
}

Maybe simplify_neg(const Node&, const Tensors& in) {
  if (!is<Neg>(in[0].node())) return none;
  return Tensor(in[0].graph(), in[0].node().inputs[0]);
}

Maybe simplify_where(const Node&, const Tensors& in) {
  if (const auto condition = splat(in[0])) return *condition != 0 ? in[1] : in[2];
  return in[1] == in[2] ? Maybe(in[1]) : none;
}

// Whether a permute swaps the last two axes and nothing else.
bool transposes(const Node& node) {
  std::vector<int64_t> axes = node.attrs.integers("axes");
  const size_t rank = axes.size();
  if (rank < 2) return false;
  std::swap(axes[rank - 1], axes[rank - 2]);
  return std::ranges::is_sorted(axes);
}

// (a b)^T = b^T a^T: products take transposed operands as they lie, other kernels read across.
Maybe transposed_product(Tensor product, const Node& node) {
  if (!is<Matmul>(product.node())) return none;
  const Tensor a(product.graph(), product.node().inputs[0]), b(product.graph(), product.node().inputs[1]);
  return apply<Matmul>({transpose(b, node.site), transpose(a, node.site)}, product.node().attrs, node.site);
}

std::span<const Rule> rules() {
  static const std::vector<Rule> table{
      {&op_def<Reshape>(), simplify_reshape}, {&op_def<Broadcast>(), simplify_broadcast},
      {&op_def<Permute>(), simplify_permute}, {&op_def<Cast>(), simplify_cast},
      {&op_def<Add>(), simplify_add},         {&op_def<Mul>(), simplify_mul},
      {&op_def<Matmul>(), simplify_matmul},   {&op_def<Div>(), simplify_div},
      {&op_def<Neg>(), simplify_neg},         {&op_def<Where>(), simplify_where},
      {&op_def<Slice>(), simplify_slice},     {&op_def<Concat>(), simplify_concat},
      {&op_def<Pad>(), same_shape_view},
  };
  return table;
}

// A slice keeps its shape only if it takes everything (its steps are positive), so same_shape_view holds for it too.
Maybe simplified(Graph& graph, const Node& node, const Tensors& in) {
  if (const Maybe number = folded(graph, node, in)) return number;
  for (const Rule& rule : rules())
    if (rule.op == node.op)
      if (const Maybe simpler = rule.apply(node, in)) return simpler;
  return repeated(node, in);
}

}  // namespace

Staged simplify(const Staged& from) {
  Rewriter rewriter(from);
  const std::map<Value, int> uses = use_counts(*from.graph, from.results);
  return rewriter.run([&](uint32_t, const Node& node) -> Tensors {
    if (is<Permute>(node) && transposes(node) && uses.at(node.inputs[0]) == 1)
      if (const Maybe product = transposed_product(rewriter.inputs(node)[0], node)) return {*product};
    if (const Maybe simpler = simplified(rewriter.to(), node, rewriter.inputs(node))) return {*simpler};
    return rewriter.copy(node);
  });
}

}  // namespace descent
