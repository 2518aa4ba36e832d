#include "descent/backend/cpu/tile_part.h"

#include <algorithm>

namespace descent::cpu {

namespace {

constexpr int64_t gathered_lanes = 256;  // kept elements of a unit of a gathering stage
constexpr int64_t fetched_ahead = 512;   // elements of a stream: the processor itself stops at the end of a page

int64_t divided(int64_t value, int64_t by) { return (value + by - 1) / by; }

void run_all(const std::vector<TileOp>& ops, const TileFrame& frame) {
  for (const TileOp& op : ops) op.run(op, frame);
}

}  // namespace

int64_t TilePart::units(size_t stage) const {
  if (stage % 2 == 1) return divided(layout_.kept(), gathered_lanes);
  switch (layout_.walk) {
    case Walk::flat: return divided(layout_.columns, layout_.tile_columns);
    case Walk::blocks:
      return layout_.slabs * divided(layout_.rows, layout_.tile_rows) * divided(layout_.columns, layout_.tile_columns);
    case Walk::rows: return layout_.segments();
    case Walk::long_rows:
    case Walk::columns: return layout_.segments() * layout_.chunks;
  }
  return 0;
}

double TilePart::unit_cost(size_t stage) const {
  if (stage % 2 == 1) return static_cast<double>(gathered_lanes * layout_.chunks) / lane_group;
  double elements = static_cast<double>(layout_.tile_lanes());
  if (layout_.walk == Walk::long_rows) elements = static_cast<double>(std::min(layout_.chunk, layout_.columns));
  if (layout_.walk == Walk::columns)
    elements = static_cast<double>(layout_.tile_columns * std::min(layout_.chunk, layout_.rows));
  return cost_ * elements / lane_group + 4;
}

void TilePart::begin(size_t stage, TileFrame& frame, float* registers) const {
  if (native_ || (native_rows_ && layout_.walk == Walk::rows)) return;
  for (size_t id = 0; id < offsets_.size(); ++id) frame.reg[id] = registers + std::max<int64_t>(offsets_[id], 0);
  frame.chunk = 0;
  if (stage % 2 == 1) return run_all(gathers_[stage / 2].setup, frame);
  const TilePhase& phase = phases_[staged_ ? stage / 2 : 0];
  enter(phase, frame, registers);
  // What is set up once for all tiles is computed for a full one.
  frame.set(Lanes::element, {0, layout_.tile_rows, layout_.tile_columns, layout_.columns});
  frame.set(Lanes::column, {0, 1, layout_.tile_columns, 0});
  frame.rows = layout_.tile_rows;
  frame.columns = layout_.tile_columns;
  run_all(phase.setup, frame);
}

void TilePart::run(size_t stage, int64_t first, int64_t end, TileFrame& frame, float* registers) const {
  begin(stage, frame, registers);
  if (stage % 2 == 1) {
    for (int64_t unit = first; unit < end; ++unit) run_gather(gathers_[stage / 2], unit, frame);
    return;
  }
  const size_t phase = staged_ ? stage / 2 : 0;
  run_units(phase, staged_ ? phase + 1 : phases_.size(), first, end, frame, registers);
}

void TilePart::run_units(size_t first, size_t last, int64_t begin, int64_t end, TileFrame& frame,
                         float* registers) const {
  const TilePhase& phase = phases_[first];
  if (layout_.walk == Walk::flat) {
    const int64_t flat = begin * layout_.tile_columns;
    return run_span(flat, std::min(end * layout_.tile_columns, layout_.columns) - flat, frame, registers);
  }
  if (layout_.walk == Walk::blocks) return run_blocks(phase, begin, end, frame, registers);
  if (layout_.walk == Walk::rows) return run_rows(phase, begin, end, frame, registers);
  for (int64_t unit = begin; unit < end; ++unit)
    for (size_t i = first; i < last; ++i) {
      if (last - first > 1) enter(phases_[i], frame, registers);
      if (layout_.walk == Walk::columns)
        run_columns(phases_[i], unit, frame, registers);
      else
        run_long_row(phases_[i], unit, frame, registers);
    }
}

void TilePart::enter(const TilePhase& phase, TileFrame& frame, float* registers) const {
  for (const TilePhase::Register& reg : phase.tile_registers) frame.reg[reg.id] = registers + reg.offset;
}

// The processor sees a stream coming within a page; where a tile's rows lie pages apart, it has to be told.
void TilePart::prefetch_tile(const TilePhase& phase, const TileFrame& frame, const Extent& element) const {
  for (const TileView* view : phase.streams) {
    const auto width = static_cast<int64_t>(size_of(view->dtype));
    const std::byte* from = frame.addresses[view->buffer] + (view->offset + element.flat) * width;
    for (int64_t row = 0; row < element.rows; ++row, from += element.pitch * width)
      for (int64_t at = 0; at < element.run * width; at += 64) __builtin_prefetch(from + at);
  }
}

void TilePart::run_tile(const TilePhase& phase, TileFrame& frame, float* registers) const {
  const Extent& element = frame.extent[static_cast<size_t>(Lanes::element)];
  if (phase.direct.empty()) return run_all(phase.any, frame);
  if (element.count() % lane_group != 0) {
    enter(phase, frame, registers);
    return run_all(phase.any, frame);
  }
  for (const TilePhase::Direct& direct : phase.direct)
    frame.reg[direct.id] =
        reinterpret_cast<float*>(frame.addresses[direct.view->buffer]) + direct.view->offset + element.flat;
  run_all(phase.whole, frame);
}

void TilePart::run_span(int64_t flat, int64_t count, TileFrame& frame, float* registers) const {
  if (native_) return native_->run(frame.addresses, {flat, 1, count, fetched_ahead}, 0);
  const TilePhase& phase = phases_[0];
  for (const int64_t end = flat + count; flat < end; flat += layout_.tile_columns) {
    frame.set(Lanes::element, {flat, 1, std::min(layout_.tile_columns, end - flat), 0});
    run_tile(phase, frame, registers);
  }
}

void TilePart::run_blocks(const TilePhase& phase, int64_t begin, int64_t end, TileFrame& frame,
                          float* registers) const {
  const int64_t across = divided(layout_.columns, layout_.tile_columns),
                down = divided(layout_.rows, layout_.tile_rows);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t column = unit % across * layout_.tile_columns, row = unit / across % down * layout_.tile_rows;
    const int64_t slab = unit / across / down * layout_.rows * layout_.columns;
    frame.set(Lanes::element, {slab + row * layout_.columns + column, std::min(layout_.tile_rows, layout_.rows - row),
                               std::min(layout_.tile_columns, layout_.columns - column), layout_.columns});
    run_tile(phase, frame, registers);
  }
}

void TilePart::run_rows(const TilePhase& phase, int64_t begin, int64_t end, TileFrame& frame, float* registers) const {
  if (native_rows_) {
    const int64_t row = begin * layout_.tile_rows, rows = std::min(end * layout_.tile_rows, layout_.rows) - row;
    return native_rows_->run(frame.addresses, row, rows, registers + kept_offset_);
  }
  for (int64_t unit = begin; unit < end; ++unit) {
    frame.row0 = unit * layout_.tile_rows;
    frame.rows = std::min(layout_.tile_rows, layout_.rows - frame.row0);
    frame.set(Lanes::row, {frame.row0, 1, frame.rows, 0});
    frame.set(Lanes::element, {frame.row0 * layout_.columns, frame.rows, layout_.columns, layout_.columns});
    run_tile(phase, frame, registers);
  }
}

void TilePart::run_long_row(const TilePhase& phase, int64_t unit, TileFrame& frame, float* registers) const {
  const int64_t row = unit / layout_.chunks;
  frame.chunk = unit % layout_.chunks;
  frame.row0 = row;
  frame.rows = 1;
  frame.set(Lanes::row, {row, 1, 1, 0});
  run_all(phase.pre, frame);
  const int64_t end = std::min(layout_.columns, (frame.chunk + 1) * layout_.chunk);
  for (frame.column0 = frame.chunk * layout_.chunk; frame.column0 < end; frame.column0 += layout_.tile_columns) {
    frame.columns = std::min(layout_.tile_columns, end - frame.column0);
    frame.set(Lanes::column, {frame.column0, 1, frame.columns, 0});
    frame.set(Lanes::element, {row * layout_.columns + frame.column0, 1, frame.columns, 0});
    run_tile(phase, frame, registers);
  }
  run_all(phase.post, frame);
}

void TilePart::run_columns(const TilePhase& phase, int64_t unit, TileFrame& frame, float* registers) const {
  frame.chunk = unit % layout_.chunks;
  frame.column0 = unit / layout_.chunks * layout_.tile_columns;
  frame.columns = std::min(layout_.tile_columns, layout_.columns - frame.column0);
  frame.row0 = frame.chunk * layout_.chunk;
  frame.rows = layout_.tile_rows;
  const int64_t end = std::min(layout_.rows, frame.row0 + layout_.chunk);
  // Native code needs no tiles: it goes down to where the sums are flushed.
  const int64_t step = native_columns_ ? layout_.flush_rows : layout_.tile_rows;
  frame.set(Lanes::column, {frame.column0, 1, frame.columns, 0});
  // Patterns that all tiles share are made for a full one at the top.
  frame.set(Lanes::element, {frame.column0, frame.rows, frame.columns, layout_.columns});
  run_all(phase.pre, frame);
  for (int64_t flushed = frame.row0; frame.row0 < end; frame.row0 += step) {
    frame.rows = std::min(step, end - frame.row0);
    frame.set(Lanes::row, {frame.row0, 1, frame.rows, 0});
    const int64_t flat = frame.row0 * layout_.columns + frame.column0;
    if (!native_columns_ && frame.columns < layout_.columns && frame.row0 + 2 * layout_.tile_rows <= end)
      prefetch_tile(phase, frame, {flat + frame.rows * layout_.columns, frame.rows, frame.columns, layout_.columns});
    frame.set(Lanes::element, {flat, frame.rows, frame.columns, layout_.columns});
    if (native_rows_)
      native_rows_->run(frame.addresses, frame.row0, frame.rows, registers + kept_offset_, frame.reg);
    else if (native_columns_)
      native_columns_->run(frame.addresses, frame.reg, frame.extent[0], frame.column0);
    else
      run_tile(phase, frame, registers);
    if (frame.row0 + step - flushed < layout_.flush_rows) continue;
    run_all(phase.flush, frame);
    flushed = frame.row0 + step;
  }
  frame.rows = layout_.tile_rows;
  frame.set(Lanes::element, {frame.column0, frame.rows, frame.columns, layout_.columns});
  run_all(phase.post, frame);
}

void TilePart::run_gather(const TilePhase& phase, int64_t unit, TileFrame& frame) const {
  const int64_t begin = unit * gathered_lanes, count = std::min(gathered_lanes, layout_.kept() - begin);
  frame.set(layout_.kept_lanes(), {begin, 1, count, 0});
  run_all(phase.post, frame);
}

}  // namespace descent::cpu
