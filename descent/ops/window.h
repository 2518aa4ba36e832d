// Windows that slide over the spatial axes of channels-last arrays, [examples, spatial.., channels]: the geometry that
// convolution and pooling share.
#pragma once

#include "descent/ops/index_walk.h"

namespace descent {

// Sizes of windows, strides, dilations and paddings are not larger, so that sums and products of two are numbers.
inline constexpr int64_t longest_window = int64_t{1} << 31;

// How windows lie on an image. On each spatial axis, place `o` of the result looks at the elements
// o * stride - low + t * dilation of the image, for t = 0 .. size - 1; those outside do not count.
struct Windows {
  std::vector<int64_t> image, out;  // sizes of the spatial axes
  std::vector<int64_t> size, stride, low, dilation;

  int axes() const { return static_cast<int>(image.size()); }
  int64_t reach(int axis) const { return (size[axis] - 1) * dilation[axis] + 1; }  // from its first to its last element
};

inline int64_t product_of(std::span<const int64_t> sizes) {
  int64_t product = 1;
  for (const int64_t size : sizes) product *= size;
  return product;
}

// The sizes of the axes between the first and the last.
inline std::vector<int64_t> spatial_sizes(const Shape& shape) { return {shape.begin() + 1, shape.end() - 1}; }

// [examples, spatial.., channels].
inline Shape image_shape(int64_t examples, std::span<const int64_t> spatial, int64_t channels) {
  Shape out{examples};
  for (const int64_t size : spatial) out.push_back(size);
  out.push_back(channels);
  return out;
}

// An image has 1 or 2 spatial axes.
inline void check_image(const Type& x, std::string_view name) {
  if (!is_floating(x.dtype)) fail(text(name, ": needs floating-point images, got ", x, "; cast it first"));
  if (x.shape.rank() < 3 || x.shape.rank() > 4)
    fail(text(name, ": needs images [examples, height, width, channels] or [examples, length, channels], got ", x,
              x.shape.rank() == 2 ? "; did you mean to reshape it to one channel?" : ""));
}

// Reads {strides, low, high, dilation} (dilation may be absent) for windows of `size` on an image with these spatial
// sizes; checks them, naming the axis of the whole image `x`.
inline Windows windows_of(const Attrs& attrs, std::vector<int64_t> image, std::vector<int64_t> size, const Type& x,
                          std::string_view name) {
  Windows out{std::move(image), {}, std::move(size), attrs.integers("strides"), attrs.integers("low"), {}};
  const std::vector<int64_t>& high = attrs.integers("high");
  const size_t axes = out.image.size();
  out.dilation = attrs.has("dilation") ? attrs.integers("dilation") : std::vector<int64_t>(axes, 1);
  if (out.size.size() != axes || out.stride.size() != axes || out.low.size() != axes || high.size() != axes ||
      out.dilation.size() != axes)
    fail(text(name, ": window, strides, low, high and dilation each need ", axes, " numbers for ", x));
  for (int axis = 0; axis < out.axes(); ++axis) {
    if (out.size[axis] < 1 || out.stride[axis] < 1 || out.dilation[axis] < 1 || out.low[axis] < 0 || high[axis] < 0)
      fail(text(name, ": on axis ", axis + 1, " of ", x, " the window is ", out.size[axis], ", the stride ",
                out.stride[axis], ", the dilation ", out.dilation[axis], " (each at least 1), the padding ",
                out.low[axis], " and ", high[axis], " (at least 0)"));
    for (const int64_t each : {out.size[axis], out.stride[axis], out.dilation[axis], out.low[axis], high[axis]})
      if (each > longest_window)
        fail(text(name, ": on axis ", axis + 1, " of ", x, " nothing can be larger than ", longest_window, ", got ",
                  each));
    const int64_t padded = out.low[axis] + out.image[axis] + high[axis], missing = out.reach(axis) - padded;
    if (missing > 0)
      fail(text(name, ": the window spans ", out.reach(axis), " on axis ", axis + 1, " of ", x, ", which has ",
                out.image[axis], " and ", out.low[axis] + high[axis], " of padding; did you mean a padding of ",
                std::max(out.low[axis], high[axis]) + (missing + 1) / 2, "?"));
    out.out.push_back((padded - out.reach(axis)) / out.stride[axis] + 1);
  }
  return out;
}

// Calls visit(place, element, tap) for every place of the result and every element inside the image that its window
// looks at, all three flat over the spatial axes, in row-major order of (place, tap).
template <class Visit>
void for_each_tap(const Windows& windows, Visit visit) {
  for_each_index(Shape(windows.out), [&](std::span<const int64_t> place, int64_t flat_place) {
    for_each_index(Shape(windows.size), [&](std::span<const int64_t> tap, int64_t flat_tap) {
      int64_t element = 0;
      for (int axis = 0; axis < windows.axes(); ++axis) {
        const int64_t at = place[axis] * windows.stride[axis] - windows.low[axis] + tap[axis] * windows.dilation[axis];
        if (at < 0 || at >= windows.image[axis]) return;
        element = element * windows.image[axis] + at;
      }
      visit(flat_place, element, flat_tap);
    });
  });
}

// Padding that keeps sizes at stride 1 (and divides them by the stride, rounded up): low is the smaller half.
struct Padding {
  std::vector<int64_t> low, high;
};
inline Padding same_padding(std::span<const int64_t> image, std::span<const int64_t> size,
                            std::span<const int64_t> stride, std::span<const int64_t> dilation) {
  Padding out;
  for (size_t axis = 0; axis < image.size(); ++axis) {
    const int64_t places = (image[axis] + stride[axis] - 1) / stride[axis];
    const int64_t reach = (size[axis] - 1) * dilation[axis] + 1;
    const int64_t both = std::max<int64_t>(0, (places - 1) * stride[axis] + reach - image[axis]);
    out.low.push_back(both / 2);
    out.high.push_back(both - both / 2);
  }
  return out;
}

}  // namespace descent
