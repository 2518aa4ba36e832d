// Decoded instructions of the tile machine, and the table of routines that each vector target fills.
//
// A tile is a piece of a kernel's domain, small enough for its registers to stay in the first-level cache. A register
// is an array of 32-bit lanes: f32 for all floating types, i32 for i32, u8 and boolean (0 or 1), u32 for u32. A routine
// carries one instruction over one tile; it always handles whole groups of 16 lanes, so registers have room behind
// their last lane.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "descent/compile/program.h"

namespace descent::cpu {

inline constexpr int64_t lane_group = 16;
inline constexpr int64_t lane_slack = 64;  // lanes that a routine may write behind those it is asked for

constexpr int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// Which elements of a level a tile covers: `rows` runs of `run` flat indices, the first at `flat`, `pitch` apart.
struct Extent {
  int64_t flat = 0, rows = 1, run = 0, pitch = 0;
  int64_t count() const { return rows * run; }
};

// How many lanes an instruction has: those of an element, row or column register of this tile, or one group that holds
// one value (`uniform`).
enum class Lanes : uint8_t { element, row, column, uniform };
inline constexpr size_t lanes_kinds = 4;

// The state of one thread: where its registers are and which tile it is at.
struct TileFrame {
  std::byte* const* addresses = nullptr;  // by buffer
  float** reg = nullptr;                  // by register
  std::array<Extent, lanes_kinds> extent;
  std::array<int64_t, lanes_kinds> lanes{0, 0, 0, lane_group};  // the extents' counts, rounded up to whole groups
  int64_t rows = 1, columns = 0;                                // the tile's shape
  int64_t row0 = 0, column0 = 0;                                // its first row and column in the domain
  int64_t chunk = 0;                                            // which part of the reduced axis

  // Field by field: a wide load of what narrow stores have just written waits until all stores before it, the results'
  // among them, have reached the cache.
  void set(Lanes kind, const Extent& value) {
    Extent& to = extent[static_cast<size_t>(kind)];
    to.flat = value.flat;
    to.rows = value.rows;
    to.run = value.run;
    to.pitch = value.pitch;
    lanes[static_cast<size_t>(kind)] = round_up(value.count(), lane_group);
  }
};

// A view with the fewest axes, outermost first; none is left of a single element.
struct TileView {
  static constexpr int max_axes = 16;
  BufferId buffer = 0;
  DType dtype = DType::f32;
  int64_t offset = 0;
  int axes = 0;
  std::array<int64_t, max_axes> sizes{}, strides{};

  bool empty() const { return axes > 0 && *std::min_element(sizes.begin(), sizes.begin() + axes) == 0; }
  bool uniform() const { return axes == 0 || (axes == 1 && strides[0] == 0 && sizes[0] > 0); }
  bool contiguous() const { return axes == 0 || (axes == 1 && strides[0] == 1); }  // the flat index is the address
  // Blocks of it are best read along the second last axis, which lies densely in memory.
  bool transposed() const {
    return axes >= 2 && strides[axes - 2] == 1 && strides[axes - 1] != 1 && strides[axes - 1] != 0;
  }
};

struct TileOp;
using TileRoutine = void (*)(const TileOp&, const TileFrame&);

// One instruction. An input's step is 1, or 0 for a uniform register, which repeats its only group.
struct TileOp {
  TileRoutine run = nullptr;
  uint16_t out = 0;
  std::array<uint16_t, 4> in{};
  std::array<uint8_t, 4> step{};
  Lanes lanes = Lanes::element;
  uint32_t bits = 0;                // of a constant; the stream of random bits
  const TileView* view = nullptr;   // of loads and stores; the key of random bits
  const TileView* view2 = nullptr;  // the counter of random bits
  float* memory = nullptr;          // partial results shared between threads
  int64_t inner = 1, size = 1;      // of iota; of an accumulator: the tile's rows in one of its own, its lanes;
                                    // `size` also: chunks to gather
  int64_t pitch = 0;                // of `memory`
};

// What a register's lanes are.
enum class LaneType : uint8_t { real, i32, u32 };
inline constexpr size_t lane_types = 3;
constexpr LaneType lane_type(DType dtype) {
  if (dtype == DType::u32) return LaneType::u32;
  return dtype == DType::i32 || dtype == DType::u8 || dtype == DType::boolean ? LaneType::i32 : LaneType::real;
}

// Arithmetic on lanes: the ScalarOps and what the peephole pass makes of them. The first arguments come first.
enum class Arith : uint8_t {
  neg,
  exp,
  log,
  sqrt,
  sin,
  cos,
  tanh,
  erf,
  x_erf_slope,
  rounded_gelu,
  rounded_gelu_slope,
  floor,  // one argument
  add,
  sub,
  mul,
  div,
  max,
  min,
  pow,
  less,
  equal,  // two
  where,  // three
};
inline constexpr size_t arith_count = 22;

// Binary operations that can be joined with a neighbour into one instruction. An inner one computes a op b; an outer
// one applies to the inner result x and its own argument c.
enum class Inner : uint8_t { add, sub, mul, div };
enum class Outer : uint8_t { add, sub, rsub, mul, div, rdiv };  // x + c, x - c, c - x, x * c, x / c, c / x
inline constexpr size_t inner_count = 4, outer_count = 6;

enum class ReduceOp : uint8_t { sum, max };
inline constexpr size_t reduce_ops = 2;

// Everything that a vector target offers. Empty entries do not exist (or, for casts, change nothing).
struct TileTable {
  bool native_loops = false;  // elementwise kernels become machine code where they can

  // tile_arith.cpp
  TileRoutine arith[lane_types][arith_count] = {};
  TileRoutine arith_bf16[arith_count] = {};         // real, each result rounded to bf16
  TileRoutine cast[lane_types][8] = {};             // by lane type and DType
  TileRoutine pair[inner_count][outer_count] = {};  // (in0 inner in1) outer in2
  TileRoutine root_pair[outer_count] = {};          // sqrt(in0) outer in1
  TileRoutine exp_of[inner_count] = {};             // exp(in0 inner in1)
  TileRoutine both[inner_count][inner_count][inner_count] =
      {};  // (in0 . in1) middle (in2 . in3): [left][middle][right]
  TileRoutine select_less[lane_types] = {}, select_equal[lane_types] = {};  // in0 compared with in1 ? in2 : in3

  // tile_memory.cpp: by DType, whose storage they read or write
  TileRoutine load[8] = {}, load_any[8] = {}, load_transposed[8] = {}, load_uniform[8] = {};
  TileRoutine store[8] = {}, store_any[8] = {}, store_transposed[8] = {};
  TileRoutine constant = nullptr, iota = nullptr, random_bits = nullptr;
  TileRoutine spread_row = nullptr, spread_column = nullptr, spread_first = nullptr;
  TileRoutine save = nullptr, restore = nullptr;  // a level register to and from `memory`

  // tile_reduce.cpp. Along rows: to a row register, or merged into it. Down columns: into an accumulator of `size`
  // lanes.
  TileRoutine row_reduce[reduce_ops][lane_types] = {}, row_merge[reduce_ops][lane_types] = {};
  TileRoutine row_argmax[lane_types] = {}, row_argmax_merge[lane_types] = {};  // in1: the register of the values
  TileRoutine column_reduce[reduce_ops][lane_types] = {}, column_argmax[lane_types] = {};
  TileRoutine combine[reduce_ops][lane_types] = {};        // out = out op in0, over accumulators of `size` lanes
  TileRoutine fold[reduce_ops][lane_types] = {};           // in0, `size` lanes, to a column register
  TileRoutine gather_chunks[reduce_ops][lane_types] = {};  // partial results in `memory` to a level register
  TileRoutine gather_argmax[lane_types] = {};
  TileRoutine fill[reduce_ops][lane_types] = {};  // the accumulator with what changes nothing
};

// The table of the target in use, see tile_machine.h.
const TileTable& tile_table();

}  // namespace descent::cpu
