#include "descent/compile/view.h"

#include <algorithm>

namespace descent {

int64_t View::elements() const {
  int64_t product = 1;
  for (const int64_t size : sizes) product *= size;
  return product;
}

bool View::dense() const {
  int64_t step = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] != 1 && strides[i] != step) return elements() == 0;
    step *= sizes[i];
  }
  return true;
}

View dense_view(BufferId buffer, const Type& type) {
  return {buffer, type.dtype, 0, type.shape.to_vector(), dense_strides(type.shape)};
}

View collapsed(View view) {
  View out{view.buffer, view.dtype, view.offset, {}, {}};
  for (size_t i = 0; i < view.sizes.size(); ++i) {
    if (view.sizes[i] == 1) continue;
    if (!out.sizes.empty() && out.strides.back() == view.strides[i] * view.sizes[i]) {
      out.sizes.back() *= view.sizes[i];
      out.strides.back() = view.strides[i];
    } else {
      out.sizes.push_back(view.sizes[i]);
      out.strides.push_back(view.strides[i]);
    }
  }
  return out;
}

std::optional<View> with_sizes(const View& view, const Shape& sizes) {
  if (sizes.elements() == 0) return dense_view(view.buffer, {view.dtype, sizes});
  const View from = collapsed(view);
  View out{view.buffer, view.dtype, view.offset, sizes.to_vector(),
           std::vector<int64_t>(static_cast<size_t>(sizes.rank()), 0)};
  int axis = sizes.rank() - 1;
  for (size_t i = from.sizes.size(); i-- > 0;) {  // innermost first: split from.sizes[i] over the new axes
    int64_t left = from.sizes[i], stride = from.strides[i];
    while (left > 1) {
      if (axis < 0 || left % sizes[axis] != 0) return std::nullopt;
      out.strides[axis] = stride;
      stride *= sizes[axis];
      left /= sizes[axis--];
    }
  }
  return out;
}

namespace {

View permuted(const Node& node, const View& view) {
  View out{view.buffer, view.dtype, view.offset, {}, {}};
  for (const int64_t axis : node.attrs.integers("axes")) {
    out.sizes.push_back(view.sizes[axis]);
    out.strides.push_back(view.strides[axis]);
  }
  return out;
}

View broadcasted(const Node& node, const View& view) {
  const Shape& shape = node.outputs[0].shape;
  const size_t lead = static_cast<size_t>(shape.rank()) - view.sizes.size();
  View out{view.buffer, view.dtype, view.offset, shape.to_vector(),
           std::vector<int64_t>(static_cast<size_t>(shape.rank()), 0)};
  for (size_t i = 0; i < view.sizes.size(); ++i)
    if (view.sizes[i] != 1) out.strides[lead + i] = view.strides[i];
  return out;
}

View sliced(const Node& node, View view) {
  const std::vector<int64_t>&begin = node.attrs.integers("begin"), &step = node.attrs.integers("step");
  for (size_t i = 0; i < view.sizes.size(); ++i) {
    view.offset += begin[i] * view.strides[i];
    view.strides[i] *= step[i];
    view.sizes[i] = node.outputs[0].shape[static_cast<int>(i)];
  }
  return view;
}

View flipped(const Node& node, View view) {
  for (const int64_t axis : node.attrs.integers("axes")) {
    view.offset += (view.sizes[axis] - 1) * view.strides[axis];
    view.strides[axis] = -view.strides[axis];
  }
  return view;
}

struct ViewRule {
  std::string_view op;
  View (*apply)(const Node&, View);
};
constexpr ViewRule rules[] = {
    {"permute", [](const Node& node, View view) { return permuted(node, view); }},
    {"broadcast", [](const Node& node, View view) { return broadcasted(node, view); }},
    {"slice", sliced},
    {"flip", flipped},
};

}  // namespace

std::optional<View> through(const Node& node, const View& view) {
  if (node.outputs[0].shape.elements() == 0) return dense_view(view.buffer, {view.dtype, node.outputs[0].shape});
  if (node.op->name == "reshape") return with_sizes(view, node.outputs[0].shape);
  for (const ViewRule& rule : rules)
    if (rule.op == node.op->name) return rule.apply(node, view);
  return std::nullopt;
}

}  // namespace descent
