#include "descent/nn/scan.h"

#include <numeric>

#include "descent/base/text.h"
#include "descent/ops/compare.h"
#include "descent/ops/concat.h"
#include "descent/ops/iota.h"
#include "descent/ops/permute.h"
#include "descent/ops/reshape.h"
#include "descent/ops/split.h"
#include "descent/ops/where.h"

namespace descent::nn {

namespace {

// A condition of each sequence, i32 or booleans [B], beside values [B, ..].
Tensor beside(Tensor condition, const Shape& shape, Site at) {
  Shape rows{shape[0]};
  while (rows.rank() < shape.rank()) rows.push_back(1);
  return broadcast(reshape(condition, rows, at), shape, at);
}

void check(const CellResult& result, const Tensors& before, Site at) {
  const Tensors& after = result.states;
  if (!result.output) fail(at, "scan: the cell has no output");
  if (after.size() != before.size())
    fail(at, text("scan: the cell has ", before.size(), " states before a place and ", after.size(), " after it"));
  for (size_t i = 0; i < before.size(); ++i)
    if (!after[i] || after[i].type() != before[i].type())
      fail(at, text("scan: state ", i, " of the cell is ", before[i].type(), " before a place and ",
                    after[i] ? to_text(after[i].type()) : "nothing", " after it"));
}

// The new states of the sequences that have this place, the old ones of others.
Tensors where_counted(const Tensors& before, Tensors after, Tensor lengths, int64_t place, Site at) {
  const Tensor counts = less({static_cast<double>(place), at}, {lengths, at});
  for (size_t i = 0; i < after.size(); ++i)
    after[i] = where(beside(counts, after[i].shape(), at), {after[i], at}, {before[i], at});
  return after;
}

// Axes 0 and 1 exchanged: sequences and places.
Tensor exchanged(Tensor x, Site at) {
  std::vector<int64_t> axes(static_cast<size_t>(x.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[0], axes[1]);
  return permute(x, axes, at);
}

// [B, T, ..] with zeros at places that do not count.
Tensor zeros_elsewhere(Tensor x, Tensor lengths, Site at) {
  const Tensor place = iota(x.graph(), x.shape(), 1, DType::i32, at);
  return where(less({place, at}, {beside(lengths, x.shape(), at), at}), {x, at}, {0.0, at});
}

}  // namespace

Steps scan_places(const Cell& cell, const Tensors& places, Tensors states, const ScanOptions& options, Site at) {
  if (places.empty()) fail(at, "scan: there is no place");
  Steps out{Tensors(places.size()), std::move(states)};
  for (size_t i = 0; i < places.size(); ++i) {
    const size_t place = options.reverse ? places.size() - 1 - i : i;
    CellResult result = cell(places[place], out.states);
    check(result, out.states, at);
    out.outputs[place] = result.output;
    out.states = options.lengths ? where_counted(out.states, std::move(result.states), options.lengths,
                                                 static_cast<int64_t>(place), at)
                                 : std::move(result.states);
  }
  return out;
}

Scanned scan(const Cell& cell, Tensor x, Tensors states, const ScanOptions& options, Site at) {
  if (x.rank() < 2 || x.shape()[1] == 0)
    fail(at, text("scan: needs sequences [sequences, places, ..] of at least one place, got ", x.type()));
  const Shape at_a_place = x.shape().without(1);
  const int64_t count = x.shape()[1];
  Tensors places = split(exchanged(x, at), 0, count, at);
  for (Tensor& place : places) place = reshape(place, at_a_place, at);
  Steps steps = scan_places(cell, places, std::move(states), options, at);
  for (Tensor& output : steps.outputs) {
    Shape shape{1};
    for (const int64_t size : output.shape()) shape.push_back(size);
    output = reshape(output, shape, at);
  }
  const Tensor outputs = exchanged(concat(steps.outputs, 0, at), at);
  return {options.lengths ? zeros_elsewhere(outputs, options.lengths, at) : outputs, std::move(steps.states)};
}

}  // namespace descent::nn
