// Changes of images that are copies of pixels, and changes of colours. Internal to data: the door is augment.h.
#pragma once

#include <cstdint>

#include "descent/data/augment.h"

namespace descent::data {

struct ImagePlane {
  int64_t height, width, channels;
};

// out(y, x) = image(y - down, x - right), left and right changed before if `mirrored`; beyond the edges as `padding`
// says.
void move_pixels(const ImagePlane& plane, const uint8_t* image, uint8_t* out, bool mirrored, int64_t down,
                 int64_t right, Padding padding, uint8_t background);

// A random change of brightness, contrast, saturation and hue, in this order, in place: one affine map of each pixel.
// Hue turns the chroma plane of YIQ; grey is that of ITU-R BT.601.
void change_colours(const ImagePlane& plane, uint8_t* image, const AugmentOptions& options, uint64_t key);

}  // namespace descent::data
