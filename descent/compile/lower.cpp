#include "descent/compile/lower.h"

#include <algorithm>
#include <map>
#include <set>

namespace descent {

namespace {

const std::map<std::string_view, LoopOp> reductions{
    {"sum", LoopOp::sum}, {"max", LoopOp::max}, {"argmax", LoopOp::argmax}};

int64_t elements_of(const Graph& graph, uint32_t id) { return graph.node(id).outputs[0].shape.elements(); }

bool is_scalar_constant(const Node& node) { return node.op->name == "constant"; }

// A result that takes the bytes of an input is stored after the last load of that input.
void store_after_loads(LoopKernel& kernel) {
  const auto touches = [&](const Instr& instr, LoopOp op, BufferId buffer) {
    return instr.op == op && kernel.views[instr.view].buffer == buffer;
  };
  std::vector<Instr> kept, late;
  std::vector<int32_t> place;  // of each register in the new body
  for (auto instr = kernel.body.begin(); instr != kernel.body.end(); ++instr) {
    const bool early = instr->op == LoopOp::store && std::any_of(instr, kernel.body.end(), [&](const Instr& after) {
                         return touches(after, LoopOp::load, kernel.views[instr->view].buffer);
                       });
    place.push_back(early ? -1 : static_cast<int32_t>(kept.size()));
    (early ? late : kept).push_back(*instr);
  }
  if (late.empty()) return;
  std::ranges::move(late, std::back_inserter(kept));
  for (Instr& instr : kept)
    for (int32_t& arg : instr.args)
      if (arg >= 0) arg = place[arg];
  kernel.body = std::move(kept);
}

// Writes the body of one loop kernel.
class LoopWriter {
 public:
  using Locate = std::function<View(Value)>;  // where a value lies, or is seen

  LoopWriter(const Graph& graph, const Partition& partition, const Unit& unit, Locate locate)
      : graph_(graph), partition_(partition), unit_(unit), locate_(std::move(locate)) {
    kernel_.rows = unit.rows;
    kernel_.columns = unit.columns;
  }

  LoopKernel write(const std::set<uint32_t>& stored) {
    for (const uint32_t id : unit_.nodes) {
      const int32_t value = reg(id);
      if (!stored.contains(id)) continue;
      const Type& type = graph_.node(id).outputs[0];
      View view = locate_({id, 0});
      view = view.dense() ? View{view.buffer, view.dtype, view.offset, {type.shape.elements()}, {1}} : collapsed(view);
      emit({.op = LoopOp::store,
            .level = level(id),
            .dtype = type.dtype,
            .args = {value, -1, -1},
            .view = add_view(std::move(view))});
    }
    store_after_loads(kernel_);
    return std::move(kernel_);
  }

 private:
  Level level(uint32_t id) const {
    const Node& node = graph_.node(id);
    if (node.op->op_class == OpClass::reduce) return unit_.reduce == Reduce::rows ? Level::row : Level::column;
    const bool is_row = unit_.reduce == Reduce::rows && elements_of(graph_, id) == unit_.rows && unit_.columns != 1;
    return is_row ? Level::row : Level::element;
  }

  int32_t emit(Instr instr) {
    kernel_.body.push_back(instr);
    return static_cast<int32_t>(kernel_.body.size()) - 1;
  }

  int32_t add_view(View view) {
    const auto known = std::ranges::find(kernel_.views, view);
    if (known != kernel_.views.end()) return static_cast<int32_t>(known - kernel_.views.begin());
    kernel_.views.push_back(std::move(view));
    return static_cast<int32_t>(kernel_.views.size()) - 1;
  }

  // The register that holds a node of this unit, or an inlined one, at its own level.
  int32_t reg(uint32_t id) {
    const auto known = registers_.find(id);
    if (known != registers_.end()) return known->second;
    const Node& node = graph_.node(id);
    const int32_t value = is_generator(node)                     ? generate(id)
                          : node.op->op_class == OpClass::reduce ? reduce(id)
                                                                 : compute(id);
    return registers_[id] = value;
  }

  int32_t generate(uint32_t id) {
    const Node& node = graph_.node(id);
    Instr instr{.op = LoopOp::iota, .level = level(id), .dtype = node.outputs[0].dtype};
    if (node.op->name == "iota") {
      const Shape shape = node.outputs[0].shape;
      const int axis = static_cast<int>(node.attrs.integer("axis"));
      instr.inner = dense_strides(shape)[axis];
      instr.size = shape[axis];
    } else {
      instr.op = LoopOp::random_bits;
      instr.stream = static_cast<uint32_t>(node.attrs.integer("stream"));
      instr.view = load_view(node.inputs[0]);
      instr.view2 = load_view(node.inputs[1]);
    }
    return emit(instr);
  }

  int32_t reduce(uint32_t id) {
    const Node& node = graph_.node(id);
    Instr instr{.op = reductions.at(node.op->name), .level = level(id), .dtype = node.outputs[0].dtype};
    instr.args[0] = operand(node.inputs[0], Level::element);
    return emit(instr);
  }

  int32_t compute(uint32_t id) {
    const Node& node = graph_.node(id);
    Instr instr{.op = LoopOp::scalar, .level = level(id), .dtype = node.outputs[0].dtype, .scalar = *node.op->scalar};
    for (size_t i = 0; i < node.inputs.size(); ++i) instr.args[i] = operand(node.inputs[i], instr.level);
    const bool copies = instr.scalar == ScalarOp::cast && graph_.type(node.inputs[0]).dtype == instr.dtype;
    return copies ? instr.args[0] : emit(instr);
  }

  int32_t operand(Value input, Level reader) {
    const Read read = read_of(graph_, input);
    const Node& base = graph_.node(read.base);
    if (is_scalar_constant(base)) return constant(base, reader);
    const uint32_t id = read.base.node;
    const bool here = partition_.inlined[id] || std::ranges::binary_search(unit_.nodes, id);
    if (!here) return load(input, reader);
    const int32_t value = reg(id);
    return level(id) == reader ? value : spread(value);
  }

  int32_t constant(const Node& node, Level at) {
    const double number = rounded(node.attrs.number("value"), node.outputs[0].dtype);
    return once({.op = LoopOp::constant, .level = at, .dtype = node.outputs[0].dtype, .number = number});
  }

  int32_t spread(int32_t value) {
    return once(
        {.op = LoopOp::spread, .level = Level::element, .dtype = kernel_.body[value].dtype, .args = {value, -1, -1}});
  }

  int32_t load_view(Value input) { return add_view(collapsed(locate_(input))); }

  int32_t load(Value input, Level at) {
    return once({.op = LoopOp::load, .level = at, .dtype = graph_.type(input).dtype, .view = load_view(input)});
  }

  // Emits, unless the same instruction stands already.
  int32_t once(const Instr& instr) {
    const auto known = std::ranges::find(kernel_.body, instr);
    return known != kernel_.body.end() ? static_cast<int32_t>(known - kernel_.body.begin()) : emit(instr);
  }

  const Graph& graph_;
  const Partition& partition_;
  const Unit& unit_;
  Locate locate_;
  LoopKernel kernel_;
  std::map<uint32_t, int32_t> registers_;
};

// Copies `from` (flat, dense or not) to `to`, or fills `to` with a number.
LoopKernel copy_kernel(const View& from, const View& to) {
  LoopKernel kernel{1, to.elements(), {}, {collapsed(from), collapsed(to)}};
  kernel.body.push_back({.op = LoopOp::load, .dtype = from.dtype, .view = 0});
  kernel.body.push_back({.op = LoopOp::store, .dtype = to.dtype, .args = {0, -1, -1}, .view = 1});
  return kernel;
}

LoopKernel fill_kernel(double number, const View& to) {
  LoopKernel kernel{1, to.elements(), {}, {collapsed(to)}};
  kernel.body.push_back({.op = LoopOp::constant, .dtype = to.dtype, .number = number});
  kernel.body.push_back({.op = LoopOp::store, .dtype = to.dtype, .args = {0, -1, -1}, .view = 0});
  return kernel;
}

class Lowering {
 public:
  Lowering(const Staged& staged, const Partition& partition, std::span<const Update> updates)
      : graph_(*staged.graph), results_(staged.results), partition_(partition), updates_(updates) {}

  Program run() {
    find_stored();
    add_inputs();
    bind_results();
    place_parts();
    for (const Unit& unit : partition_.units) lower_unit(unit);
    for (const auto& [from, to] : late_copies_) add_step(LoopStep{{copy_kernel(from, to)}}, "update");
    return std::move(program_);
  }

 private:
  // A loop node is stored if somebody outside its kernel reads it.
  void find_stored() {
    for (const Value result : results_) stored_.insert(result.node);
    for (const uint32_t id : live_nodes(graph_, results_)) {
      const Node& node = graph_.node(id);
      if (is_plain_view(node)) continue;
      for (const Value input : node.inputs) mark(read_of(graph_, input).base.node, id);
    }
  }
  void mark(uint32_t base, uint32_t reader) {
    if (partition_.inlined[base]) return;
    // An inlined reader may stand in any kernel, so what it reads is stored.
    if (partition_.inlined[reader] || partition_.unit_of[base] != partition_.unit_of[reader]) stored_.insert(base);
  }

  BufferId add_buffer(Buffer buffer) {
    program_.buffers.push_back(std::move(buffer));
    return static_cast<BufferId>(program_.buffers.size() - 1);
  }

  void add_inputs() {
    for (const uint32_t id : live_nodes(graph_, results_)) {
      const Node& node = graph_.node(id);
      if (node.op->name != "input") continue;
      const BufferId buffer = add_buffer({BufferRole::input, node.outputs[0], node.attrs.string("name")});
      buffers_[{id, 0}] = buffer;
      program_.inputs.push_back(buffer);
    }
  }

  void bind_results() {
    program_.outputs.resize(results_.size());
    for (size_t i = 0; i < updates_.size(); ++i) {
      const Value result = results_[updates_[i].result];
      const BufferId target = buffers_.at(updates_[i].input);
      program_.outputs[updates_[i].result] = target;
      if (partition_.in_place[i])
        buffers_[result] = target;
      else
        late_copies_.emplace_back(dense_view(buffer_of(result), graph_.type(result)),
                                  dense_view(target, graph_.type(result)));
    }
    for (size_t i = 0; i < results_.size(); ++i)
      if (std::ranges::none_of(updates_, [&](const Update& update) { return update.result == i; })) {
        buffers_[results_[i]] = add_buffer({BufferRole::output, graph_.type(results_[i]), text("result", i)});
        program_.outputs[i] = buffers_[results_[i]];
      }
  }

  BufferId buffer_of(Value value) {
    const auto known = buffers_.find(value);
    if (known != buffers_.end()) return known->second;
    return buffers_[value] = add_buffer({BufferRole::temporary, graph_.type(value), ""});
  }

  // --- Parts that are put together: computed where they will stand, they need no copying ---

  void place_parts() {
    find_inputs();
    for (auto unit = partition_.units.rbegin(); unit != partition_.units.rend(); ++unit)  // what is a part itself first
      if (unit->kind == UnitKind::assembly && graph_.node(unit->nodes[0]).op->name == "concat")
        place_parts_of(unit->nodes[0]);
  }

  // By the value that is looked at: how it is looked at.
  void find_inputs() {
    for (const uint32_t id : live_nodes(graph_, results_))
      if (!is_plain_view(graph_.node(id)))
        for (const Value input : graph_.node(id).inputs) inputs_[read_of(graph_, input).base].push_back({id, input});
  }

  void place_parts_of(uint32_t whole) {
    const Node& node = graph_.node(whole);
    const auto axis = static_cast<size_t>(node.attrs.integer("axis"));
    int64_t begin = 0;
    for (const Value input : node.inputs) {
      const int64_t size = graph_.type(input).shape[static_cast<int>(axis)];
      const Value base = read_of(graph_, input).base;
      if (is_made_whole(base) && read_of(graph_, input).map.elements() == graph_.type(base).shape.elements()) {
        View part = located({whole, 0});
        part.offset += begin * part.strides[axis];
        part.sizes[axis] = size;
        const std::optional<View> seen = with_sizes(part, graph_.type(base).shape);
        if (seen && all_can_read(base, *seen, input)) {
          placed_.emplace(base, *seen);
          in_place_.insert({whole, begin});
        }
      }
      begin += size;
    }
  }

  // Computed element by element, or put together itself, and not to be anywhere else.
  bool is_made_whole(Value value) const {
    const int unit = partition_.unit_of[value.node];
    if (unit < 0 || partition_.inlined[value.node] || placed_.contains(value) || buffers_.contains(value)) return false;
    const Unit& made = partition_.units[static_cast<size_t>(unit)];
    if (made.kind == UnitKind::assembly) return graph_.node(value).op->name == "concat";
    return made.kind == UnitKind::loop && graph_.node(value).op->op_class == OpClass::elementwise &&
           made.elements() == elements_of(graph_, value.node) && elements_of(graph_, value.node) > 1;
  }

  // Every reader of the value can read it there, and as a part it is in order.
  bool all_can_read(Value value, const View& place, Value part) const {
    return std::ranges::all_of(inputs_.at(value), [&](const Looked& looked) {
      const std::optional<View> seen = seen_through(looked.input, value, place);
      if (!seen) return false;
      const Node& reader = graph_.node(looked.reader);
      const bool loops = reader.op->op_class == OpClass::elementwise || reader.op->op_class == OpClass::reduce ||
                         reader.op->op_class == OpClass::view;
      const bool ordered = looked.input != part || collapsed(read_of(graph_, part).map).dense();
      return ordered && (loops || reader.op->name == "matmul" || reader.op->name == "fused_matmul");
    });
  }

  // What a value is seen as once its base lies there.
  std::optional<View> seen_through(Value value, Value base, const View& place) const {
    if (value == base) return place;
    const Node& node = graph_.node(value);
    const std::optional<View> below = seen_through(node.inputs[0], base, place);
    return below ? through(node, *below) : std::nullopt;
  }

  View located(Value value) {
    const Value base = read_of(graph_, value).base;
    const auto placed = placed_.find(base);
    return *seen_through(value, base,
                         placed != placed_.end() ? placed->second : dense_view(buffer_of(base), graph_.type(base)));
  }

  void add_step(std::variant<LoopStep, CallStep> work, std::string label) {
    program_.steps.push_back({std::move(work), std::move(label)});
  }

  // The layers that the nodes belong to, each once.
  std::string label_of(const Unit& unit) const {
    std::vector<std::string> names;
    for (const uint32_t id : unit.nodes) {
      const std::string& name = graph_.scope_name(graph_.node(id).scope);
      if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
    return join(names, " ");
  }

  void lower_unit(const Unit& unit) {
    if (unit.kind == UnitKind::loop) {
      LoopWriter writer(graph_, partition_, unit, [this](Value value) { return located(value); });
      add_step(LoopStep{{writer.write(stored_)}}, label_of(unit));
    } else if (unit.kind == UnitKind::call) {
      add_step(call(unit.nodes[0]), label_of(unit));
    } else {
      assemble(unit.nodes[0], label_of(unit));
    }
  }

  CallStep call(uint32_t id) {
    const Node& node = graph_.node(id);
    CallStep step{std::string(node.op->name), node.attrs, {}, {}};
    for (const Value input : node.inputs) step.reads.push_back(located(input));
    for (uint16_t port = 0; port < node.outputs.size(); ++port)
      step.writes.push_back(dense_view(buffer_of({id, port}), node.outputs[port]));
    return step;
  }

  // pad and concat: each part is copied into its place.
  void assemble(uint32_t id, const std::string& label) {
    const Node& node = graph_.node(id);
    const View whole = located({id, 0});
    LoopStep copies;
    if (node.op->name == "pad") {
      add_step(LoopStep{{fill_kernel(node.attrs.number("value"), whole)}}, label);
      copies.kernels.push_back(part_kernel(node.inputs[0], whole, node.attrs.integers("low")));
    } else {
      std::vector<int64_t> begin(static_cast<size_t>(node.outputs[0].shape.rank()), 0);
      const int axis = static_cast<int>(node.attrs.integer("axis"));
      for (const Value input : node.inputs) {
        if (!in_place_.contains({id, begin[axis]}) || graph_.type(input).shape[axis] == 0)
          copies.kernels.push_back(part_kernel(input, whole, begin));
        begin[axis] += graph_.type(input).shape[axis];
      }
    }
    if (!copies.kernels.empty()) add_step(std::move(copies), label);
  }

  LoopKernel part_kernel(Value input, View whole, const std::vector<int64_t>& begin) {
    const Shape& shape = graph_.type(input).shape;
    for (size_t axis = 0; axis < begin.size(); ++axis) whole.offset += begin[axis] * whole.strides[axis];
    whole.sizes = shape.to_vector();
    const Node& base = graph_.node(read_of(graph_, input).base);
    if (is_scalar_constant(base)) return fill_kernel(base.attrs.number("value"), whole);
    return copy_kernel(located(input), whole);
  }

  const Graph& graph_;
  const std::vector<Value>& results_;
  const Partition& partition_;
  std::span<const Update> updates_;
  std::set<uint32_t> stored_;
  std::map<Value, BufferId> buffers_;
  struct Looked {
    uint32_t reader;
    Value input;
  };
  std::map<Value, std::vector<Looked>> inputs_;
  std::map<Value, View> placed_;                     // values that are parts of others
  std::set<std::pair<uint32_t, int64_t>> in_place_;  // of a concat, where the part begins
  std::vector<std::pair<View, View>> late_copies_;
  Program program_;
};

}  // namespace

Program lower(const Staged& staged, const Partition& partition, std::span<const Update> updates) {
  return Lowering(staged, partition, updates).run();
}

}  // namespace descent
