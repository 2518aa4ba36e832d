// Walking through a view in flat order, run by run.
#pragma once

#include <algorithm>

#include "descent/backend/cpu/tile_code.h"

namespace descent::cpu {

// The most rows of a block that is read or written across.
inline constexpr int64_t block_rows = 64;

// `count` elements of a view from flat index `flat` on, as runs along its innermost axis. The decoding costs a division
// an axis once, then an addition or two a run.
class RunWalk {
 public:
  RunWalk(const TileView& view, int64_t flat, int64_t count) : view_(view), left_(count) {
    if (count <= 0) return;
    for (int axis = view.axes - 1; axis >= 0; --axis) {
      const auto i = static_cast<size_t>(axis);
      index_[i] = flat % view.sizes[i];
      flat /= view.sizes[i];
      address_ += index_[i] * view.strides[i];
    }
    measure();
  }

  int64_t left() const { return left_; }
  int64_t address() const { return address_; }  // in elements, the view's offset aside
  int64_t count() const { return count_; }
  int64_t stride() const { return view_.axes == 0 ? 0 : view_.strides[inner()]; }

  void next() {
    left_ -= count_;
    if (left_ <= 0) return;
    index_[inner()] += count_;
    address_ += count_ * view_.strides[inner()];
    for (size_t i = inner(); i > 0 && index_[i] == view_.sizes[i]; --i) {
      address_ += view_.strides[i - 1] - view_.sizes[i] * view_.strides[i];
      index_[i] = 0;
      ++index_[i - 1];
    }
    measure();
  }

 private:
  size_t inner() const { return static_cast<size_t>(view_.axes - 1); }
  void measure() { count_ = view_.axes == 0 ? left_ : std::min(left_, view_.sizes[inner()] - index_[inner()]); }

  const TileView& view_;
  int64_t left_, count_ = 0, address_ = 0;
  std::array<int64_t, TileView::max_axes> index_;
};

// Whether a block is a rectangle of the view's two innermost axes.
inline bool lies_across(const TileView& view, const Extent& extent) {
  const auto last = static_cast<size_t>(view.axes - 1);
  const int64_t columns = view.sizes[last], rows = view.sizes[last - 1];
  return extent.rows <= block_rows && extent.pitch == columns && extent.flat % columns + extent.run <= columns &&
         extent.flat / columns % rows + extent.rows <= rows;
}

// The address of element 1 of a view of two elements, less that of element 0.
inline int64_t second_element(const TileView& view) { return view.axes == 0 ? 0 : view.strides[0]; }

}  // namespace descent::cpu
