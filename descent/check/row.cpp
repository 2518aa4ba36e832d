#include "descent/check/row.h"

#include <algorithm>

#include "descent/check/layout.h"
#include "descent/grad/gradient.h"
#include "descent/ops/input.h"

namespace descent::check {

namespace {

std::string without_spaces(std::string name) {
  std::ranges::replace(name, ' ', '-');
  return name;
}

bool accepts(const OpDef& op, const Sample& sample) {
  std::vector<Type> types;
  for (const SampleInput& input : sample.inputs) types.push_back(input.type);
  try {
    op.infer({types, sample.attrs, {}});
    return true;
  } catch (const Error&) {
    return false;
  }
}

Dense make_values(const SampleInput& input, Random& random) {
  const auto count = static_cast<size_t>(input.type.shape.elements());
  std::vector<double> values = input.values;
  if (!values.empty() && values.size() < count)
    fail(text("a sample's input ", input.type, " lists ", values.size(), " values instead of ", count));
  if (!values.empty()) values.resize(count);  // a cut sample takes the first
  for (size_t i = values.size(); i < count; ++i) {
    const double value = random.uniform(input.low, input.high);
    values.push_back(is_floating(input.type.dtype) ? value : std::floor(value));
  }
  return dense(input.type, std::move(values));
}

Row make_row(const OpDef& op, const Sample& sample, std::string_view dtype, std::string_view layout) {
  Row row;
  row.name = text(op.name, "/", without_spaces(sample.name), "/", dtype, "/", layout);
  row.op = &op;
  row.attrs = sample.attrs;
  row.layout = &layouts()[0];
  Random random(text(op.name, "/", sample.name));  // the same numbers, rounded, for every dtype and layout
  for (const SampleInput& input : sample.inputs) {
    if (is_floating(input.type.dtype) && input.differentiate && sample.differentiate)
      row.differentiable.push_back(row.inputs.size());
    row.inputs.push_back(make_values(input, random));
  }
  return row;
}

// The sample with f32 replaced; nothing if the op does not take that.
std::optional<Sample> with_dtype(const OpDef& op, Sample sample, DType dtype) {
  for (SampleInput& input : sample.inputs)
    if (input.type.dtype == DType::f32) input.type.dtype = dtype;
  return accepts(op, sample) ? std::optional(sample) : std::nullopt;
}

bool has_f32(const Sample& sample) {
  return std::ranges::any_of(sample.inputs, [](const SampleInput& input) { return input.type.dtype == DType::f32; });
}

bool has_floating(const Sample& sample) {
  return std::ranges::any_of(sample.inputs, [](const SampleInput& input) { return is_floating(input.type.dtype); });
}

// The sample with one axis of its inputs (of all, or of those of the highest rank) cut to size 1. Indices become 0,
// which is always inside.
std::optional<Sample> cut_inputs(const OpDef& op, Sample sample, bool first_axis, bool highest_rank_only) {
  int highest = 0;
  for (const SampleInput& input : sample.inputs) highest = std::max(highest, input.type.shape.rank());
  bool changed = false;
  for (SampleInput& input : sample.inputs) {
    Shape& shape = input.type.shape;
    if (input.type.dtype == DType::i32 && has_floating(sample))
      input.values.assign(static_cast<size_t>(shape.elements()), 0);
    if (shape.elements() == 0) return std::nullopt;
    if (shape.rank() == 0 || (highest_rank_only && shape.rank() < highest)) continue;
    int64_t& size = shape[first_axis ? 0 : shape.rank() - 1];
    changed = changed || size != 1;
    size = 1;
  }
  return changed && accepts(op, sample) ? std::optional(sample) : std::nullopt;
}

std::optional<Sample> cut(const OpDef& op, const Sample& sample, bool first_axis) {
  const std::optional<Sample> all = cut_inputs(op, sample, first_axis, false);
  return all ? all : cut_inputs(op, sample, first_axis, true);
}

std::string_view name_of_cut(bool first_axis) { return first_axis ? "one-row" : "one-column"; }

std::string dtype_name(const OpDef& op, const Sample& sample) {
  if (!sample.inputs.empty()) return to_text(sample.inputs[0].type.dtype);
  return to_text(op.infer({{}, sample.attrs, {}})[0].dtype);
}

// The sample as it is and with axes of size 1, in dense memory.
void add_dense_rows(const OpDef& op, const Sample& sample, std::string_view dtype, std::vector<Row>& rows) {
  rows.push_back(make_row(op, sample, dtype, layouts()[0].name));
  for (const bool first_axis : {true, false})
    if (const auto small = cut(op, sample, first_axis))
      rows.push_back(make_row(op, *small, dtype, name_of_cut(first_axis)));
}

void add_layout_rows(const OpDef& op, const Sample& sample, std::string_view dtype, std::vector<Row>& rows) {
  for (const Layout& layout : layouts().subspan(1)) {
    if (std::ranges::none_of(sample.inputs, [&](const SampleInput& input) { return layout.applies(input.type.shape); }))
      continue;
    rows.push_back(make_row(op, sample, dtype, layout.name));
    rows.back().layout = &layout;
  }
}

}  // namespace

std::vector<Row> reference_rows(const OpDef& op) {
  std::vector<Row> rows;
  for (const Sample& sample : op.samples()) add_dense_rows(op, sample, dtype_name(op, sample), rows);
  return rows;
}

std::vector<Row> device_rows(const OpDef& op) {
  std::vector<Row> rows;
  const auto add = [&](const Sample& sample, const std::string& dtype) {
    add_dense_rows(op, sample, dtype, rows);
    add_layout_rows(op, sample, dtype, rows);
  };
  for (const Sample& sample : op.samples()) {
    if (!has_f32(sample))
      add(sample, dtype_name(op, sample));
    else
      for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
        if (const auto converted = with_dtype(op, sample, dtype)) add(*converted, to_text(dtype));
  }
  return rows;
}

Tensor feed(Traced& traced, std::string name, Dense value) {
  const Tensor out = input(*traced.graph, name, value.type);
  traced.fed.emplace(std::move(name), std::move(value));
  return out;
}

Dense random_dense(const Type& type, Random& random) {
  std::vector<double> values(static_cast<size_t>(type.shape.elements()));
  for (double& value : values) value = random.uniform(-1, 1);
  return dense(type, std::move(values));
}

Traced trace(const Row& row) { return trace(row, *row.op); }

Traced trace(const Row& row, const OpDef& op) {
  Traced traced;
  for (size_t i = 0; i < row.inputs.size(); ++i) {
    const Dense& value = row.inputs[i];
    const bool laid = row.layout->applies(value.type.shape);
    const Tensor fed = feed(traced, text("in", i), laid ? row.layout->lay(value) : value);
    traced.inputs.push_back(laid ? row.layout->view(fed, value.type) : fed);
  }
  std::vector<Value> values;
  for (const Tensor& tensor : traced.inputs) values.push_back(tensor.value());
  const uint32_t id = traced.graph->add(op, std::move(values), row.attrs, Site::here());
  const Node& node = traced.graph->node(id);
  for (uint16_t port = 0; port < node.outputs.size(); ++port)
    traced.outputs.emplace_back(*traced.graph, Value{id, port});
  if (node.op == &op_def<Input>()) {  // the op "input" itself: its value is fed too
    Random random(row.name);
    traced.fed.emplace(node.attrs.string("name"), random_dense(node.outputs[0], random));
  }
  return traced;
}

bool has_gradient(const OpDef& op) { return op.vjp != nullptr || (op.expand != nullptr && op.no_gradient.empty()); }

bool has_gradient_check(const Row& row) {
  if (!has_gradient(*row.op) || row.differentiable.empty()) return false;
  std::vector<Type> types;
  for (const Dense& input : row.inputs) types.push_back(input.type);
  const std::vector<Type> outputs = row.op->infer({types, row.attrs, {}});
  return std::ranges::any_of(outputs, [](const Type& type) { return is_floating(type.dtype); });
}

}  // namespace descent::check
