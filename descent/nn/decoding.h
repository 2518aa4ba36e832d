// Going on place by place: a net that was trained on whole sequences takes one new place at a time, and layers that
// look back keep what they need of the places before it. So a new token costs the same however long the text is.
#pragma once

#include <map>

#include "descent/nn/module.h"

namespace descent::nn {

// What a net's layers remember of some sequences side by side. A net that is traced with it (Pass::decode()) takes one
// place of each, x [B, 1, ...], and the number of the place. Keys and values of attention (Vaswani et al. 2017) are
// kept for every place, states of recurrent layers for the last.
class Decoding {
 public:
  // At most `places` of each sequence, 0 to places - 1. Keys and values are kept in `dtype`, f32 or bf16.
  Decoding(int64_t sequences, int64_t places, DType dtype = DType::f32);

  int64_t sequences() const { return sequences_; }
  int64_t places() const { return places_; }

  // Begins a tracing: `position` i32[1] is the number of the place.
  void begin(Tensor position);
  Tensor position() const { return position_; }

  // For layers, while they are traced. A state that the layer has for itself, zeros at first, called by its path.
  StatePtr memory(Pass& pass, std::string_view leaf, const Type& type);
  // What earlier places gave: `row` f32 [B, .., 1, features], this place's, will be at its number in a memory [B, ..,
  // places, features], which is returned as f32 and has finite numbers at this place and beyond.
  Tensor remember(Pass& pass, std::string_view leaf, Tensor row);

  // What is the same for all places: given with the first, it is returned by every later tracing, which gives none (an
  // empty tensor). Floating values are kept as keys are. Fails where nothing was given before.
  Tensor hold(Pass& pass, std::string_view leaf, Tensor value);

  // The rows that the step has to return, in the order in which keep() takes them after it ran for that position.
  const Tensors& rows() const { return rows_; }
  void keep(std::span<const Array> rows, int64_t position);

  // Forgets all places.
  void clear();
  // Sequence i goes on from where sequence from[i] was.
  void reorder(std::span<const int64_t> from);

 private:
  int64_t sequences_, places_;
  DType dtype_;
  Tensor position_;
  Tensors rows_;                // of the last tracing
  std::vector<StatePtr> kept_;  // where they belong
  std::map<std::string, StatePtr> memories_;
};

}  // namespace descent::nn
