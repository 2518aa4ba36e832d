#include "descent/compile/fusion.h"

#include <algorithm>
#include <queue>
#include <set>

namespace descent {

bool is_plain_view(const Node& node) {
  return node.op->op_class == OpClass::view && node.op->name != "pad" && node.op->name != "concat";
}

bool is_generator(const Node& node) {
  return node.op->op_class == OpClass::leaf && (node.op->name == "iota" || node.op->name == "random_bits");
}

bool is_wished_stored(const Node& node) { return node.attrs.has("stored"); }

Read read_of(const Graph& graph, Value value) {
  const Node& node = graph.node(value);
  if (!is_plain_view(node)) return {value, dense_view(0, graph.type(value))};
  Read below = read_of(graph, node.inputs[0]);
  std::optional<View> map = through(node, below.map);
  if (!map)
    fail(node.site,
         text(node.op->name, " of ", graph.type(node.inputs[0]), " is not a strided view; legalize_views comes first"));
  return {below.base, *map};
}

namespace {

bool is_loop(const Node& node) {
  return node.op->op_class == OpClass::elementwise || node.op->op_class == OpClass::reduce;
}

// The flat index of the reader is the flat index of the base, all of whose `elements` it reads.
bool keeps_index(const View& map, int64_t elements) {
  const View view = collapsed(map);
  return view.offset == 0 && view.dense() && map.elements() == elements;
}

// Element (r, c) of the reader reads element r of the base.
bool spreads_rows(const View& map, int64_t rows, int64_t columns) {
  const View view = collapsed(map);
  if (view.offset != 0 || view.elements() != rows * columns) return false;
  if (rows == 1) return view.strides.size() == 1 && view.strides[0] == 0;
  return view.sizes == std::vector<int64_t>{rows, columns} && view.strides == std::vector<int64_t>{1, 0};
}

// If the reader repeats each element of the base `columns` times in a row: that number, else 0.
int64_t spread_columns(const View& map, int64_t base_elements) {
  const int64_t columns = base_elements == 0 ? 0 : map.elements() / base_elements;
  return columns > 1 && spreads_rows(map, base_elements, columns) ? columns : 0;
}

struct Use {
  uint32_t reader;
  View map;
};

class Partitioner {
 public:
  Partitioner(const Staged& staged, const FusionOptions& options)
      : graph_(*staged.graph), results_(staged.results), options_(options), live_(live_nodes(graph_, results_)) {
    out_.unit_of.assign(graph_.size(), -1);
    out_.inlined.assign(graph_.size(), false);
    uses_.resize(graph_.size());
    reads_.resize(graph_.size());
    is_result_.assign(graph_.size(), false);
    for (const Value value : results_) is_result_[value.node] = true;
    for (const uint32_t id : live_)
      if (!is_plain_view(graph_.node(id)))
        for (const Value input : graph_.node(id).inputs) {
          const Read read = read_of(graph_, input);
          reads_[id].push_back(read);
          uses_[read.base.node].push_back({id, read.map});
        }
  }

  Partition run(std::span<const Update> updates) {
    for (auto id = live_.rbegin(); id != live_.rend(); ++id) place(*id);
    if (options_.fuse)
      while (merge_one()) {
      }
    for (const Update& update : updates) out_.in_place.push_back(order_update(update));
    order_units();
    return std::move(out_);
  }

 private:
  int64_t elements(uint32_t id) const { return graph_.node(id).outputs[0].shape.elements(); }

  // --- one node, after all its readers ---

  void place(uint32_t id) {
    const Node& node = graph_.node(id);
    if (is_plain_view(node) || (node.op->op_class == OpClass::leaf && !is_generator(node))) return;
    if (!is_loop(node) && !is_generator(node))
      return add_unit(id, node.op->op_class == OpClass::view ? UnitKind::assembly : UnitKind::call);
    if (is_wished_stored(node)) return add_unit(id, UnitKind::loop);
    const bool again = cheap_again(id);
    const std::vector<int> readers = loop_units_reading(id);
    if (again && (is_generator(node) || only_numbers(id) || readers.size() > 1)) return inline_it(id);
    if (options_.fuse)
      for (const int unit : readers)
        if (try_join(id, unit)) return;
    again ? inline_it(id) : add_unit(id, UnitKind::loop);
  }

  void inline_it(uint32_t id) { out_.inlined[id] = true; }

  void add_unit(uint32_t id, UnitKind kind) {
    Unit unit{kind, {id}, Reduce::none, 1, elements(id)};
    const Node& node = graph_.node(id);
    if (kind == UnitKind::loop && node.op->op_class == OpClass::reduce) unit = reduction(id);
    out_.unit_of[id] = static_cast<int>(out_.units.size());
    out_.units.push_back(std::move(unit));
  }

  // The domain of a reduction over its last axes, or over its first ones.
  Unit reduction(uint32_t id) const {
    const Node& node = graph_.node(id);
    const Shape& shape = graph_.type(node.inputs[0]).shape;
    std::vector<int64_t> axes =
        node.attrs.has("axes") ? node.attrs.integers("axes") : std::vector<int64_t>{node.attrs.integer("axis")};
    std::erase_if(axes, [&](int64_t axis) { return shape[static_cast<int>(axis)] == 1; });
    const int64_t kept = elements(id), total = shape.elements();
    const int64_t reduced = kept == 0 ? 0 : total / kept;
    int last_kept = -1;  // the innermost axis that stays
    for (int axis = 0; axis < shape.rank(); ++axis)
      if (shape[axis] != 1 && std::ranges::find(axes, axis) == axes.end()) last_kept = axis;
    const bool to_rows = axes.empty() || axes.front() > last_kept;
    return to_rows ? Unit{UnitKind::loop, {id}, Reduce::rows, kept, reduced}
                   : Unit{UnitKind::loop, {id}, Reduce::columns, reduced, kept};
  }

  // A value that costs less to compute again than to store and load: made of nothing but numbers (a dropout mask), or
  // elementwise, with a few plain operations, from values that are stored anyway and are hardly more bytes (a cast, a
  // comparison, a gradient where relu's result was positive).
  bool cheap_again(uint32_t id) {
    const Node& node = graph_.node(id);
    if (!options_.fuse && !is_generator(node)) return false;
    if (is_result_[id] || node.op->op_class == OpClass::reduce) return false;
    for (const Use& use : uses_[id])
      if (!is_loop(graph_.node(use.reader)) || !keeps_index(use.map, elements(id))) return false;
    if (is_generator(node) || only_numbers(id)) return true;
    Origin origin;
    if (!trace_origin(id, origin)) return false;
    size_t bytes = 0;
    for (const uint32_t stored : origin.stored) bytes += size_of(graph_.node(stored).outputs[0].dtype);
    return origin.stored.size() == 1 || bytes <= 2 * size_of(node.outputs[0].dtype);
  }

  // What a value is computed from.
  struct Origin {
    std::set<uint32_t> stored;
    int operations = 0;
  };

  // False if that is too much, or not element by element.
  bool trace_origin(uint32_t id, Origin& origin) {
    constexpr int most_operations = 4;
    const std::string_view name = graph_.node(id).op->name;
    if (name.starts_with("rounded_gelu")) return false;
    if (!name.starts_with("cast") && ++origin.operations > most_operations) return false;
    return std::ranges::all_of(reads_[id], [&](const Read& read) {
      const uint32_t base = read.base.node;
      if (only_numbers(base)) return true;
      if (!keeps_index(read.map, elements(base))) return false;
      if (is_stored(base)) return origin.stored.insert(base).second || true;
      return graph_.node(base).op->op_class == OpClass::elementwise && trace_origin(base, origin);
    });
  }

  // Whoever computes it, it goes to memory: a call or a result needs it there.
  bool is_stored(uint32_t id) const {
    if (!is_loop(graph_.node(id)) || is_result_[id] || is_wished_stored(graph_.node(id))) return true;
    return std::ranges::any_of(uses_[id], [&](const Use& use) { return !is_loop(graph_.node(use.reader)); });
  }

  // Computed from constants and generators alone.
  bool only_numbers(uint32_t id) {
    const Node& node = graph_.node(id);
    if (node.op->name == "constant" || is_generator(node)) return true;
    if (node.op->op_class != OpClass::elementwise) return false;
    return std::ranges::all_of(reads_[id], [&](const Read& read) {
      return only_numbers(read.base.node) &&
             (keeps_index(read.map, elements(read.base.node)) || graph_.node(read.base).op->name == "constant");
    });
  }

  // --- joining a kernel that reads the node ---

  void collect_units(uint32_t id, std::set<int>& units) const {
    for (const Use& use : uses_[id]) {
      if (out_.inlined[use.reader])
        collect_units(use.reader, units);
      else if (out_.unit_of[use.reader] >= 0)
        units.insert(out_.unit_of[use.reader]);
    }
  }
  std::set<int> units_reading(uint32_t id) const {
    std::set<int> units;
    collect_units(id, units);
    return units;
  }
  std::vector<int> loop_units_reading(uint32_t id) const {
    std::vector<int> out;
    for (const int unit : units_reading(id))
      if (out_.units[unit].kind == UnitKind::loop) out.push_back(unit);
    return out;
  }

  bool try_join(uint32_t id, int index) {
    Unit& unit = out_.units[index];
    if (unit.nodes.size() >= options_.largest) return false;
    const std::optional<Unit> joined = domain_with(id, unit);
    if (!joined || !uses_fit(id, *joined) || cycle_through(id, index)) return false;
    unit.reduce = joined->reduce;
    unit.rows = joined->rows;
    unit.columns = joined->columns;
    unit.nodes.insert(std::ranges::lower_bound(unit.nodes, id), id);
    out_.unit_of[id] = index;
    return true;
  }

  // The unit's domain once the node is in it, if one domain fits both.
  std::optional<Unit> domain_with(uint32_t id, const Unit& unit) const {
    Unit out = unit;
    if (graph_.node(id).op->op_class == OpClass::reduce) {
      const Unit own = reduction(id);
      if (own.reduce == Reduce::rows && is_lonely(own)) return std::nullopt;  // its reader would lose its threads
      const bool same = unit.reduce == own.reduce && unit.rows == own.rows && unit.columns == own.columns;
      const bool over = unit.reduce == Reduce::none && unit.elements() == own.elements();
      const bool row_work = unit.reduce == Reduce::none && own.reduce == Reduce::rows && unit.elements() == own.rows;
      if (!same && !over && !row_work) return std::nullopt;
      out.reduce = own.reduce;
      out.rows = own.rows;
      out.columns = own.columns;
      return out;
    }
    // What hangs on its row's values (the gradient of softmax) belongs with the kernel that reduces the rows.
    if (elements(id) == unit.elements())
      return unit.reduce == Reduce::columns && needs_rows(id) ? std::nullopt : std::optional(out);
    if (unit.reduce == Reduce::rows && elements(id) == unit.rows) return out;
    if (unit.reduce != Reduce::none) return std::nullopt;
    // One number for several kernels (a learning rate) is computed once, before them all.
    if (elements(id) == 1 && units_reading(id).size() > 1) return std::nullopt;
    for (const Use& use : uses_[id]) {  // a row value spread over a flat domain makes rows of it
      const int64_t columns = spread_columns(use.map, elements(id));
      if (columns == 0 || use.map.elements() != unit.elements()) continue;
      out.reduce = Reduce::rows;
      out.rows = elements(id);
      out.columns = columns;
      return is_lonely(out) ? std::nullopt : std::optional(out);
    }
    return std::nullopt;
  }

  // Some row value is spread over it, or over what it is computed from element by element.
  bool needs_rows(uint32_t id) const {
    return std::ranges::any_of(reads_[id], [&](const Read& read) {
      const Node& base = graph_.node(read.base);
      if (!is_loop(base) || is_wished_stored(base)) return false;
      if (!keeps_index(read.map, elements(read.base.node)))
        return spread_columns(read.map, elements(read.base.node)) > 0;
      return base.op->op_class == OpClass::elementwise && needs_rows(read.base.node);
    });
  }

  bool is_lonely(const Unit& unit) const { return unit.rows < 8 && unit.elements() > options_.lonely; }

  bool is_row_level(uint32_t id, const Unit& unit) const {
    return unit.reduce == Reduce::rows && elements(id) == unit.rows && unit.columns != 1;
  }

  // How many elements the reader looks at in this kernel: its input's if it reduces.
  int64_t reader_elements(uint32_t id) const {
    const Node& node = graph_.node(id);
    return node.op->op_class == OpClass::reduce ? graph_.type(node.inputs[0]).shape.elements() : elements(id);
  }

  // Every use of the node inside the unit can be served from a register.
  bool uses_fit(uint32_t id, const Unit& unit) const {
    for (const Use& use : uses_[id]) {
      if (!stands_in(use.reader, unit)) continue;
      if (!use_fits(id, use, unit)) return false;
    }
    return true;
  }

  // An inlined node stands wherever its readers do.
  bool stands_in(uint32_t id, const Unit& unit) const {
    if (!out_.inlined[id]) return contains(unit, id);
    return std::ranges::any_of(uses_[id], [&](const Use& use) { return stands_in(use.reader, unit); });
  }

  bool use_fits(uint32_t id, const Use& use, const Unit& unit) const {
    const bool is_reduction = graph_.node(id).op->op_class == OpClass::reduce;
    if (unit.reduce == Reduce::columns && is_reduction) return false;  // complete only after the last row
    const int64_t reader = reader_elements(use.reader);
    if (is_row_level(id, unit)) {
      if (reader == unit.rows) return keeps_index(use.map, elements(id));
      return reader == unit.elements() && spreads_rows(use.map, unit.rows, unit.columns);
    }
    return reader == unit.elements() && keeps_index(use.map, elements(id));
  }

  static bool contains(const Unit& unit, uint32_t id) { return std::ranges::binary_search(unit.nodes, id); }

  // --- cycles ---

  std::set<int> successors(int unit) const {
    std::set<int> out;
    for (const uint32_t id : out_.units[unit].nodes) out.merge(units_reading(id));
    for (const auto& [before, after] : extra_edges_)
      if (before == unit) out.insert(after);
    out.erase(unit);
    return out;
  }

  bool reaches(int from, int to, int skipping = -1) const {
    std::set<int> seen{from};
    std::vector<int> open{from};
    while (!open.empty()) {
      const int unit = open.back();
      open.pop_back();
      for (const int next : successors(unit)) {
        if (next == to) return true;
        if (next != skipping && seen.insert(next).second) open.push_back(next);
      }
    }
    return false;
  }

  // The node's other readers lead back into the unit.
  bool cycle_through(uint32_t id, int unit) const {
    return std::ranges::any_of(units_reading(id), [&](int other) { return other != unit && reaches(other, unit); });
  }

  // --- merging kernels that read the same ---

  bool merge_one() {
    for (size_t a = 0; a < out_.units.size(); ++a)
      for (size_t b = 0; b < out_.units.size(); ++b)
        if (a != b && try_merge(static_cast<int>(a), static_cast<int>(b))) return true;
    return false;
  }

  // Merges b into a, where a may feed b or both read the same.
  bool try_merge(int a, int b) {
    const Unit &first = out_.units[a], &second = out_.units[b];
    if (first.kind != UnitKind::loop || second.kind != UnitKind::loop || first.nodes.empty() || second.nodes.empty())
      return false;
    if (first.elements() != second.elements() || first.nodes.size() + second.nodes.size() > options_.largest)
      return false;
    if (!(feeds(first, second) || shares_input(first, second))) return false;
    if (waits_for_stored(first, second) || waits_for_stored(second, first)) return false;
    std::optional<Unit> merged = merged_domain(first, second);
    if (!merged || !all_uses_fit(first, *merged) || !all_uses_fit(second, *merged)) return false;
    if (path_around(a, b) || reaches(b, a)) return false;
    for (const uint32_t id : second.nodes) out_.unit_of[id] = a;
    out_.units[b].nodes.clear();
    out_.units[b].kind = UnitKind::assembly;  // empty: dropped by order_units
    out_.units[a] = std::move(*merged);
    return true;
  }

  std::optional<Unit> merged_domain(const Unit& a, const Unit& b) const {
    if (a.reduce != Reduce::none && b.reduce != Reduce::none &&
        (a.reduce != b.reduce || a.rows != b.rows || a.columns != b.columns))
      return std::nullopt;
    Unit out = a.reduce != Reduce::none ? a : b;
    out.nodes.clear();
    std::ranges::merge(a.nodes, b.nodes, std::back_inserter(out.nodes));
    if (out.reduce == Reduce::rows && (a.reduce != b.reduce) && is_lonely(out)) return std::nullopt;
    return out;
  }

  bool all_uses_fit(const Unit& part, const Unit& whole) const {
    return std::ranges::all_of(part.nodes, [&](uint32_t id) { return uses_fit(id, whole); });
  }

  // b reads what a stores for it.
  bool waits_for_stored(const Unit& a, const Unit& b) const {
    return std::ranges::any_of(b.nodes, [&](uint32_t id) {
      return std::ranges::any_of(reads_[id], [&](const Read& read) {
        return is_wished_stored(graph_.node(read.base)) && contains(a, read.base.node);
      });
    });
  }

  bool feeds(const Unit& a, const Unit& b) const {
    return std::ranges::any_of(b.nodes, [&](uint32_t id) {
      return std::ranges::any_of(reads_[id], [&](const Read& read) { return contains(a, read.base.node); });
    });
  }

  // Both read the same large value in the same order.
  bool shares_input(const Unit& a, const Unit& b) const {
    const auto large = [&](const Read& read) {
      const int64_t count = graph_.type(read.base).shape.elements();
      return count >= a.elements() && keeps_index(read.map, count);
    };
    for (const uint32_t i : a.nodes)
      for (const Read& mine : reads_[i])
        if (large(mine))
          for (const uint32_t j : b.nodes)
            for (const Read& theirs : reads_[j])
              if (theirs.base == mine.base && large(theirs)) return true;
    return false;
  }

  // A path from a to b through a third unit.
  bool path_around(int a, int b) const {
    return std::ranges::any_of(successors(a), [&](int next) { return next != b && reaches(next, b); });
  }

  // --- updates in place ---

  // Makes every other reader of the input run first; false if one of them needs the new value, or if the writer does
  // not read and write element by element.
  bool order_update(const Update& update) {
    const uint32_t result = results_[update.result].node;
    const int writer = out_.unit_of[result];
    if (writer < 0 || out_.units[writer].kind != UnitKind::loop || elements(result) != out_.units[writer].elements())
      return false;
    for (const Use& use : uses_[update.input.node])
      if (contains(out_.units[writer], use.reader) && !keeps_index(use.map, elements(update.input.node))) return false;
    std::set<int> readers = units_reading(update.input.node);
    if (inlined_into(update.input.node, writer)) return false;
    readers.erase(writer);
    if (std::ranges::any_of(readers, [&](int reader) { return reaches(writer, reader); })) return false;
    for (const int reader : readers) extra_edges_.emplace_back(reader, writer);
    return true;
  }

  // Some inlined node reads the input with another order of elements, inside the writer.
  bool inlined_into(uint32_t input, int writer) const {
    return std::ranges::any_of(uses_[input], [&](const Use& use) {
      return out_.inlined[use.reader] && !keeps_index(use.map, elements(input)) &&
             units_reading(use.reader).contains(writer);
    });
  }

  // --- order ---

  // Kahn's algorithm, the unit with the oldest last node first: near the order in which the user wrote the step.
  void order_units() {
    std::vector<std::set<int>> next(out_.units.size());
    std::vector<int> waiting(out_.units.size(), 0);
    for (size_t unit = 0; unit < out_.units.size(); ++unit)
      for (const int reader : next[unit] = successors(static_cast<int>(unit))) ++waiting[reader];
    std::set<std::pair<uint32_t, int>> ready;
    const auto offer = [&](int unit) {
      if (waiting[unit] == 0 && !out_.units[unit].nodes.empty()) ready.insert({out_.units[unit].nodes.back(), unit});
    };
    for (size_t unit = 0; unit < out_.units.size(); ++unit) offer(static_cast<int>(unit));
    std::vector<Unit> ordered;
    while (!ready.empty()) {
      const int unit = ready.begin()->second;
      ready.erase(ready.begin());
      for (const int reader : next[unit])
        if (--waiting[reader] == 0) offer(reader);
      for (const uint32_t id : out_.units[unit].nodes) out_.unit_of[id] = static_cast<int>(ordered.size());
      ordered.push_back(out_.units[unit]);
    }
    out_.units = std::move(ordered);
  }

  const Graph& graph_;
  const std::vector<Value>& results_;
  FusionOptions options_;
  std::vector<uint32_t> live_;
  std::vector<std::vector<Use>> uses_;
  std::vector<std::vector<Read>> reads_;
  std::vector<bool> is_result_;
  std::vector<std::pair<int, int>> extra_edges_;  // units: before, after
  Partition out_;
};

}  // namespace

Partition partition(const Staged& staged, const FusionOptions& options, std::span<const Update> updates) {
  return Partitioner(staged, options).run(updates);
}

}  // namespace descent
