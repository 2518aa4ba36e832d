// JPEG images in.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "descent/core/array.h"
#include "descent/data/png.h"

namespace descent::data {

// How much of a JPEG image is wanted.
struct JpegOptions {
  int64_t max_pixels = default_max_pixels;
  // If not 0: an image of at least this many pixels along both sides is enough, so a larger one is decoded at a half, a
  // quarter or an eighth of its size, which is faster and, since that takes its low frequencies only, does not alias.
  int64_t enough = 0;
};

// A JPEG image (ITU-T T.81; baseline or progressive, Huffman coded, 8 bits) as u8, turned upright as its EXIF
// orientation says: grey [H,W] or colour [H,W,3]. CMYK and YCCK become colour, inverted where Adobe's marker says so.
// Fails naming the file if it is no JPEG, is truncated or damaged, or has more than `max_pixels` or more than its bytes
// can hold, before anything of that size is allocated.
Array read_jpeg(const std::string& path, const JpegOptions& options = {});
Array parse_jpeg(std::span<const std::byte> bytes, const std::string& name, const JpegOptions& options = {});

// The EXIF orientation of a JPEG file's bytes, 1 (upright) to 8; 1 if there is none, or none that makes sense.
int jpeg_orientation(std::span<const std::byte> bytes);

}  // namespace descent::data
