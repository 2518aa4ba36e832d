// From a kernel's body to instructions: which phase computes what, where registers lie, and what needs no copying.
#include <algorithm>
#include <limits>

#include "descent/backend/cpu/tile_part.h"

namespace descent::cpu {

using Kind = TileNode::Kind;

class TilePlanner {
 public:
  TilePlanner(const LoopKernel& kernel, const BufferPlaces& places, const TileTable& table)
      : places_(places), table_(table) {
    const Walk walk = choose_walk(kernel);
    body_ = tile_body(kernel, walk, table);
    prune();
    find_differences(body_, table_);
    part_.layout_ = choose_layout(kernel, body_, walk);
    times_ = node_times(body_, layout());
    if (walk == Walk::flat && table.native_loops) part_.native_ = NativeLoop::make(body_, places_);
    unjoined_ = body_;
    join();
  }

  TilePart plan() {
    place_stores();
    part_.staged_ = layout().chunks > 1 && any_alive([](const TileNode& node) { return node.kind == Kind::reduce; });
    if (part_.staged_ && rereads_stored_levels()) unstage();
    make_registers();
    if (layout().walk == Walk::columns && table_.native_loops) write_columns();
    part_.views_ = std::move(body_.views);  // where instructions will find them
    part_.phases_.resize(static_cast<size_t>(last_phase_) + 1);
    part_.staged_ ? emit_stages() : emit_one_stage();
    finish();
    return std::move(part_);
  }

 private:
  using Ids = std::vector<int>;

  TileLayout& layout() { return part_.layout_; }
  const TileLayout& layout() const { return part_.layout_; }
  const TileNode& node(int id) const { return body_.nodes[static_cast<size_t>(id)]; }
  const NodeTime& time(int id) const { return times_[static_cast<size_t>(id)]; }
  int count() const { return static_cast<int>(body_.nodes.size()); }
  bool alive(int id) const { return node(id).kind != Kind::dead; }
  bool in_tile(int id) const { return time(id).when == NodeTime::tile; }
  bool is_level(int id) const { return node(id).level != Level::element && !node(id).uniform; }
  // A reduction that is complete only after all tiles of its unit.
  bool is_accumulated(int id) const { return node(id).kind == Kind::reduce && !in_tile(id); }
  const TileView& view(const TileNode& of) const {
    return (part_.views_.empty() ? body_.views : part_.views_)[static_cast<size_t>(of.view)];
  }

  template <class Test>
  bool any_alive(Test test) const {
    return std::ranges::any_of(body_.nodes,
                               [&](const TileNode& each) { return each.kind != Kind::dead && test(each); });
  }

  // --- Preparing ---

  void prune() {
    std::vector<bool> needed(body_.nodes.size(), false);
    for (size_t id = body_.nodes.size(); id-- > 0;) {
      TileNode& each = body_.nodes[id];
      if (each.kind != Kind::store && !needed[id]) each.kind = Kind::dead;
      for (const int arg : each.in)
        if (each.kind != Kind::dead && arg >= 0) needed[static_cast<size_t>(arg)] = true;
    }
  }

  void join() {
    std::vector<int> places;
    for (const NodeTime& each : times_)
      places.push_back(each.when * static_cast<int>(lanes_kinds) + static_cast<int>(each.lanes));
    join_nodes(body_, table_, places);
  }

  bool overlaps_load(const TileNode& store) const {
    return any_alive(
        [&](const TileNode& each) { return each.kind == Kind::load && places_.may_overlap(view(store), view(each)); });
  }

  // Elements are stored as soon as they are there, but where loads of later phases would read them instead of what was
  // there before: then in the last phase.
  void place_stores() {
    for (int id = 0; id < count(); ++id) {
      if (!alive(id)) continue;
      if (in_tile(id))
        last_phase_ = std::max(last_phase_, time(id).phase);
      else if (is_accumulated(id))
        last_phase_ = std::max(last_phase_, time(id).when - 1);
    }
    for (int id = 0; id < count(); ++id)
      if (node(id).kind == Kind::store && in_tile(id) && overlaps_load(node(id)))
        times_[static_cast<size_t>(id)].phase = last_phase_;
  }

  // Chunks read what levels store in later stages: wrong if a level was updated in between.
  bool rereads_stored_levels() const {
    return last_phase_ > 0 && any_alive([&](const TileNode& each) {
             return each.kind == Kind::store && each.level != Level::element && overlaps_load(each);
           });
  }
  void unstage() {
    part_.staged_ = false;
    layout().chunks = 1;
    layout().chunk = round_up(std::max<int64_t>(layout().walk == Walk::columns ? layout().rows : layout().columns, 1),
                              layout().walk == Walk::columns ? layout().tile_rows : layout().tile_columns);
  }

  // --- Registers: a node's number is its register's; accumulators and the like follow ---

  struct Accumulator {
    int sum = -1;     // to which tiles add; the node's own register if there is nothing to do after the last tile
    int total = -1;   // to which sums are added now and then
    int values = -1;  // the largest so far, beside an argmax
    bool flushed = false;
    float* memory = nullptr;  // partial results
  };

  int64_t accumulator_lanes() const { return layout().folded_rows * layout().tile_columns; }

  int new_register(int64_t lanes) {
    part_.offsets_.push_back(part_.register_floats_);
    part_.register_floats_ += round_up(lanes, lane_group) + lane_slack;
    return static_cast<int>(part_.offsets_.size()) - 1;
  }

  void make_registers() {
    lanes_ = std::max(
        {layout().tile_lanes(), layout().tile_rows, accumulator_lanes(), part_.staged_ ? int64_t{256} : int64_t{0}});
    for (int id = 0; id < count(); ++id) {
      const bool keeps = alive(id) && !in_tile(id) && node(id).kind != Kind::store;
      if (keeps)
        new_register(time(id).lanes == Lanes::uniform ? lane_group : lanes_);
      else
        part_.offsets_.push_back(-1);
    }
    accumulators_.resize(body_.nodes.size());
    for (int id = 0; id < count(); ++id)
      if (node(id).kind == Kind::reduce) make_accumulator(id);
    if (part_.offsets_.size() > std::numeric_limits<uint16_t>::max())
      fail("a loop kernel is too long for the tile machine");
  }

  void make_accumulator(int id) {
    Accumulator& made = accumulators_[static_cast<size_t>(id)];
    made.sum = made.total = id;
    const bool argmax = node(id).reduce == LoopOp::argmax;
    if (argmax) made.values = new_register(lanes_);
    if (layout().walk != Walk::columns || argmax) return;
    if (layout().folded_rows > 1) made.sum = made.total = new_register(lanes_);
    made.flushed = node(id).reduce == LoopOp::sum && layout().chunk > layout().flush_rows;
    if (made.flushed) made.sum = new_register(lanes_);
  }

  // In one pass, and where each row of the tile has its own lanes in no accumulator.
  void write_columns() {
    if (last_phase_ > 0 || layout().folded_rows > 1) return;
    Ids sums;
    for (const Accumulator& each : accumulators_) sums.push_back(each.sum);
    part_.native_columns_ = NativeColumns::make(unjoined_, places_, sums);
  }

  // --- Single instructions ---

  TileOp op_of(TileRoutine run, int out, Lanes lanes, std::initializer_list<int> in = {}) const {
    TileOp op{.run = run, .out = static_cast<uint16_t>(std::max(out, 0)), .lanes = lanes};
    size_t i = 0;
    for (const int id : in) {
      op.in[i] = static_cast<uint16_t>(id);
      op.step[i++] = id < count() && node(id).repeats() ? 0 : 1;
    }
    return op;
  }

  TileOp op_of(int id) const {
    const TileNode& of = node(id);
    TileOp op = op_of(of.run, id, time(id).lanes);
    for (size_t i = 0; i < of.in.size(); ++i) {
      if (of.in[i] < 0) continue;
      op.in[i] = static_cast<uint16_t>(of.in[i]);
      op.step[i] = node(of.in[i]).repeats() ? 0 : 1;
    }
    op.bits = of.bits;
    op.inner = of.inner;
    op.size = of.size;
    if (of.view >= 0) op.view = &part_.views_[static_cast<size_t>(of.view)];
    if (of.view2 >= 0) op.view2 = &part_.views_[static_cast<size_t>(of.view2)];
    if (of.kind != Kind::compute) op.run = routine_of(of, op);
    return op;
  }

  TileRoutine routine_of(const TileNode& of, const TileOp& op) const {
    switch (of.kind) {
      case Kind::load: return memory_routine(of, table_.load, table_.load_any, table_.load_transposed);
      case Kind::store: return memory_routine(of, table_.store, table_.store_any, table_.store_transposed);
      case Kind::constant: return table_.constant;
      case Kind::iota: return table_.iota;
      case Kind::random: return table_.random_bits;
      case Kind::spread:
        if (op.lanes == Lanes::uniform) return table_.spread_first;
        return node(of.in[0]).level == Level::row ? table_.spread_row : table_.spread_column;
      default: return nullptr;
    }
  }

  TileRoutine memory_routine(const TileNode& of, const TileRoutine* plain, const TileRoutine* any,
                             const TileRoutine* across) const {
    const TileView& seen = view(of);
    const auto i = static_cast<size_t>(seen.dtype);
    if (of.uniform) return table_.load_uniform[i];
    if (seen.contiguous()) return plain[i];
    return of.level == Level::element && seen.transposed() ? across[i] : any[i];
  }

  ReduceOp merging(int id) const { return node(id).reduce == LoopOp::sum ? ReduceOp::sum : ReduceOp::max; }
  template <class Table>
  TileRoutine of_type(const Table& table, int id) const {
    return table[static_cast<size_t>(node(id).type)];
  }
  template <class Table>
  TileRoutine of_reduction(const Table& table, int id) const {
    return of_type(table[static_cast<size_t>(merging(id))], id);
  }

  // The part of a reduction that each tile does.
  TileOp reduce_op(int id) const {
    const Accumulator& into = accumulators_[static_cast<size_t>(id)];
    const int from = node(id).in[0];
    const bool down = layout().walk == Walk::columns, merges = layout().walk == Walk::long_rows;
    if (into.values >= 0) {
      const auto& table = down ? table_.column_argmax : merges ? table_.row_argmax_merge : table_.row_argmax;
      return op_of(of_type(table, id), id, time(id).lanes, {from, into.values});
    }
    const auto& table = down ? table_.column_reduce : merges ? table_.row_merge : table_.row_reduce;
    TileOp op = op_of(of_reduction(table, id), into.sum, time(id).lanes, {from});
    op.inner = layout().folded_rows;
    return op;
  }

  TileOp sized(TileOp op, int64_t size) const {
    op.size = size;
    op.inner = layout().folded_rows;
    return op;
  }

  int64_t level_lanes() const { return layout().walk == Walk::columns ? accumulator_lanes() : lane_group; }

  void begin_reduction(int id, std::vector<TileOp>& ops) const {
    const Accumulator& into = accumulators_[static_cast<size_t>(id)];
    const auto zero = [&](int reg, ReduceOp op) {
      ops.push_back(
          sized(op_of(of_type(table_.fill[static_cast<size_t>(op)], id), reg, Lanes::uniform), level_lanes()));
    };
    if (into.values >= 0) {
      zero(into.values, ReduceOp::max);
      ops.push_back(sized(op_of(table_.fill[static_cast<size_t>(ReduceOp::sum)][static_cast<size_t>(LaneType::i32)], id,
                                Lanes::uniform),
                          level_lanes()));
      return;
    }
    zero(into.total, merging(id));
    if (into.flushed) zero(into.sum, merging(id));
  }

  void flush_reduction(int id, std::vector<TileOp>& ops) const {
    const Accumulator& into = accumulators_[static_cast<size_t>(id)];
    if (!into.flushed) return;
    ops.push_back(
        sized(op_of(of_reduction(table_.combine, id), into.total, Lanes::uniform, {into.sum}), accumulator_lanes()));
    ops.push_back(sized(op_of(of_reduction(table_.fill, id), into.sum, Lanes::uniform), accumulator_lanes()));
  }

  void end_reduction(int id, std::vector<TileOp>& ops) const {
    flush_reduction(id, ops);
    const Accumulator& into = accumulators_[static_cast<size_t>(id)];
    if (into.total != id)
      ops.push_back(sized(op_of(of_reduction(table_.fold, id), id, Lanes::uniform, {into.total}), 1));
  }

  // --- Phases ---

  // The nodes that `sinks` follow from, without what `stop` says is there already (which is included itself).
  template <class Stop>
  Ids closure(const Ids& sinks, Stop stop) const {
    std::vector<bool> needed(body_.nodes.size(), false);
    for (const int id : sinks) needed[static_cast<size_t>(id)] = true;
    Ids out;
    for (int id = count(); id-- > 0;) {
      if (!needed[static_cast<size_t>(id)]) continue;
      out.push_back(id);
      if (stop(id)) continue;
      for (const int arg : node(id).in)
        if (arg >= 0) needed[static_cast<size_t>(arg)] = true;
    }
    std::ranges::reverse(out);
    return out;
  }

  template <class Test>
  Ids nodes_where(Test test) const {
    Ids out;
    for (int id = 0; id < count(); ++id)
      if (alive(id) && test(id)) out.push_back(id);
    return out;
  }

  Ids reductions_of(int phase) const {
    return nodes_where([&](int id) { return is_accumulated(id) && time(id).when == phase + 1; });
  }

  // What the tiles of a phase must bring about.
  Ids tile_sinks(int phase) const {
    return nodes_where([&](int id) {
      if (is_accumulated(id)) return time(id).when == phase + 1;
      return in_tile(id) && node(id).kind == Kind::store && time(id).phase == phase;
    });
  }

  void emit_one_stage() {
    const auto nothing = [](int) { return false; };
    for (int p = 0; p <= last_phase_; ++p) {
      TilePhase& phase = part_.phases_[static_cast<size_t>(p)];
      emit_tiles(phase, closure(tile_sinks(p), nothing), p);
      emit_accumulators(phase, p);
      for (int id = 0; id < count(); ++id) emit_outside(phase, id, p);
    }
    // Levels are stored at the very end: no phase can read them by mistake.
    for (const int id : nodes_where([&](int each) { return node(each).kind == Kind::store && !in_tile(each); }))
      part_.phases_.back().post.push_back(op_of(id));
  }

  // What is computed before or after the tiles of phase p.
  void emit_outside(TilePhase& phase, int id, int p) const {
    if (!alive(id) || in_tile(id) || node(id).kind == Kind::store || is_accumulated(id)) return;
    const int when = time(id).when;
    if (when == NodeTime::setup && p == 0)
      phase.setup.push_back(op_of(id));
    else if (when == 0 && p == 0)
      phase.pre.push_back(op_of(id));
    else if (when == p + 1)
      phase.post.push_back(op_of(id));
  }

  void emit_accumulators(TilePhase& phase, int p) const {
    for (const int id : reductions_of(p)) {
      begin_reduction(id, phase.pre);
      flush_reduction(id, phase.flush);
      end_reduction(id, phase.post);
    }
  }

  void emit_stages() {
    make_memory();
    const int gathers = reductions_of(last_phase_).empty() ? last_phase_ : last_phase_ + 1;
    part_.gathers_.resize(static_cast<size_t>(gathers));
    for (int p = 0; p <= last_phase_; ++p) emit_tile_stage(p);
    for (int p = 0; p < gathers; ++p) emit_gather_stage(p);
  }

  // Each level value that a later stage may read has its place; a reduction one for each chunk too.
  void make_memory() {
    pitch_ = round_up(layout().kept(), lane_group);
    const auto levels =
        nodes_where([&](int id) { return is_level(id) && time(id).when > 0 && node(id).kind != Kind::store; });
    part_.shared_.resize(static_cast<size_t>(pitch_) * levels.size() * static_cast<size_t>(2 * layout().chunks + 1));
    float* next = part_.shared_.data();
    saved_.resize(body_.nodes.size(), nullptr);
    for (const int id : levels) {
      saved_[static_cast<size_t>(id)] = next;
      accumulators_[static_cast<size_t>(id)].memory = next + pitch_;
      next += pitch_ * (2 * layout().chunks + 1);
    }
  }

  TileOp memory_op(TileRoutine run, int id, float* memory, int64_t pitch) const {
    TileOp op = op_of(run, id, layout().kept_lanes(), {id});
    op.memory = memory;
    op.pitch = pitch;
    op.size = layout().chunks;
    return op;
  }

  void emit_tile_stage(int p) {
    TilePhase& phase = part_.phases_[static_cast<size_t>(p)];
    const auto known = [&](int id) { return is_level(id) && time(id).when > 0 && time(id).when <= p; };
    const Ids ids = closure(tile_sinks(p), known);
    emit_tiles(phase, ids, p);
    for (const int id : ids) {
      if (in_tile(id) || is_accumulated_in(id, p)) continue;
      if (known(id))
        phase.pre.push_back(memory_op(table_.restore, id, saved_[static_cast<size_t>(id)], 0));
      else
        (time(id).when == NodeTime::setup ? phase.setup : phase.pre).push_back(op_of(id));
    }
    emit_accumulators(phase, p);
    for (const int id : reductions_of(p)) {
      const Accumulator& into = accumulators_[static_cast<size_t>(id)];
      if (into.values >= 0) phase.post.push_back(memory_op(table_.save, into.values, into.memory, pitch_));
      phase.post.push_back(
          memory_op(table_.save, id, into.memory + (into.values >= 0 ? pitch_ * layout().chunks : 0), pitch_));
    }
  }
  bool is_accumulated_in(int id, int p) const { return is_accumulated(id) && time(id).when == p + 1; }

  void emit_gather_stage(int p) {
    TilePhase& phase = part_.gathers_[static_cast<size_t>(p)];
    const auto known = [&](int id) { return is_level(id) && time(id).when > 0 && time(id).when <= p; };
    const Ids made = nodes_where([&](int id) { return is_level(id) && time(id).when == p + 1; });
    for (const int id : closure(made, [&](int id) { return known(id) || is_accumulated_in(id, p); })) {
      const Accumulator& from = accumulators_[static_cast<size_t>(id)];
      if (is_accumulated_in(id, p))
        phase.post.push_back(gather_op(id, from));
      else if (known(id))
        phase.post.push_back(memory_op(table_.restore, id, saved_[static_cast<size_t>(id)], 0));
      else
        (time(id).when == NodeTime::setup ? phase.setup : phase.post).push_back(op_of(id));
    }
    for (const int id : made)
      if (node(id).kind != Kind::store && p < last_phase_)
        phase.post.push_back(memory_op(table_.save, id, saved_[static_cast<size_t>(id)], 0));
  }

  TileOp gather_op(int id, const Accumulator& from) const {
    return memory_op(from.values >= 0 ? of_type(table_.gather_argmax, id) : of_reduction(table_.gather_chunks, id), id,
                     from.memory, pitch_);
  }

  // --- Tiles ---

  void emit_tiles(TilePhase& phase, const Ids& closure_of_phase, int p) {
    Ids order;
    for (const int id : closure_of_phase)
      if (in_tile(id) || is_accumulated_in(id, p)) order.push_back(id);
    place_tile_registers(phase, order);
    const std::vector<bool> direct = direct_registers(phase, order);
    for (const int id : order) {
      const TileOp op = node(id).kind == Kind::reduce ? reduce_op(id) : op_of(id);
      phase.any.push_back(op);
      if (!direct[static_cast<size_t>(id)]) phase.whole.push_back(op);
      if (node(id).kind == Kind::load && node(id).level == Level::element && view(node(id)).contiguous()) phase.streams.push_back(&view(node(id)));
      part_.cost_ += node(id).cost;
    }
  }

  Ids last_uses(const Ids& order) const {
    Ids last(body_.nodes.size(), -1);
    for (size_t at = 0; at < order.size(); ++at)
      for (const int arg : node(order[at]).in)
        if (arg >= 0) last[static_cast<size_t>(arg)] = static_cast<int>(at);
    return last;
  }

  // Places are reused when their value has been read for the last time, by arithmetic in the same instruction.
  void place_tile_registers(TilePhase& phase, const Ids& order) {
    const Ids last = last_uses(order);
    std::vector<int> free;
    std::vector<int> slot(body_.nodes.size(), -1);
    const auto release = [&](int id, size_t at) {
      for (const int arg : node(id).in)
        if (arg >= 0 && last[static_cast<size_t>(arg)] == static_cast<int>(at) && slot[static_cast<size_t>(arg)] >= 0) {
          free.push_back(slot[static_cast<size_t>(arg)]);
          slot[static_cast<size_t>(arg)] = -1;
        }
    };
    int slots = 0;
    for (size_t at = 0; at < order.size(); ++at) {
      const int id = order[at];
      const bool in_place = node(id).kind == Kind::compute;
      if (in_place) release(id, at);
      if (in_tile(id) && node(id).kind != Kind::store) {
        int& mine = slot[static_cast<size_t>(id)];
        if (free.empty())
          mine = slots++;
        else
          mine = free.back(), free.pop_back();
        phase.tile_registers.push_back({static_cast<uint16_t>(id), mine});
      }
      if (!in_place) release(id, at);
    }
    tile_slots_ = std::max(tile_slots_, slots);
  }

  // --- Registers that are memory ---

  bool whole_groups() const {
    return layout().walk == Walk::long_rows || layout().walk == Walk::flat || layout().columns % lane_group == 0;
  }
  bool dense_tiles() const {
    return layout().walk != Walk::blocks &&
           (layout().walk != Walk::columns || layout().tile_columns == layout().columns || layout().tile_rows == 1);
  }

  bool can_be_memory(const TileNode& access) const {
    return access.level == Level::element && !access.uniform && view(access).contiguous() &&
           size_of(view(access).dtype) == 4;
  }

  // The nodes of `order` whose register can be the memory that they are loaded from or stored to, and stores that
  // thereby vanish.
  std::vector<bool> direct_registers(TilePhase& phase, const Ids& order) {
    std::vector<bool> vanishes(body_.nodes.size(), false);
    if (!dense_tiles()) return vanishes;
    const Ids last = last_uses(order);
    std::vector<int> written(body_.nodes.size(), -1);  // by store: when its memory changes
    for (size_t at = 0; at < order.size(); ++at) written[static_cast<size_t>(order[at])] = static_cast<int>(at);
    for (size_t at = 0; at < order.size(); ++at)
      if (load_is_direct(order, static_cast<int>(at), last)) {
        vanishes[static_cast<size_t>(order[at])] = true;
        phase.direct.push_back(
            {static_cast<uint16_t>(order[at]), &part_.views_[static_cast<size_t>(node(order[at]).view)]});
      }
    for (size_t at = 0; at < order.size(); ++at)
      if (store_is_direct(order, static_cast<int>(at), last, vanishes)) {
        vanishes[static_cast<size_t>(order[at])] = true;
        stored_.push_back(node(order[at]).in[0]);
        phase.direct.push_back(
            {static_cast<uint16_t>(node(order[at]).in[0]), &part_.views_[static_cast<size_t>(node(order[at]).view)]});
      }
    stored_.clear();
    return vanishes;
  }

  // Nothing may change the memory between the load and the last use.
  bool load_is_direct(const Ids& order, int at, const Ids& last) const {
    const TileNode& load = node(order[static_cast<size_t>(at)]);
    if (load.kind != Kind::load || !can_be_memory(load)) return false;
    const int end = last[static_cast<size_t>(order[static_cast<size_t>(at)])];
    for (int other = 0; other < static_cast<int>(order.size()); ++other) {
      const TileNode& each = node(order[static_cast<size_t>(other)]);
      const bool reads = std::ranges::find(each.in, order[static_cast<size_t>(at)]) != each.in.end();
      if (reads && !whole_groups() && each.kind != Kind::compute && each.kind != Kind::store)
        return false;  // reads behind the tile
      if (each.kind == Kind::store && places_.may_overlap(view(load), view(each)) &&
          (!places_.same(view(load), view(each)) || (other > at && other < end)))
        return false;
    }
    return true;
  }

  // The value is computed where it is stored, if nothing reads that memory after that.
  bool store_is_direct(const Ids& order, int at, const Ids& last, const std::vector<bool>& direct) const {
    const TileNode& store = node(order[static_cast<size_t>(at)]);
    if (store.kind != Kind::store || !can_be_memory(store)) return false;
    const int value = store.in[0];
    if (node(value).kind != Kind::compute || !in_tile(value) || time(value).lanes != Lanes::element ||
        node(value).level != Level::element)
      return false;
    if (std::ranges::find(stored_, value) != stored_.end()) return false;
    const auto made = static_cast<int>(std::ranges::find(order, value) - order.begin());
    for (int other = 0; other < static_cast<int>(order.size()); ++other) {
      const int id = order[static_cast<size_t>(other)];
      const TileNode& each = node(id);
      if (other == at || (each.kind != Kind::load && each.kind != Kind::store) ||
          !places_.may_overlap(view(each), view(store)))
        continue;
      if (each.kind == Kind::store || !places_.same(view(each), view(store))) return false;
      const int read = direct[static_cast<size_t>(id)] ? last[static_cast<size_t>(id)] : other;
      if (read > made && other < at) return false;
    }
    return true;
  }

  // --- The end ---

  // Tile registers follow those that keep their place.
  void finish() {
    const int64_t slot_floats = round_up(lanes_, lane_group) + lane_slack;
    for (TilePhase& phase : part_.phases_) {
      for (TilePhase::Register& reg : phase.tile_registers)
        reg.offset = part_.register_floats_ + reg.offset * slot_floats;
      if (phase.direct.empty()) phase.whole.clear();
    }
    part_.register_floats_ += tile_slots_ * slot_floats;
  }

  const BufferPlaces& places_;
  const TileTable& table_;
  TileBody body_, unjoined_;
  std::vector<NodeTime> times_;
  std::vector<Accumulator> accumulators_;
  std::vector<float*> saved_;
  Ids stored_;  // values that are memory already
  TilePart part_;
  int last_phase_ = 0, tile_slots_ = 0;
  int64_t lanes_ = 0, pitch_ = 0;
};

TilePart make_part(const LoopKernel& kernel, const BufferPlaces& places, const TileTable& table) {
  return TilePlanner(kernel, places, table).plan();
}

}  // namespace descent::cpu
