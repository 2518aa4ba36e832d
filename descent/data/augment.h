// Random distortions of training images, made in the data threads: one affine map and one elastic field, applied
// together in a single resampling.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace descent::data {

// Each amount is drawn anew for each image; zero turns it off.
struct AugmentOptions {
  double shift = 0;   // pixels, up to this far along each axis
  double rotate = 0;  // degrees, up to this far either way
  double scale = 0;   // each axis by a factor in [1 - scale, 1 + scale]; below 1
  double shear = 0;   // degrees, up to this far either way; below 60
  double elastic_alpha =
      0;  // strength of the elastic field: Simard, Steinkraus and Platt 2003 take 34 for 29x29 digits
  double elastic_sigma = 4;  // its smoothness: the deviation in pixels of the Gaussian that the noise is convolved with
  uint8_t background = 0;    // what shows beyond the image's edge

  bool any() const { return shift > 0 || rotate > 0 || scale > 0 || shear > 0 || elastic_alpha > 0; }
};

// Distorts images of one size. It holds its scratch memory, so use one in each thread; apply() allocates nothing, and
// what it makes is a function of the options, the image and the key only.
class Augmenter {
 public:
  // Fails if an amount is negative or beyond its bound, or a size is below 1.
  Augmenter(const AugmentOptions& options, int64_t height, int64_t width, int64_t channels = 1);

  // u8 [H,W] or [H,W,C], row-major, from `image` to `out`, which may not overlap.
  void apply(std::span<const uint8_t> image, std::span<uint8_t> out, uint64_t key);

 private:
  // Where in the image a place of the result comes from: x' = xx x + xy y + x0, y' = yx x + yy y + y0.
  struct Affine {
    float xx = 1, xy = 0, x0 = 0, yx = 0, yy = 1, y0 = 0;
  };

  Affine draw_affine(uint64_t key) const;
  void draw_field(uint64_t key);
  void smooth(std::span<float> field);
  void pad(std::span<const uint8_t> image);
  void map_row(const Affine& affine, int64_t y);
  void sample_row(uint8_t* out) const;

  AugmentOptions options_;
  int64_t height_, width_, channels_;
  std::vector<float> kernel_;             // the Gaussian's right half, its middle first
  std::vector<float> field_x_, field_y_;  // displacements in pixels, [H,W]; empty if there is no elastic field
  std::vector<float> padded_row_, rows_;  // scratch of the smoothing
  std::vector<float> padded_;             // the image with a rim of background, [H+2,W+2,C]
  std::vector<float> from_x_, from_y_;    // where the places of one row come from, in the padded image
};

}  // namespace descent::data
