// Images as the nets want them: resized, and digits prepared as MNIST's were.
#pragma once

#include <cstdint>
#include <string>

#include "descent/core/array.h"

namespace descent::data {

// A u8 image [H,W] or [H,W,C] at another size. Each new pixel is a triangle-weighted mean of the old pixels it covers,
// so that shrinking does not alias and growing interpolates.
Array resized(const Array& image, int64_t height, int64_t width);

// A u8 image [H,W], [H,W,2], [H,W,3] or [H,W,4] (as read_png gives) as grey [H,W]: luma of ITU-R BT.601; where it is
// transparent it shows white below dark ink and black below light ink.
Array to_grey(const Array& image);

// A drawn digit of any size, dark on light or light on dark, as u8 [28,28], light on dark, prepared as MNIST was
// (LeCun, Bottou, Bengio and Haffner 1998): cropped to the ink, scaled with antialiasing to fit 20x20, and placed so
// that the centre of mass is the centre. An image that is 28x28 already keeps its pixels (dark on light is only
// inverted). Fails naming `source` if the image is blank or no image.
Array image_to_digit(const Array& image, const std::string& source);

}  // namespace descent::data
