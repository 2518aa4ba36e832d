// What our own convolutions share (conv_tiles.h): which pixels meet in a result, how images come into
// blocks, and how they are gone through.
#pragma once

#include <array>
#include <vector>

#include "descent/backend/cpu/conv.h"
#include "descent/backend/cpu/conv_tiles.h"

namespace descent::cpu {

// For each pixel of the result, flat over the spatial axes, the pixels that are summed, each with its tap of the
// window.
struct Meetings {
  std::vector<int32_t> first;  // by result; one more at the end
  std::vector<conv_tiles::Source> sources;
};

// By place of a convolution's result; or, for the images' gradient, by element of the image.
Meetings meetings_of(const Windows& windows, bool by_element);
Meetings each_alone(int64_t pixels);  // every result from the pixel of its own number

// Images that are copied to blocks row by row (a row is an index of the first spatial axis): pixel by pixel, or whole
// windows as the channels of one pixel, where an image has too few channels to fill blocks.
class TiledImages {
 public:
  TiledImages(const conv_tiles::Kernels& kernels, const std::vector<int64_t>& spatial, int64_t channels);
  static TiledImages of_windows(const conv_tiles::Kernels& kernels, const Windows& windows,
                                int64_t channels);  // rows of places

  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  int64_t channels() const { return channels_; }
  int64_t blocks() const { return (channels_ + kernels_->channels - 1) / kernels_->channels; }
  int64_t row_bytes() const { return width_ * blocks() * conv_tiles::block_bytes; }

  // Some channels of a row of `count` images that begin at `images`; windows only whole.
  void lay(const std::byte* images, int64_t count, int64_t row, std::byte* to) const {
    lay(images, count, row, 0, channels_, to);
  }
  void lay(const std::byte* images, int64_t count, int64_t row, int64_t channel, int64_t channels, std::byte* to) const;

 private:
  const conv_tiles::Kernels* kernels_;
  int64_t rows_, width_, channels_, image_;  // image_: elements of one
  std::vector<int32_t> first_;               // of windows: by place and block
  std::vector<conv_tiles::Part> parts_;
};

// Few channels are taken as windows of them.
bool is_better_unfolded(const conv_tiles::Kernels& kernels, const ConvShape& shape);

// Rows of results, `height` at a time. The rows that they are made from pass through a ring of `ring` rows.
struct Bands {
  int64_t height = 1, ring = 0;
  std::vector<std::array<int64_t, 2>> needs;  // by band: rows, from and to; both grow

  int64_t count() const { return static_cast<int64_t>(needs.size()); }
};
Bands bands_of(const Meetings& meetings, int64_t rows, int64_t width, int64_t source_width, int64_t height);

// Pixels by their places in the ring.
int32_t in_ring(int32_t pixel, int64_t width, const Bands& bands);

// The kernels for a convolution, if it suits any.
const conv_tiles::Kernels* tiled_kernels(const ConvProblem& problem);

}  // namespace descent::cpu
