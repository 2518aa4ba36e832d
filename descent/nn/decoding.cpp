#include "descent/nn/decoding.h"

#include <algorithm>
#include <cstring>

#include "descent/ops/cast.h"

namespace descent::nn {

Decoding::Decoding(int64_t sequences, int64_t places, DType dtype)
    : sequences_(sequences), places_(places), dtype_(dtype) {
  if (sequences < 1 || places < 1)
    fail(text("going on with sequences needs at least one of them, and one place, got ", sequences, " and ", places));
}

void Decoding::begin(Tensor position) {
  position_ = position;
  rows_.clear();
  kept_.clear();
}

StatePtr Decoding::memory(Pass& pass, std::string_view leaf, const Type& type) {
  const std::string path = pass.path(leaf);
  StatePtr& state = memories_[path];
  if (!state) state = std::make_shared<State>(path, Array(type));
  return state;
}

Tensor Decoding::remember(Pass& pass, std::string_view leaf, Tensor row) {
  const Shape shape = row.shape().with(row.rank() - 2, places_);
  const StatePtr state = memory(pass, leaf, {dtype_, shape});
  rows_.push_back(cast(row, dtype_, row.node().site));
  kept_.push_back(state);
  return cast(pass.read(state), DType::f32, row.node().site);
}

Tensor Decoding::hold(Pass& pass, std::string_view leaf, Tensor value) {
  if (value) {
    const DType kept = is_floating(value.dtype()) ? dtype_ : value.dtype();
    pass.assign(memory(pass, leaf, {kept, value.shape()}), cast(value, kept, value.node().site));
    return value;
  }
  const auto held = memories_.find(pass.path(leaf));
  if (held == memories_.end()) fail(text("'", pass.path(leaf), "' was not given with the first place"));
  const Tensor before = pass.read(held->second);
  return is_floating(before.dtype()) ? cast(before, DType::f32, before.node().site) : before;
}

void Decoding::keep(std::span<const Array> rows, int64_t position) {
  for (size_t i = 0; i < kept_.size(); ++i) {
    Array memory = kept_[i]->array();
    const Shape& shape = memory.shape();
    const auto row = static_cast<size_t>(shape.back()) * size_of(dtype_);
    const int64_t each = shape[shape.rank() - 2];
    for (int64_t lead = 0; lead * each * shape.back() < memory.elements(); ++lead)
      std::memcpy(memory.data() + static_cast<size_t>(lead * each + position) * row,
                  rows[i].data() + static_cast<size_t>(lead) * row, row);
    kept_[i]->mark_written();
  }
}

void Decoding::clear() {
  for (const auto& [path, state] : memories_) {
    Array array = state->array();
    std::ranges::fill(array.bytes(), std::byte{0});
    state->mark_written();
  }
}

void Decoding::reorder(std::span<const int64_t> from) {
  for (const auto& [path, state] : memories_) {
    const Array before = state->array().clone();
    Array after = state->array();
    for (int64_t i = 0; i < sequences_; ++i)
      std::ranges::copy(before.rows(from[i], from[i] + 1).bytes(), after.rows(i, i + 1).bytes().begin());
    state->mark_written();
  }
}

}  // namespace descent::nn
