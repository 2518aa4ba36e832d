// Random changes of training images, made in the data threads: flips and moves by whole pixels, which are copies; one
// affine map and one elastic field, applied together in a single resampling; colours; holes; and mixtures of two
// images.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "descent/data/augment_smooth.h"

namespace descent::data {

// Whether left and right change places: never; for every other image at random; or for each image in every other epoch
// (Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498), so that two epochs see both.
enum class Flip { none, random, alternating };

// What shows where an image was moved away from: the background, the image mirrored at its edge (without repeating the
// edge), or its edge.
enum class Padding { zero, reflect, edge };

// The words of recipes; from_text fails with UsageError naming the nearest.
std::string_view to_text(Flip flip);
std::string_view to_text(Padding padding);
Flip flip_from_text(std::string_view word);
Padding padding_from_text(std::string_view word);

// Each amount is drawn anew for each image; zero turns it off.
struct AugmentOptions {
  double shift = 0;   // pixels, up to this far along each axis
  double rotate = 0;  // degrees, up to this far either way
  double scale = 0;   // each axis by a factor in [1 - scale, 1 + scale]; below 1
  double shear = 0;   // degrees, up to this far either way; below 60
  double elastic_alpha =
      0;  // strength of the elastic field: Simard, Steinkraus and Platt 2003 take 34 for 29x29 digits
  double elastic_sigma = 4;  // its smoothness: the deviation in pixels of the Gaussian that the noise is convolved with
  uint8_t background = 0;    // what shows beyond the image's edge, and in holes

  Flip flip = Flip::none;
  int64_t translate = 0;            // whole pixels, up to this far along each axis: the random crop of a padded image
  Padding padding = Padding::zero;  // of translate
  double zoom = 0;  // a window of 1 - zoom to all of the area, of 3:4 to 4:3 of its shape, fills the image; below 1

  double brightness = 0;  // by a factor in [1 - brightness, 1 + brightness]; the next two likewise; at most 1
  double contrast = 0;    // of the differences to the image's mean grey
  double saturation = 0;  // of the differences to each pixel's grey; of colour images
  double hue = 0;         // part of the circle of colours, up to this far either way; at most 0.5; of colour images

  int64_t cutout = 0;  // the side of a square hole, its middle anywhere (DeVries and Taylor, arXiv:1708.04552)

  // Mixtures with another image of the set, targets mixed alike: all of both images (Zhang et al., arXiv:1710.09412),
  // or a box of the other (Yun et al., arXiv:1905.04899). The part is drawn from Beta(mixup, mixup); where both are on,
  // each has half of the images.
  double mixup = 0, cutmix = 0;
  double mix_part = 1;  // the part of the images that are mixed at all

  bool any() const { return changes_images() || mixes(); }
  bool changes_images() const { return resamples() || moves() || recolours() || cutout > 0; }
  bool resamples() const { return shift > 0 || rotate > 0 || scale > 0 || shear > 0 || elastic_alpha > 0 || zoom > 0; }
  bool moves() const { return flip != Flip::none || translate > 0; }
  bool recolours() const { return brightness > 0 || contrast > 0 || saturation > 0 || hue > 0; }
  bool mixes() const { return (mixup > 0 || cutmix > 0) && mix_part > 0; }
};

// Fails, naming the amount, if one is negative or beyond its bound.
void check_augmentation(const AugmentOptions& options);

// Changes images of one size, but for mixtures, which are the batches' (see augment_mix.h). It holds its scratch
// memory, so use one in each thread; apply() allocates nothing, and what it makes is a function of the options, the
// image, the key and `mirrored` only.
class Augmenter {
 public:
  // Fails if an amount is negative or beyond its bound, a size is below 1, or grey images should change their colours.
  Augmenter(const AugmentOptions& options, int64_t height, int64_t width, int64_t channels = 1);

  // u8 [H,W] or [H,W,C], row-major, from `image` to `out`, which may not overlap. `mirrored`: it is this image's turn,
  // where flips alternate.
  void apply(std::span<const uint8_t> image, std::span<uint8_t> out, uint64_t key, bool mirrored = false);

 private:
  // Where in the image a place of the result comes from: x' = xx x + xy y + x0, y' = yx x + yy y + y0.
  struct Affine {
    float xx = 1, xy = 0, x0 = 0, yx = 0, yy = 1, y0 = 0;
  };

  // What fills the image: parts of its sides, and where the window's middle is, in pixels from the image's.
  struct Window {
    double width = 1, height = 1, x = 0, y = 0;
  };

  void move(const uint8_t* image, uint8_t* out, uint64_t key, bool mirrored) const;
  void resample(const uint8_t* image, uint8_t* out, uint64_t key);
  Window draw_window(uint64_t key) const;
  Affine draw_affine(uint64_t key) const;
  void draw_field(uint64_t key);
  void pad(const uint8_t* image);
  void map_row(const Affine& affine, int64_t y);
  void sample_row(uint8_t* out) const;
  void cut_hole(uint8_t* out, uint64_t key) const;

  AugmentOptions options_;
  int64_t height_, width_, channels_;
  std::vector<uint8_t> moved_;  // the image between two changes of places
  std::vector<float> kernel_;   // the Gaussian's right half, its middle first
  FieldSize field_;
  std::vector<float> field_x_, field_y_;  // displacements in pixels; empty if there is no elastic field
  std::vector<float> smoothing_;          // scratch
  std::vector<float> padded_;             // the image with a rim of background, [H+2,W+2,C]
  std::vector<float> from_x_, from_y_;    // where the places of one row come from, in the padded image
};

}  // namespace descent::data
