#include "descent/backend/cpu/tile_layout.h"

#include <algorithm>
#include <numeric>

namespace descent::cpu {

namespace {

using Kind = TileNode::Kind;

// Rows of up to this many columns are kept whole in registers. (Longer ones are read once a phase.)
constexpr int64_t longest_whole_row = 1024;
constexpr int64_t longest_whole_row_in_phases = 4096;  // where that would repeat work
constexpr int64_t widest_segment = 512;                // columns
constexpr int64_t block_side = 32;
constexpr int64_t chunk_elements = 1 << 14, most_chunks = 32;
constexpr int64_t flush_adds = 128;  // numbers added to one lane of an accumulator before it is emptied

int64_t divided(int64_t value, int64_t by) { return (value + by - 1) / by; }

bool reduces(const Instr& instr) {
  return instr.op == LoopOp::sum || instr.op == LoopOp::max || instr.op == LoopOp::argmax;
}

bool has_reduction(const LoopKernel& kernel, Level level) {
  return std::ranges::any_of(kernel.body,
                             [level](const Instr& instr) { return reduces(instr) && instr.level == level; });
}

}  // namespace

// --- Buffers ---

BufferPlaces::Range BufferPlaces::range(const TileView& view) const {
  BufferId id = view.buffer;
  for (size_t i = 0; i < program_.buffers.size() && program_.buffers[id].in_place_of >= 0; ++i)
    id = static_cast<BufferId>(program_.buffers[id].in_place_of);
  int64_t low = view.offset, high = view.offset;
  for (size_t i = 0; i < static_cast<size_t>(view.axes); ++i)
    (view.strides[i] < 0 ? low : high) += (view.sizes[i] - 1) * view.strides[i];
  const auto bytes = static_cast<int64_t>(size_of(view.dtype));
  const Buffer& buffer = program_.buffers[id];
  if (buffer.role != BufferRole::temporary) return {id, low * bytes, (high + 1) * bytes};
  return {-1, buffer.offset + low * bytes, buffer.offset + (high + 1) * bytes};
}

bool BufferPlaces::may_overlap(const TileView& a, const TileView& b) const {
  const Range x = range(a), y = range(b);
  return x.base == y.base && x.begin < y.end && y.begin < x.end;
}

bool BufferPlaces::is_read_late(BufferId buffer) const {
  constexpr int64_t caches = int64_t{8} << 20;  // bytes
  const auto touches = [buffer](const std::vector<View>& views) {
    return std::ranges::find(views, buffer, &View::buffer) != views.end();
  };
  const auto writer = std::ranges::find_if(program_.steps, [&](const Step& each) { return touches(writes_of(each)); });
  int64_t written = 0;
  for (auto step = writer; step != program_.steps.end(); ++step) {
    if (step != writer && touches(reads_of(*step))) return written > caches;
    for (const View& view : writes_of(*step)) written += view.elements() * static_cast<int64_t>(size_of(view.dtype));
  }
  return false;
}

bool BufferPlaces::passes_caches(const TileView& store, int64_t large) const {
  return store.contiguous() && store.offset == 0 && store.dtype == DType::bf16 && store.sizes[0] >= large &&
         is_temporary(store.buffer) && is_read_late(store.buffer);
}

bool BufferPlaces::same(const TileView& a, const TileView& b) const {
  const Range x = range(a), y = range(b);
  return x.base == y.base && x.begin == y.begin && size_of(a.dtype) == size_of(b.dtype) && a.axes == b.axes &&
         std::equal(a.sizes.begin(), a.sizes.begin() + a.axes, b.sizes.begin()) &&
         std::equal(a.strides.begin(), a.strides.begin() + a.axes, b.strides.begin());
}

// --- The walk ---

Walk choose_walk(const LoopKernel& kernel) {
  if (has_reduction(kernel, Level::column)) return Walk::columns;
  const bool levels =
      std::ranges::any_of(kernel.body, [](const Instr& instr) { return instr.level != Level::element; });
  if (!levels) return Walk::flat;
  const auto count = std::ranges::count_if(kernel.body, reduces);
  return kernel.columns <= (count > 1 ? longest_whole_row_in_phases : longest_whole_row) ? Walk::rows : Walk::long_rows;
}

// --- The layout ---

int64_t TileLayout::segments() const {
  if (walk == Walk::rows) return divided(rows, tile_rows);
  return walk == Walk::columns ? divided(columns, std::max<int64_t>(tile_columns, 1)) : rows;
}

namespace {

struct Work {
  int streams = 0, cost = 0;
  int64_t period = 1;  // common to the views that repeat, where it is short
};

Work work_of(const TileBody& body) {
  constexpr int64_t longest = 2048;
  Work work;
  for (const TileNode& node : body.nodes) {
    if (node.level != Level::element || node.repeats()) continue;
    if (node.kind == Kind::compute) work.cost += node.cost;
    if (node.kind != Kind::load && node.kind != Kind::store && node.kind != Kind::iota) continue;
    if (node.period == 0)
      ++work.streams;
    else if (const int64_t both = std::lcm(work.period, node.period); node.period <= longest && both <= longest)
      work.period = both;
  }
  return work;
}

// Short tiles keep the processor's streams of memory going; long ones pay less for each instruction's start.
int64_t usual_lanes(const Work& work) { return work.cost > 4 * work.streams ? 512 : 256; }

// `unit` as often as fits `most`, at least once.
int64_t multiple(int64_t unit, int64_t most) { return unit * std::max<int64_t>(1, most / unit); }

void cut_flat(TileLayout& layout, const Work& work) {
  const int64_t grouped = std::lcm(work.period, lane_group);
  const int64_t unit = grouped <= 2048 ? grouped : work.period;
  layout.columns *= layout.rows;
  layout.rows = 1;
  layout.tile_columns = std::min(multiple(unit, usual_lanes(work)), std::max<int64_t>(layout.columns, 1));
}

void cut_rows(TileLayout& layout, const Work& work) {
  const int64_t lanes = usual_lanes(work), columns = std::max<int64_t>(layout.columns, 1);
  const int64_t grouped = lane_group / std::gcd(columns, lane_group);
  const int64_t repeating = work.period / std::gcd(columns, work.period);
  const int64_t best = std::lcm(grouped, repeating), fair = grouped * columns <= 1024 ? grouped : 1;
  const int64_t unit = best * columns <= 1024 ? best : fair;
  layout.tile_columns = layout.columns;
  layout.tile_rows = std::clamp<int64_t>(multiple(unit, lanes / columns), 1, std::max<int64_t>(layout.rows, 1));
}

void cut_long_rows(TileLayout& layout, bool reduced) {
  layout.tile_columns = widest_segment;
  // Few long rows: parts of them run at the same time.
  const int64_t wanted = layout.rows >= 16 ? 1
                                           : std::clamp<int64_t>(layout.columns / chunk_elements, 1,
                                                                 most_chunks / std::max<int64_t>(layout.rows, 1));
  layout.chunks = reduced && layout.rows * layout.columns < 4 * chunk_elements ? 1 : wanted;
}

void cut_columns(TileLayout& layout, bool across) {
  const int64_t columns = layout.columns;
  const int64_t widest = across ? block_side : widest_segment;
  const int64_t count = std::max<int64_t>(1, divided(columns, widest));
  layout.tile_columns = count == 1 ? columns : round_up(divided(columns, count), 64 < widest ? 64 : widest);
  if (columns > 0 && columns < 32) layout.folded_rows = lane_group / std::gcd(columns, lane_group);
  const int64_t fitting =
      std::max<int64_t>(widest_segment / std::max<int64_t>(layout.tile_columns, 1), across ? block_side : 1);
  const int64_t grouped =
      lane_group / std::gcd(std::max<int64_t>(layout.tile_columns, 1), lane_group);  // folded_rows divides it
  layout.tile_rows = multiple(grouped <= fitting ? grouped : layout.folded_rows, fitting);
  layout.tile_rows = std::clamp<int64_t>(layout.tile_rows, 1, std::max<int64_t>(layout.rows, 1));
  const int64_t wanted = std::clamp<int64_t>(layout.rows * columns / chunk_elements, 1, most_chunks);
  layout.chunks = std::clamp<int64_t>(divided(wanted, std::max<int64_t>(layout.segments(), 1)), 1,
                                      std::max<int64_t>(layout.rows / 32, 1));
}

void set_chunk(TileLayout& layout) {
  const bool down = layout.walk == Walk::columns;
  const int64_t length = std::max<int64_t>(down ? layout.rows : layout.columns, 1),
                tile = down ? layout.tile_rows : layout.tile_columns;
  layout.chunk = round_up(divided(length, layout.chunks), tile);
  layout.chunks = divided(length, layout.chunk);
  layout.flush_rows = multiple(layout.tile_rows, flush_adds * layout.folded_rows);
}

// The view that decides on blocks: the largest that is read or written across.
const TileView* view_across(const TileBody& body) {
  for (const TileNode& node : body.nodes) {
    if (node.level != Level::element || (node.kind != Kind::load && node.kind != Kind::store)) continue;
    const TileView& view = body.views[static_cast<size_t>(node.view)];
    if (!view.empty() && view.transposed() && view.sizes[static_cast<size_t>(view.axes - 2)] >= 8) return &view;
  }
  return nullptr;
}

void cut_blocks(TileLayout& layout, const TileView& view) {
  const int64_t elements = layout.rows * layout.columns;
  layout.walk = Walk::blocks;
  layout.columns = view.sizes[static_cast<size_t>(view.axes - 1)];
  layout.rows = view.sizes[static_cast<size_t>(view.axes - 2)];
  layout.slabs = elements / (layout.rows * layout.columns);
  layout.tile_rows = std::min(layout.rows, block_side);
  layout.tile_columns = std::min(layout.columns, block_side);
}

}  // namespace

TileLayout choose_layout(const LoopKernel& kernel, const TileBody& body, Walk walk) {
  TileLayout layout{.walk = walk, .rows = kernel.rows, .columns = kernel.columns};
  const Work work = work_of(body);
  const TileView* across = view_across(body);
  if (walk == Walk::flat && across != nullptr)
    cut_blocks(layout, *across);
  else if (walk == Walk::flat)
    cut_flat(layout, work);
  else if (walk == Walk::rows)
    cut_rows(layout, work);
  else if (walk == Walk::long_rows)
    cut_long_rows(layout, has_reduction(kernel, Level::row));
  else
    cut_columns(layout, across != nullptr && across->sizes[static_cast<size_t>(across->axes - 1)] == kernel.columns);
  if (walk == Walk::long_rows || walk == Walk::columns) set_chunk(layout);
  return layout;
}

// --- Times ---

namespace {

class Timer {
 public:
  Timer(const TileBody& body, const TileLayout& layout) : body_(body), layout_(layout) {}

  std::vector<NodeTime> run() {
    for (const TileNode& node : body_.nodes) times_.push_back(time_of(node));
    return std::move(times_);
  }

 private:
  const NodeTime& time(int id) const { return times_[static_cast<size_t>(id)]; }

  template <class Function>
  static void each_input(const TileNode& node, Function function) {
    for (const int id : node.in)
      if (id >= 0) function(id);
  }

  // The first phase in which all arguments are there.
  int ready(const TileNode& node) const {
    int phase = 0;
    each_input(node, [&](int id) {
      phase = std::max(phase, time(id).when == NodeTime::tile ? time(id).phase : time(id).when);
    });
    return phase;
  }
  bool has_tile_input(const TileNode& node) const {
    bool any = false;
    each_input(node, [&](int id) { any |= time(id).when == NodeTime::tile; });
    return any;
  }

  NodeTime time_of(const TileNode& node) const {
    if (node.uniform) return {NodeTime::setup, 0, Lanes::uniform};
    const Lanes lanes = node.level == Level::element ? Lanes::element
                        : node.level == Level::row   ? Lanes::row
                                                     : Lanes::column;
    const NodeTime with_tile{NodeTime::tile, ready(node), lanes}, before{ready(node), 0, lanes};
    if (node.kind == Kind::store && node.level == Level::element) return with_tile;
    switch (layout_.walk) {
      case Walk::flat:
      case Walk::rows: {
        const bool same = node.level == Level::column || (node.period > 0 && layout_.tile_lanes() % node.period == 0);
        return same && node.level != Level::row ? NodeTime{NodeTime::setup, 0, lanes} : with_tile;
      }
      case Walk::blocks: return with_tile;
      case Walk::long_rows:
        if (node.steady) return {ready(node), 0, Lanes::uniform};
        return node.level == Level::row ? after(node, before) : with_tile;
      case Walk::columns: return in_columns(node, with_tile, before);
    }
    return with_tile;
  }

  // A reduction is there when the phase of its argument is over.
  NodeTime after(const TileNode& node, NodeTime before) const {
    if (node.kind == Kind::reduce) before.when = ready(node) + 1;
    return before;
  }

  NodeTime in_columns(const TileNode& node, NodeTime with_tile, NodeTime before) const {
    if (node.level == Level::column) return after(node, before);
    if (node.level == Level::row) return with_tile;
    const bool by_column = node.period > 0 && layout_.columns % node.period == 0;
    if (node.kind == Kind::spread || node.kind == Kind::compute) return has_tile_input(node) ? with_tile : before;
    return by_column ? before : with_tile;
  }

  const TileBody& body_;
  const TileLayout& layout_;
  std::vector<NodeTime> times_;
};

}  // namespace

std::vector<NodeTime> node_times(const TileBody& body, const TileLayout& layout) { return Timer(body, layout).run(); }

// --- Stray stores ---

namespace {

std::vector<bool> needed_by(const LoopKernel& kernel, const std::vector<size_t>& stores) {
  std::vector<bool> needed(kernel.body.size(), false);
  for (const size_t i : stores) needed[i] = true;
  for (size_t i = kernel.body.size(); i-- > 0;)
    for (const int32_t arg : kernel.body[i].args)
      if (needed[i] && arg >= 0) needed[static_cast<size_t>(arg)] = true;
  return needed;
}

bool depends_on_reduction(const LoopKernel& kernel, size_t store) {
  const std::vector<bool> needed = needed_by(kernel, {store});
  for (size_t i = 0; i < kernel.body.size(); ++i)
    if (needed[i] && reduces(kernel.body[i])) return true;
  return false;
}

// The instructions that `stores` need. With `along` they become element instructions of one row of that length.
LoopKernel extracted(const LoopKernel& kernel, const std::vector<size_t>& stores, int64_t along = -1) {
  LoopKernel out{.rows = along < 0 ? kernel.rows : 1,
                 .columns = along < 0 ? kernel.columns : along,
                 .body = {},
                 .views = kernel.views};
  const std::vector<bool> needed = needed_by(kernel, stores);
  std::vector<int32_t> moved(kernel.body.size(), -1);
  for (size_t i = 0; i < kernel.body.size(); ++i) {
    if (!needed[i]) continue;
    Instr instr = kernel.body[i];
    for (int32_t& arg : instr.args)
      if (arg >= 0) arg = moved[static_cast<size_t>(arg)];
    if (along >= 0) instr.level = Level::element;
    moved[i] = static_cast<int32_t>(out.body.size());
    out.body.push_back(instr);
  }
  return out;
}

}  // namespace

std::vector<LoopKernel> without_stray_stores(const LoopKernel& kernel) {
  const Walk walk = choose_walk(kernel);
  std::vector<size_t> kept, rows, columns;
  for (size_t i = 0; i < kernel.body.size(); ++i) {
    const Instr& instr = kernel.body[i];
    if (instr.op != LoopOp::store) continue;
    const bool at_home = instr.level == Level::element || (instr.level == Level::row && walk == Walk::rows) ||
                         depends_on_reduction(kernel, i);
    (at_home ? kept : instr.level == Level::row ? rows : columns).push_back(i);
  }
  if (rows.empty() && columns.empty() && !kept.empty()) return {kernel};
  std::vector<LoopKernel> out;
  if (!kept.empty()) out.push_back(extracted(kernel, kept));
  if (!rows.empty()) out.push_back(extracted(kernel, rows, kernel.rows));
  if (!columns.empty()) out.push_back(extracted(kernel, columns, kernel.columns));
  return out;
}

LoopKernel joined(const LoopKernel& first, const LoopKernel& second) {
  LoopKernel out = first;
  const auto place_of = [&](int32_t index) {
    if (index < 0) return index;
    const View& view = second.views[static_cast<size_t>(index)];
    const auto found = std::ranges::find(out.views, view);
    if (found == out.views.end()) return out.views.push_back(view), static_cast<int32_t>(out.views.size()) - 1;
    return static_cast<int32_t>(found - out.views.begin());
  };
  std::vector<int32_t> moved;
  for (Instr instr : second.body) {
    for (int32_t& arg : instr.args)
      if (arg >= 0) arg = moved[static_cast<size_t>(arg)];
    instr.view = place_of(instr.view);
    instr.view2 = place_of(instr.view2);
    const auto end = first.body.size();
    const auto found = std::find(out.body.begin(), out.body.begin() + static_cast<int64_t>(end), instr);
    const bool there =
        instr.op != LoopOp::store && !reduces(instr) && found != out.body.begin() + static_cast<int64_t>(end);
    moved.push_back(static_cast<int32_t>(there ? found - out.body.begin() : static_cast<int64_t>(out.body.size())));
    if (!there) out.body.push_back(instr);
  }
  return out;
}

}  // namespace descent::cpu
