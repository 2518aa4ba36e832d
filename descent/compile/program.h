// A compiled step as plain data: printable, comparable, verifiable. What a backend turns into an Executable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "descent/core/shape.h"
#include "descent/graph/op.h"

namespace descent {

using BufferId = uint32_t;

// How a flat row-major index over `sizes` finds its element in a buffer: offset + sum of coordinate * stride, in
// elements. Strides may be 0 (repeated) or negative (flipped); an empty `sizes` is one element.
struct View {
  BufferId buffer = 0;
  DType dtype = DType::f32;
  int64_t offset = 0;
  std::vector<int64_t> sizes, strides;

  int64_t elements() const;
  bool dense() const;  // offset aside, the flat index is the address
  friend bool operator==(const View&, const View&) = default;
};

// --- Loop kernels: elementwise work, broadcasts and reductions over one domain, in one pass over memory ---
//
// The domain is `rows` x `columns` elements in row-major order; element (r, c) has flat index r * columns + c.
// A register holds a value for each element, for each row, or for each column. The body is in single-assignment form:
// instruction i defines register i (a store defines none). Every result is rounded to its dtype; bf16 and f16 are
// computed in f32.
enum class Level : uint8_t { element, row, column };

enum class LoopOp : uint8_t {
  load,         // views[view], indexed by the level's flat index (element: r * columns + c, row: r, column: c)
  store,        // args[0] to views[view], likewise
  constant,     // number
  iota,         // (flat index of the level / inner) % size
  random_bits,  // u32: word (flat % 4) of Philox4x32-10 with counter (flat / 4, stream, counter[0], counter[1]) and
                // key (key[0], key[1]), where views[view] is the key, u32[2], and views[view2] the counter, u32[2]
  scalar,       // `scalar` applied to args[0..2], all of the same level
  spread,       // a row or column register (args[0]) repeated for each element
  sum,
  max,
  argmax,  // reduce args[0] (element) to `level`: row = along the columns, column = along the rows.
           // argmax gives the i32 index along the reduced axis, the first where several are largest
};

struct Instr {
  LoopOp op;
  Level level = Level::element;
  DType dtype = DType::f32;  // of the result (of the stored value for a store)
  ScalarOp scalar = ScalarOp::neg;
  int32_t args[3] = {-1, -1, -1};  // registers
  int32_t view = -1, view2 = -1;
  double number = 0;
  int64_t inner = 1, size = 1;
  uint32_t stream = 0;
  friend bool operator==(const Instr&, const Instr&) = default;
};

// A kernel reduces along its columns (to rows), along its rows (to columns), or not at all, never both.
struct LoopKernel {
  int64_t rows = 1, columns = 1;
  std::vector<Instr> body;
  std::vector<View> views;
  friend bool operator==(const LoopKernel&, const LoopKernel&) = default;
};

// Independent kernels run as one launch (all parameters' updates, say).
struct LoopStep {
  std::vector<LoopKernel> kernels;
  friend bool operator==(const LoopStep&, const LoopStep&) = default;
};

// --- Calls: what a library or a hand-written kernel runs whole ---

// `what` names the kernel ("matmul", "gather" ...), attrs its fixed settings; reads and writes are its operands.
struct CallStep {
  std::string what;
  Attrs attrs;
  std::vector<View> reads, writes;
  // Of a matrix product: runs on each piece of the product while it is in the cache, in the place of storing it. It has
  // no reductions, its domain is the product's elements in order, and the product's buffer is `passing`.
  std::optional<LoopKernel> epilogue = {};
  friend bool operator==(const CallStep&, const CallStep&) = default;
};

struct Step {
  std::variant<LoopStep, CallStep> work;
  std::string label;  // the layers it came from, for profiles
};

// --- Memory ---

enum class BufferRole : uint8_t {
  input,      // bytes given by the caller at run time
  output,     // bytes given by the caller, written by the step
  temporary,  // in the arena, at `offset`
  passing,    // made and used up piece by piece within one step: has no place
};

struct Buffer {
  BufferRole role = BufferRole::temporary;
  Type type;
  std::string name;    // of inputs and outputs
  int64_t offset = 0;  // temporaries: bytes from the arena's start, 64-byte aligned
  // An output that is a new value for an input (a parameter's update) shares that input's bytes.
  int32_t in_place_of = -1;
};

struct Program {
  std::vector<Step> steps;
  std::vector<Buffer> buffers;
  std::vector<BufferId> inputs, outputs;  // in the order of the graph's inputs and results
  int64_t arena_bytes = 0;
};

// The views that a step reads, and those that it writes.
std::vector<View> reads_of(const Step& step);
std::vector<View> writes_of(const Step& step);

std::string to_text(const View& view);
std::string to_text(const LoopKernel& kernel);
std::string to_text(const Program& program);

// Walks the steps and proves that every read was written, that no two live temporaries overlap, that views stay inside
// their buffers, and that kernels are well formed. Fails naming the step.
void verify(const Program& program);

}  // namespace descent
