// Cells of one's own, unrolled over the places of sequences: what recurrent layers are made with.
#pragma once

#include <functional>

#include "descent/graph/op.h"

namespace descent::nn {

// What a cell makes of a place: what it shows, and the states that it leaves for the next one.
struct CellResult {
  Tensor output;
  Tensors states;
};

// One step, in ops: what stands at a place of each sequence, x [B, ..], and the states before it, each [B, ..].
using Cell = std::function<CellResult(Tensor x, const Tensors& states)>;

struct ScanOptions {
  bool reverse = false;  // from the last place to the first
  Tensor lengths = {};   // i32 [B], how many places of each sequence count (Pass::lengths()); no tensor: all of them
};

// The cell at every place of x [B, T, ..], T at least 1, one after the other; states begin as `states` and stay what
// they are at places that do not count. The steps are unrolled, so a program is for one T, and gradients are those of
// the ops. Parameters that a cell reads are the same at each place.
//
//   const auto leaky = [&](Tensor x, const Tensors& states) -> nn::CellResult {  // a running mean
//     const Tensor mean = 0.9 * states[0] + 0.1 * x;
//     return {mean, {mean}};
//   };
//   const nn::Scanned run = nn::scan(leaky, x, {zeros}, {.lengths = pass.lengths()});
//
// Fails if a state changes its type from one place to the next, or a cell returns another number of them.
struct Scanned {
  Tensor outputs;  // [B, T, ..], each cell's at its place; zeros at places that do not count
  Tensors states;  // after the last place that counts, or in reverse after the first
};
Scanned scan(const Cell& cell, Tensor x, Tensors states, const ScanOptions& options = {}, Site at = Site::here());

// The same of places that are tensors of their own, at least one: their outputs, in the order of places, whatever
// stands where none counts.
struct Steps {
  Tensors outputs, states;
};
Steps scan_places(const Cell& cell, const Tensors& places, Tensors states, const ScanOptions& options = {},
                  Site at = Site::here());

}  // namespace descent::nn
