// How a kernel is cut: which walk, how large a tile, which parts can run at the same time; and when each node is
// computed. All of it follows from the kernel alone, never from the number of threads, and so do its results.
#pragma once

#include <memory>

#include "descent/backend/cpu/tile_body.h"

namespace descent::cpu {

// Where buffers lie, as far as it is known before a program runs.
class BufferPlaces {
 public:
  explicit BufferPlaces(const Program& program) : program_(program) {}

  bool may_overlap(const TileView& a, const TileView& b) const;
  bool is_temporary(BufferId buffer) const { return program_.buffers[buffer].role == BufferRole::temporary; }
  // Before it is read so much else is written that it will not be in the caches any more.
  bool is_read_late(BufferId buffer) const;
  // A rounded value of so many elements or more that is read late: what is there before need not be read, so whole lines
  // of it may go past the caches.
  bool passes_caches(const TileView& store, int64_t large) const;
  bool is_passing(BufferId buffer) const { return program_.buffers[buffer].role == BufferRole::passing; }
  bool same(const TileView& a, const TileView& b) const;  // each flat index at one address, with elements of one width

 private:
  struct Range {
    int64_t base, begin, end;  // bytes in what starts at `base`: the arena, or a buffer of the caller's
  };
  Range range(const TileView& view) const;

  const Program& program_;
};

struct TileLayout {
  Walk walk = Walk::flat;
  int64_t rows = 1, columns = 0;  // the domain; of blocks, of one of `slabs` equal parts
  int64_t slabs = 1;
  int64_t tile_rows = 1, tile_columns = 0;  // of a full tile
  int64_t chunks = 1, chunk = 0;            // parts of the reduced axis, and their rows or columns
  int64_t folded_rows = 1;                  // rows of the tile in one of an accumulator
  int64_t flush_rows = 0;                   // after so many rows the accumulators are added to the totals

  int64_t tile_lanes() const { return tile_rows * tile_columns; }
  int64_t segments() const;  // tiles beside each other along the kept axis: rows or columns
  int64_t kept() const { return walk == Walk::columns ? columns : rows; }
  Lanes kept_lanes() const { return walk == Walk::columns ? Lanes::column : Lanes::row; }
};

// The walk is chosen first: the body is made for it.
Walk choose_walk(const LoopKernel& kernel);
TileLayout choose_layout(const LoopKernel& kernel, const TileBody& body, Walk walk);

// When a node is computed.
struct NodeTime {
  static constexpr int setup = -1, tile = 1 << 20;
  int when = tile;  // once a thread (setup); once a unit, before phase `when` begins; or with each tile
  int phase = 0;    // of tile nodes: the first that can compute it
  Lanes lanes = Lanes::element;
};
std::vector<NodeTime> node_times(const TileBody& body, const TileLayout& layout);

// `kernel` without the row and column stores that its walk has no place for, and those as kernels of their own.
std::vector<LoopKernel> without_stray_stores(const LoopKernel& kernel);

// The work of two kernels over one domain; what both load or compute, once. (Its sums may go both ways.)
LoopKernel joined(const LoopKernel& first, const LoopKernel& second);

}  // namespace descent::cpu
