// What makes the inputs of images have mean 0 and deviation 1, learnt on the training part and stored with the run.
#pragma once

#include <string>
#include <vector>

#include "descent/core/array.h"

namespace descent::data {

// The numbers only: the compiled net itself computes input * scale + shift, a channel at a time.
struct Normalizer {
  std::vector<float> scale, shift;  // one a channel, or one for all

  // From u8 images [N,H,W] or [N,H,W,C] (or f32, whose values are taken as they are): over the training images, value /
  // 255 gets mean 0 and deviation 1 in each channel (`per_channel`) or over all. A constant channel only loses its
  // mean.
  static Normalizer fit(const Array& images, bool per_channel = true);

  // Mean and deviation of channel c in units where 255 is 1 (`unit` is 255 for u8 images, 1 for f32 ones).
  double mean(size_t c, double unit = 255) const { return -double{shift[c]} / (double{scale[c]} * unit); }
  double deviation(size_t c, double unit = 255) const { return 1 / (double{scale[c]} * unit); }

  std::string to_json() const;
  static Normalizer from_json(const std::string& json);  // fails if it is not what to_json() gave
};

}  // namespace descent::data
