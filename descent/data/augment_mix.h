// Mixtures of two images and their targets. Internal to data: the doors are augment.h and batches.h.
#pragma once

#include <cstdint>
#include <span>

#include "descent/data/augment.h"

namespace descent::data {

// What becomes of one image: the other one, and how much of the first is left.
struct Mixture {
  bool mixed = false;
  int64_t partner = 0;  // the other image's row
  double part = 1;      // of the first image in the mixture, and of its target
  bool box = false;     // the other image shows in a box, all of it; else everywhere, a little
  int64_t top = 0, bottom = 0, left = 0, right = 0;  // the box, ends excluded
};

// A function of the options, the sizes and the key. `rows`: of the set.
Mixture draw_mixture(const AugmentOptions& options, int64_t rows, int64_t height, int64_t width, uint64_t key);

// Mixes `other`, u8 [H,W] or [H,W,C], into `image`.
void mix_images(const Mixture& mixture, std::span<const uint8_t> other, std::span<uint8_t> image, int64_t width,
                int64_t channels);

// A number of Beta(a, a), by two of Gamma(a).
double draw_beta(double a, uint64_t key);

}  // namespace descent::data
