// Writes JPEG images for the tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <jpeglib.h>

namespace descent::data {

struct JpegPlan {
  int64_t height, width;
  std::vector<uint8_t> pixels;  // [height, width, channels], as `colours` has them
  J_COLOR_SPACE colours = JCS_RGB;
  bool progressive = false;
  int quality = 95;
  bool adobe = true;    // write Adobe's marker where libjpeg would
  int orientation = 0;  // 0: no EXIF
  bool big_endian = false;
};

// An APP1 segment's content: a TIFF file with the orientation only, behind a tag that is passed over.
inline std::vector<uint8_t> exif(int orientation, bool big_endian) {
  std::vector<uint8_t> out{'E', 'x', 'i', 'f', 0, 0};
  const auto number = [&](unsigned value, int bytes) {
    for (int i = 0; i < bytes; ++i)
      out.push_back(static_cast<uint8_t>(value >> (8 * (big_endian ? bytes - 1 - i : i))));
  };
  const auto entry = [&](unsigned tag, unsigned value) {
    number(tag, 2);
    number(3, 2);
    number(1, 4);
    number(value, 2);
    number(0, 2);
  };
  out.push_back(big_endian ? 'M' : 'I');
  out.push_back(big_endian ? 'M' : 'I');
  number(42, 2);
  number(8, 4);
  number(2, 2);
  entry(0x0103, 6);
  entry(0x0112, static_cast<unsigned>(orientation));
  number(0, 4);
  return out;
}

inline std::vector<std::byte> jpeg(const JpegPlan& plan) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  const int channels = plan.colours == JCS_GRAYSCALE ? 1 : plan.colours == JCS_CMYK ? 4 : 3;
  info.image_height = static_cast<JDIMENSION>(plan.height);
  info.image_width = static_cast<JDIMENSION>(plan.width);
  info.input_components = channels;
  info.in_color_space = plan.colours;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, plan.quality, TRUE);
  for (int i = 0; i < channels; ++i) info.comp_info[i].h_samp_factor = info.comp_info[i].v_samp_factor = 1;
  if (plan.progressive) jpeg_simple_progression(&info);
  if (!plan.adobe) info.write_Adobe_marker = FALSE;
  jpeg_start_compress(&info, TRUE);
  if (plan.orientation > 0) {
    const std::vector<uint8_t> content = exif(plan.orientation, plan.big_endian);
    jpeg_write_marker(&info, JPEG_APP0 + 1, content.data(), static_cast<unsigned>(content.size()));
  }
  for (int64_t y = 0; y < plan.height; ++y) {
    auto* row = const_cast<JSAMPROW>(plan.pixels.data() + y * plan.width * channels);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  const auto* first = reinterpret_cast<const std::byte*>(bytes);
  std::vector<std::byte> out(first, first + size);
  jpeg_destroy_compress(&info);
  std::free(bytes);
  return out;
}

// One colour all over.
inline JpegPlan plain_jpeg(int64_t height, int64_t width, const std::vector<uint8_t>& pixel,
                           J_COLOR_SPACE colours = JCS_RGB) {
  JpegPlan out{height, width, {}, colours};
  for (int64_t i = 0; i < height * width; ++i) out.pixels.insert(out.pixels.end(), pixel.begin(), pixel.end());
  return out;
}

}  // namespace descent::data
