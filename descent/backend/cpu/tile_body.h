// A loop kernel's body as the tile machine plans it: every conversion is a node of its own, values that do not change
// are marked, and neighbours are joined where there is one routine for both.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "descent/backend/cpu/tile_code.h"

namespace descent::cpu {

// How a kernel's domain is walked through.
enum class Walk : uint8_t {
  flat,       // elements in order: nothing but element registers
  blocks,     // likewise, as rectangles, because a view is read or written across
  rows,       // whole rows, as many as make a tile
  long_rows,  // one row in several tiles, once for each phase
  columns,    // down a segment of the columns, once for each phase
};

struct TileNode {
  enum class Kind : uint8_t { load, store, constant, iota, random, compute, spread, reduce, dead };

  Kind kind = Kind::compute;
  Level level = Level::element;
  DType dtype = DType::f32;
  TileRoutine run = nullptr;  // of compute
  std::array<int, 4> in{-1, -1, -1, -1};
  int view = -1, view2 = -1;
  uint32_t bits = 0;  // of a constant; the stream of random bits
  int64_t inner = 1, size = 1;
  LoopOp reduce = LoopOp::sum;
  LaneType type = LaneType::real;   // of what is reduced or computed with
  std::optional<Arith> arith = {};  // of compute nodes: none converts from `type` to `dtype`, or is a joined routine
  bool in_bf16 = false;             // the result is rounded to bf16
  int cost = 1;                     // about vectors of work

  bool uniform = false;  // one value for the whole domain
  bool steady = false;   // one value for a row of Walk::long_rows
  int64_t period = 0;    // element (r, c)'s value follows from its flat index modulo this; 0: not known to repeat

  static constexpr int64_t longest_period = int64_t{1} << 40;
  bool joins() const { return kind == Kind::compute && arith && !in_bf16; }
  bool repeats() const { return uniform || steady; }  // one group of lanes holds it
};

struct TileBody {
  std::vector<TileNode> nodes;  // arguments first
  std::vector<TileView> views;
};

// Fails naming the instruction if it is nothing that the table has a routine for.
TileBody tile_body(const LoopKernel& kernel, Walk walk, const TileTable& table);

// Makes a + -b to a - b: the same number, but of two that are none. Negations that nobody else uses become `dead`.
void find_differences(TileBody& body, const TileTable& table);

// Joins compute nodes with arguments that nobody else uses, where there is one routine for both and `places`, by node,
// says that they are computed at the same time. The arguments become `dead`.
void join_nodes(TileBody& body, const TileTable& table, std::span<const int> places);

// The view as routines take it.
TileView tile_view(const View& view);

}  // namespace descent::cpu
