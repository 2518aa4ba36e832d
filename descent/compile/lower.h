// From units to steps: loop bodies, calls, buffers.
#pragma once

#include "descent/compile/fusion.h"

namespace descent {

// The program of a legal core graph. Its inputs are the graph's `input` nodes in order of age; an updated input's
// result shares its buffer. Temporaries have no offsets yet.
Program lower(const Staged& staged, const Partition& partition, std::span<const Update> updates);

// Where an elementwise kernel alone reads a large matrix product (an optimiser's update reads a weight's gradient),
// moves the product there and makes the kernel its epilogue, so that the product is never stored. A kernel that also
// sums columns of what it stores is split for that.
void attach_epilogues(Program& program);

// Joins neighbouring loop steps that do not depend on each other into one launch each.
void merge_launches(Program& program);

// The stores of values that were loaded and not computed, a line each: from where, to where, and how many bytes that
// moves. (What a call rearranges within itself, as products pack panels, is the backend's and not listed.)
std::string layout_text(const Program& program);

// Gives temporaries their places in the arena: best fit by decreasing size, a dying operand's place going to the
// result of the loop that reads it last, where both are read and written element by element (`donate`).
void plan_memory(Program& program, bool donate);

}  // namespace descent
