// Sequences of different lengths in one batch, each padded to the longest: Pass::lengths() tells where each ends, and
// nothing behind an end changes what is before it.
//
// A sequence says itself where it ends: its padding is NaN, so that a layer that forgot about it could not be
// overlooked.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

// x f32 [B, N, ..] with NaN from each sequence's end on: the same with zeros there, and the layers behind it know the
// lengths. (A NaN in the middle of a sequence makes 0 of it, and the sequence shorter by one.)
class EndAtNan : public Module {
 public:
  explicit EndAtNan(Site at = Site::here()) : at_(at) {}
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "EndAtNan"; }
  std::string formula() const override { return "x up to NaN"; }

 private:
  Site at_;
};

// Scores f32 [B, T, classes]: behind a sequence's end the last class is certain. Where that class is the blank of CTC,
// such places change neither loss nor transcript, so outputs say where they end, too.
class BlankAfterEnd : public Module {
 public:
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "BlankAfterEnd"; }
  std::string formula() const override { return "x, then blanks"; }
  bool takes_lengths() const override { return true; }
};

// Which of the `places` of each sequence are before its end, as booleans that broadcast to `shape` [B, places, ..].
Tensor before_end(const Pass& pass, const Shape& shape, Site at);

// x [B, T, ..] with zeros behind the ends; x itself where sequences have no lengths of their own.
Tensor zeros_after_end(const Pass& pass, Tensor x, Site at);

// What a window that moves makes of lengths: floor((length + padding - window) / stride) + 1, at least 0.
void move_window(Pass& pass, int64_t window, int64_t stride, int64_t padding, Site at);

}  // namespace descent::nn
