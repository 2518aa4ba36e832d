// From a plan to instructions: where registers lie, and what each phase does before, in and after its tiles.
#include <limits>

#include "descent/backend/cpu/tile_direct.h"
#include "descent/backend/cpu/tile_part.h"
#include "descent/backend/cpu/tile_plan.h"

namespace descent::cpu {

using Kind = TileNode::Kind;

class TilePlanner {
 public:
  TilePlanner(const LoopKernel& kernel, const BufferPlaces& places, const TileTable& table)
      : places_(places), table_(table), plan_(make_plan(kernel, places, table)) {}

  TilePart part() {
    make_registers();
    if (table_.native_loops) write_native_loops();
    emit();
    return std::move(part_);
  }

  // What makes rows as well, in chunks of whole rows.
  std::optional<TilePart> part_with(const LoopKernel& kernel, const LoopKernel& rows) {
    constexpr int64_t fewest_chunks = 4;  // for threads
    if (!table_.native_loops || layout().walk != Walk::columns || layout().chunks < fewest_chunks) return std::nullopt;
    make_registers();
    write_native_loops();
    if (!part_.native_columns_ || layout().segments() > 1) return std::nullopt;
    write_joint_rows(joined(rows, kernel));
    if (!part_.native_rows_) return std::nullopt;
    emit();
    for (const Instr& instr : rows.body) part_.cost_ += instr.level == Level::element ? 1 : 0;
    return std::move(part_);
  }

 private:
  using Ids = std::vector<int>;

  void emit() {
    part_.phases_.resize(static_cast<size_t>(plan_.last_phase) + 1);
    plan_.staged ? emit_stages() : emit_one_stage();
    finish();
  }

  const TileLayout& layout() const { return plan_.layout; }
  const TileNode& node(int id) const { return plan_.node(id); }
  const NodeTime& time(int id) const { return plan_.time(id); }
  const TileView& view_of(int id) const { return plan_.view(node(id)); }
  int count() const { return plan_.count(); }

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
        {layout().tile_lanes(), layout().tile_rows, accumulator_lanes(), plan_.staged ? int64_t{256} : int64_t{0}});
    for (int id = 0; id < count(); ++id) {
      const bool keeps = plan_.alive(id) && !plan_.in_tile(id) && node(id).kind != Kind::store;
      if (keeps)
        new_register(time(id).lanes == Lanes::uniform ? lane_group : lanes_);
      else
        part_.offsets_.push_back(-1);
    }
    accumulators_.resize(plan_.body.nodes.size());
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

  // Of elements alone; or down columns, in one pass, and where each row of the tile has its own lanes in no
  // accumulator.
  void write_native_loops() {
    if (layout().walk == Walk::flat) part_.native_ = NativeLoop::make(plan_.unjoined, places_);
    if (layout().walk == Walk::rows) write_native_rows();
    if (layout().walk != Walk::columns || plan_.last_phase > 0 || layout().folded_rows > 1) return;
    Ids sums;
    for (const Accumulator& each : accumulators_) sums.push_back(each.sum);
    part_.native_columns_ = NativeColumns::make(plan_.unjoined, places_, sums);
  }

  void write_native_rows() {
    part_.native_rows_ = NativeRows::make(plan_.unjoined, places_, layout().columns);
    make_room_for_rows();
  }

  // The sums down the columns are in the kernels in the same order.
  void write_joint_rows(const LoopKernel& kernel) {
    TileBody body = tile_body(kernel, Walk::rows, table_);
    find_differences(body, table_);
    const Ids own = plan_.nodes_where([&](int id) { return node(id).kind == Kind::reduce; });
    Ids sums(body.nodes.size(), -1);
    size_t found = 0;
    for (size_t id = 0; id < body.nodes.size(); ++id) {
      if (body.nodes[id].kind != Kind::reduce || body.nodes[id].level != Level::column) continue;
      if (found == own.size()) return;
      sums[id] = accumulators_[static_cast<size_t>(own[found++])].sum;
    }
    if (found < own.size()) return;
    part_.native_rows_ = NativeRows::make(body, places_, layout().columns, sums);
    make_room_for_rows();
  }

  void make_room_for_rows() {
    if (!part_.native_rows_) return;
    part_.kept_offset_ = part_.register_floats_;
    part_.register_floats_ += round_up(part_.native_rows_->kept_floats(), lane_group);
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
    if (of.view >= 0) op.view = &plan_.body.views[static_cast<size_t>(of.view)];
    if (of.view2 >= 0) op.view2 = &plan_.body.views[static_cast<size_t>(of.view2)];
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
    const TileView& seen = plan_.view(of);
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

  Ids reductions_of(int phase) const {
    return plan_.nodes_where([&](int id) { return plan_.is_accumulated(id) && time(id).when == phase + 1; });
  }

  // What the tiles of a phase must bring about.
  Ids tile_sinks(int phase) const {
    return plan_.nodes_where([&](int id) {
      if (plan_.is_accumulated(id)) return time(id).when == phase + 1;
      return plan_.in_tile(id) && node(id).kind == Kind::store && time(id).phase == phase;
    });
  }

  void emit_one_stage() {
    const auto nothing = [](int) { return false; };
    for (int p = 0; p <= plan_.last_phase; ++p) {
      TilePhase& phase = part_.phases_[static_cast<size_t>(p)];
      emit_tiles(phase, plan_.closure(tile_sinks(p), nothing), p);
      emit_accumulators(phase, p);
      for (int id = 0; id < count(); ++id) emit_outside(phase, id, p);
    }
    // Levels are stored at the very end: no phase can read them by mistake.
    for (const int id :
         plan_.nodes_where([&](int each) { return node(each).kind == Kind::store && !plan_.in_tile(each); }))
      part_.phases_.back().post.push_back(op_of(id));
  }

  // What is computed before or after the tiles of phase p.
  void emit_outside(TilePhase& phase, int id, int p) const {
    if (!plan_.alive(id) || plan_.in_tile(id) || node(id).kind == Kind::store || plan_.is_accumulated(id)) return;
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
    const int gathers = reductions_of(plan_.last_phase).empty() ? plan_.last_phase : plan_.last_phase + 1;
    part_.gathers_.resize(static_cast<size_t>(gathers));
    for (int p = 0; p <= plan_.last_phase; ++p) emit_tile_stage(p);
    for (int p = 0; p < gathers; ++p) emit_gather_stage(p);
  }

  // Each level value that a later stage may read has its place; a reduction one for each chunk too.
  void make_memory() {
    pitch_ = round_up(layout().kept(), lane_group);
    const auto levels = plan_.nodes_where(
        [&](int id) { return plan_.is_level(id) && time(id).when > 0 && node(id).kind != Kind::store; });
    part_.shared_.resize(static_cast<size_t>(pitch_) * levels.size() * static_cast<size_t>(2 * layout().chunks + 1));
    float* next = part_.shared_.data();
    saved_.resize(plan_.body.nodes.size(), nullptr);
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
    const auto known = [&](int id) { return plan_.is_level(id) && time(id).when > 0 && time(id).when <= p; };
    const Ids ids = plan_.closure(tile_sinks(p), known);
    emit_tiles(phase, ids, p);
    for (const int id : ids) {
      if (plan_.in_tile(id) || plan_.is_accumulated_in(id, p)) continue;
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

  void emit_gather_stage(int p) {
    TilePhase& phase = part_.gathers_[static_cast<size_t>(p)];
    const auto known = [&](int id) { return plan_.is_level(id) && time(id).when > 0 && time(id).when <= p; };
    const Ids made = plan_.nodes_where([&](int id) { return plan_.is_level(id) && time(id).when == p + 1; });
    for (const int id : plan_.closure(made, [&](int id) { return known(id) || plan_.is_accumulated_in(id, p); })) {
      const Accumulator& from = accumulators_[static_cast<size_t>(id)];
      if (plan_.is_accumulated_in(id, p))
        phase.post.push_back(gather_op(id, from));
      else if (known(id))
        phase.post.push_back(memory_op(table_.restore, id, saved_[static_cast<size_t>(id)], 0));
      else
        (time(id).when == NodeTime::setup ? phase.setup : phase.post).push_back(op_of(id));
    }
    for (const int id : made)
      if (node(id).kind != Kind::store && p < plan_.last_phase)
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
      if (plan_.in_tile(id) || plan_.is_accumulated_in(id, p)) order.push_back(id);
    place_tile_registers(phase, order);
    const std::vector<bool> vanishes = make_direct(phase, order);
    for (const int id : order) {
      const TileOp op = node(id).kind == Kind::reduce ? reduce_op(id) : op_of(id);
      phase.any.push_back(op);
      if (!vanishes[static_cast<size_t>(id)]) phase.whole.push_back(op);
      if (node(id).kind == Kind::load && node(id).level == Level::element && view_of(id).contiguous())
        phase.streams.push_back(&view_of(id));
      part_.cost_ += node(id).cost;
    }
  }

  // The accesses that vanish.
  std::vector<bool> make_direct(TilePhase& phase, const Ids& order) const {
    std::vector<bool> vanishes(plan_.body.nodes.size(), false);
    for (const DirectRegister& each : direct_registers(plan_, places_, order)) {
      vanishes[static_cast<size_t>(each.access)] = true;
      phase.direct.push_back({static_cast<uint16_t>(each.value), &view_of(each.access)});
    }
    return vanishes;
  }

  // Places are reused when their value has been read for the last time, by arithmetic in the same instruction.
  void place_tile_registers(TilePhase& phase, const Ids& order) {
    const Ids last = last_uses(plan_, order);
    std::vector<int> free;
    std::vector<int> slot(plan_.body.nodes.size(), -1);
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
      if (plan_.in_tile(id) && node(id).kind != Kind::store) {
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

  // --- The end ---

  // Tile registers follow those that keep their place. Instructions point at the views.
  void finish() {
    const int64_t slot_floats = round_up(lanes_, lane_group) + lane_slack;
    for (TilePhase& phase : part_.phases_) {
      for (TilePhase::Register& reg : phase.tile_registers)
        reg.offset = part_.register_floats_ + reg.offset * slot_floats;
      if (phase.direct.empty()) phase.whole.clear();
    }
    part_.register_floats_ += tile_slots_ * slot_floats;
    part_.layout_ = plan_.layout;
    part_.staged_ = plan_.staged;
    part_.views_ = std::move(plan_.body.views);  // which stay where they are
  }

  const BufferPlaces& places_;
  const TileTable& table_;
  TilePlan plan_;
  std::vector<Accumulator> accumulators_;
  std::vector<float*> saved_;
  TilePart part_;
  int tile_slots_ = 0;
  int64_t lanes_ = 0, pitch_ = 0;
};

TilePart make_part(const LoopKernel& kernel, const BufferPlaces& places, const TileTable& table) {
  return TilePlanner(kernel, places, table).part();
}

std::optional<TilePart> make_joint_part(const LoopKernel& columns, const LoopKernel& rows, const BufferPlaces& places,
                                        const TileTable& table) {
  if (columns.rows != rows.rows || columns.columns != rows.columns) return std::nullopt;
  if (choose_walk(columns) != Walk::columns || choose_walk(rows) != Walk::rows) return std::nullopt;
  return TilePlanner(columns, places, table).part_with(columns, rows);
}

}  // namespace descent::cpu
