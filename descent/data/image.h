// Images as the nets want them: read from files, turned, cropped, resized, and digits prepared as MNIST's were.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "descent/core/array.h"

namespace descent::data {

// A PNG or JPEG file, told by its first bytes and not by its name, as u8: grey [H,W], grey with alpha [H,W,2], colour
// [H,W,3], colour with alpha [H,W,4]. A JPEG image is upright. `enough` as in JpegOptions: pixels along both sides that
// are wanted, 0 for all. Fails naming the file and what is wrong with it.
Array read_image(const std::string& path, int64_t enough = 0);
Array parse_image(std::span<const std::byte> bytes, const std::string& name, int64_t enough = 0);

// An image as it is looked at, from the way that a camera stored it: EXIF orientations 1 (as it is) to 8.
Array upright(const Array& image, int orientation);

// A u8 image [H,W] or [H,W,C] at another size. Each new pixel is a triangle-weighted mean of the old pixels it covers,
// so that shrinking does not alias and growing interpolates.
Array resized(const Array& image, int64_t height, int64_t width);

// A u8 image [H,W], [H,W,2], [H,W,3] or [H,W,4] (as read_png gives) as grey [H,W]: luma of ITU-R BT.601; where it is
// transparent it shows white below dark ink and black below light ink.
Array to_grey(const Array& image);

// The same as colour [H,W,3]; what is transparent shows white.
Array to_colour(const Array& image);

// The middle of an image, of at most its own size.
Array centre_crop(const Array& image, int64_t height, int64_t width);

// How an image of another shape is brought to a size: its sides are stretched; or it keeps its shape and what goes
// beyond the size is cropped off both ends; or it keeps its shape and all of it, between two black bars.
enum class FitMode { stretch, crop, pad };
std::string_view to_text(FitMode mode);
FitMode fit_mode_from_text(std::string_view word);  // fails with UsageError naming the nearest

// An image of any kind as u8 [height,width] (channels 1) or [height,width,3].
struct ImageSize {
  int64_t height = 0, width = 0, channels = 3;
  FitMode fit = FitMode::crop;

  Shape shape() const;     // of one image
  int64_t enough() const;  // for read_image(): decoding less would be seen
};
Array fitted(const Array& image, const ImageSize& size);

// A drawn digit of any size, dark on light or light on dark, as u8 [28,28], light on dark, prepared as MNIST was
// (LeCun, Bottou, Bengio and Haffner 1998): cropped to the ink, scaled with antialiasing to fit 20x20, and placed so
// that the centre of mass is the centre. An image that is 28x28 already keeps its pixels (dark on light is only
// inverted). Fails naming `source` if the image is blank or no image.
Array image_to_digit(const Array& image, const std::string& source);

}  // namespace descent::data
