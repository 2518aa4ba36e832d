// Which nodes run together: the partition of a core graph into loop kernels, calls and assemblies.
#pragma once

#include "descent/compile/rewrite.h"
#include "descent/compile/view.h"

namespace descent {

enum class Reduce : uint8_t { none, rows, columns };  // to one value a row; to one value a column

enum class UnitKind : uint8_t {
  loop,      // fused into one loop kernel
  call,      // a contraction or an indexed access: one node
  assembly,  // pad or concat: one node, written part by part
};

// Nodes that run as one. A loop's domain is rows x columns; a node's level in it follows from its number of elements.
struct Unit {
  UnitKind kind = UnitKind::loop;
  std::vector<uint32_t> nodes;  // ascending
  Reduce reduce = Reduce::none;
  int64_t rows = 1, columns = 1;

  int64_t elements() const { return rows * columns; }
};

// What a node reads: the value that is stored or computed (never a plain view), and how it is looked at.
struct Read {
  Value base;
  View map;  // from the reader's flat index to base's flat index
};

// A plain view dissolves into strides: reshape, permute, broadcast, slice, flip.
bool is_plain_view(const Node& node);

// A leaf that a kernel computes on the spot (iota, random_bits).
bool is_generator(const Node& node);

// A value that is stored where it is computed, not computed again where it is read: a cast that says so.
bool is_wished_stored(const Node& node);

// Follows plain views down from `value`.
Read read_of(const Graph& graph, Value value);

struct FusionOptions {
  bool fuse = true;          // false: every loop node is a kernel of its own
  size_t largest = 48;       // nodes in a kernel: its registers must stay in the first cache
  int64_t lonely = 1 << 14;  // a reduction to fewer than 8 rows over more elements than this ends its kernel: what
                             // follows would run on one thread
};

// Result number `result` is the new value of the input `input`, and should take its bytes.
struct Update {
  size_t result;
  Value input;
};

struct Partition {
  std::vector<Unit> units;     // in an order in which they can run
  std::vector<int> unit_of;    // by node id; -1: a leaf, a view, or inlined
  std::vector<bool> inlined;   // by node id: computed again in each kernel that reads it, never stored
  std::vector<bool> in_place;  // by update: the unit that makes it may write over the input as it reads it
};

// With updates, the order also lets every reader of an updated input run before the unit that overwrites it; where
// that is impossible the update is not in place.
Partition partition(const Staged& staged, const FusionOptions& options, std::span<const Update> updates = {});

}  // namespace descent
