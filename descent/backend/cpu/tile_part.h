// A loop kernel made ready: lists of instructions, and the walk that carries them over the domain.
#pragma once

#include <optional>
#include <vector>

#include "descent/backend/cpu/native_loop.h"
#include "descent/backend/cpu/tile_layout.h"

namespace descent::cpu {

// The instructions of one phase of a walk.
struct TilePhase {
  struct Register {
    uint16_t id;
    int64_t offset;  // in floats, from the start of the thread's registers
  };
  struct Direct {  // a register that is, in tiles of whole lane groups, the memory that a view shows
    uint16_t id;
    const TileView* view;
  };

  std::vector<TileOp> setup;  // once a thread
  std::vector<TileOp> pre;    // before a unit's tiles
  std::vector<TileOp> any;    // each tile
  std::vector<TileOp> whole;  // each tile of whole lane groups: with direct registers
  std::vector<TileOp> flush;  // after flush_rows
  std::vector<TileOp> post;   // after a unit's tiles
  std::vector<Register> tile_registers;
  std::vector<Direct> direct;
  std::vector<const TileView*> streams;  // that tiles read as they lie
};

// One kernel. Its work is a list of stages, each after the other; a stage's units are independent. There is one stage
// unless the reduced axis is in chunks: then each phase is a stage of its own, followed by one that gathers its
// results.
class TilePart {
 public:
  size_t stages() const { return staged_ ? phases_.size() + gathers_.size() : 1; }
  int64_t units(size_t stage) const;
  double unit_cost(size_t stage) const;  // in vectors of 16 lanes
  int64_t register_count() const { return static_cast<int64_t>(offsets_.size()); }
  int64_t register_floats() const { return register_floats_; }

  // Units begin to end of a stage, in one thread. `registers` are 64-byte aligned.
  void run(size_t stage, int64_t begin, int64_t end, TileFrame& frame, float* registers) const;

  // The same by elements, of a kernel whose walk is flat: begin once, then any spans.
  bool is_flat() const { return !staged_ && layout_.walk == Walk::flat; }
  void begin(size_t stage, TileFrame& frame, float* registers) const;
  void run_span(int64_t flat, int64_t count, TileFrame& frame, float* registers) const;
  const NativeLoop* native() const { return native_.get(); }
  bool is_native() const { return native_ || native_columns_ || native_rows_; }  // it is machine code

 private:
  friend class TilePlanner;

  void enter(const TilePhase& phase, TileFrame& frame, float* registers) const;
  void prefetch_tile(const TilePhase& phase, const TileFrame& frame, const Extent& element) const;
  void run_tile(const TilePhase& phase, TileFrame& frame, float* registers) const;  // the frame's element extent
  void run_blocks(const TilePhase& phase, int64_t begin, int64_t end, TileFrame& frame, float* registers) const;
  void run_rows(const TilePhase& phase, int64_t begin, int64_t end, TileFrame& frame, float* registers) const;
  void run_long_row(const TilePhase& phase, int64_t unit, TileFrame& frame, float* registers) const;
  void run_columns(const TilePhase& phase, int64_t unit, TileFrame& frame, float* registers) const;
  void run_gather(const TilePhase& phase, int64_t unit, TileFrame& frame) const;
  void run_units(size_t first, size_t last, int64_t begin, int64_t end, TileFrame& frame, float* registers) const;

  TileLayout layout_;
  bool staged_ = false;
  std::vector<TileView> views_;
  std::vector<TilePhase> phases_, gathers_;
  std::vector<int64_t> offsets_;  // of registers that keep their place; -1: of tile registers
  int64_t register_floats_ = 0;
  std::vector<float> shared_;  // partial results of chunks
  double cost_ = 1;            // of 16 elements
  // Where there is one, it does the work of a flat kernel, of the tiles of one that goes down columns, or of whole
  // rows. Beside the layout of a kernel that goes down columns, rows do its work and another's.
  std::unique_ptr<const NativeLoop> native_;
  std::unique_ptr<const NativeColumns> native_columns_;
  std::unique_ptr<const NativeRows> native_rows_;
  int64_t kept_offset_ = 0;  // in the thread's registers: what native rows keep
};

// Fails naming the instruction if there is something the machine cannot do.
TilePart make_part(const LoopKernel& kernel, const BufferPlaces& places, const TileTable& table);

// A part that sums `columns`, and does meanwhile, as it comes by its rows, what `rows` does: both read much of the
// same. None where no machine code does so. The kernels do not depend on each other.
std::optional<TilePart> make_joint_part(const LoopKernel& columns, const LoopKernel& rows, const BufferPlaces& places,
                                        const TileTable& table);

}  // namespace descent::cpu
