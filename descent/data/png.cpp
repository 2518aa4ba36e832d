#include "descent/data/png.h"

#include <png.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <vector>

#include "descent/base/text.h"
#include "descent/data/file.h"
#include "descent/io/atomic_file.h"

namespace descent::data {

namespace {

constexpr std::array<unsigned char, 8> signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

int64_t big_endian(std::span<const std::byte> bytes, size_t at) {
  int64_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<int64_t>(bytes[at + i]);
  return value;
}

struct PngSize {
  int64_t width = 0, height = 0, compressed = 0;  // compressed: bytes of image data
};

// Walks the chunks to see that all are there, so that a truncated file is told as such, and what the header promises.
PngSize check_chunks(std::span<const std::byte> bytes, const std::string& name) {
  if (bytes.size() < signature.size() || std::memcmp(bytes.data(), signature.data(), signature.size()) != 0)
    fail(text(name, ": not a PNG image: it does not begin with PNG's eight bytes"));
  PngSize size;
  constexpr size_t around = 12;  // length, kind and checksum
  for (size_t at = signature.size();;) {
    if (bytes.size() - at < around)
      fail(text(name, ": truncated: it ends at byte ", bytes.size(), " without an IEND chunk"));
    const auto length = static_cast<size_t>(big_endian(bytes, at));
    const std::string_view kind(reinterpret_cast<const char*>(bytes.data()) + at + 4, 4);
    if (length > bytes.size() - at - around)
      fail(text(name, ": truncated: the chunk at byte ", at, " says ", length, " bytes, but ",
                bytes.size() - at - around, " are left"));
    const bool first = at == signature.size();
    if (first != (kind == "IHDR") || (first && length != 13))
      fail(text(name, ": damaged: its first chunk must be one IHDR of 13 bytes"));
    if (first) size = {big_endian(bytes, at + 8), big_endian(bytes, at + 12), 0};
    if (kind == "IDAT") size.compressed += static_cast<int64_t>(length);
    if (kind == "IEND") return size;
    at += around + length;
  }
}

void check_size(const PngSize& size, int64_t max_pixels, const std::string& name) {
  const std::array<int64_t, 2> sizes{size.width, size.height};
  const auto pixels = checked_bytes(sizes, 1);
  if (size.width == 0 || size.height == 0)
    fail(text(name, ": an image of ", size.width, " x ", size.height, " pixels is empty"));
  if (!pixels || *pixels > max_pixels)
    fail(text(name, ": an image of ", size.width, " x ", size.height, " pixels is too large: at most ", max_pixels,
              " pixels can be read"));
  // The smallest sample is one bit, and each row begins with a byte.
  const int64_t least = (size.width + 7) / 8 * size.height;
  if (least > size.compressed * max_inflation)
    fail(text(name, ": its header says ", size.width, " x ", size.height, " pixels, but its ", size.compressed,
              " bytes of image data cannot hold so many"));
}

struct Image : png_image {
  Image() : png_image{} { version = PNG_IMAGE_VERSION; }
  ~Image() { png_image_free(this); }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
};

void check(const Image& image, const std::string& name, std::string_view what) {
  if (PNG_IMAGE_FAILED(image)) fail(text(name, ": ", what, ": ", image.message));
}

Shape shape_of(const Image& image) {
  const auto channels = static_cast<int64_t>(PNG_IMAGE_SAMPLE_CHANNELS(image.format));
  Shape shape{image.height, image.width};
  if (channels > 1) shape.push_back(channels);
  return shape;
}

}  // namespace

Array parse_png(std::span<const std::byte> bytes, const std::string& name, int64_t max_pixels) {
  check_size(check_chunks(bytes, name), max_pixels, name);
  Image image;
  png_image_begin_read_from_memory(&image, bytes.data(), bytes.size());
  check(image, name, "damaged PNG image");
  image.format &= PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA;  // no palette, 8 bits a sample
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // 16-bit samples are not linear light unless they say so
  Array out(DType::u8, shape_of(image));
  png_image_finish_read(&image, nullptr, out.data(), 0, nullptr);
  check(image, name, "damaged PNG image");
  return out;
}

Array read_png(const std::string& path, int64_t max_pixels) {
  return parse_png(read_to_array(path).bytes(), path, max_pixels);
}

void write_png(const std::string& path, const Array& array) {
  const Shape& shape = array.shape();
  const bool grey = shape.rank() == 2, colour = shape.rank() == 3 && shape[2] == 3;
  constexpr int64_t most = 1'000'000;
  if (array.dtype() != DType::u8 || !(grey || colour) || array.elements() == 0 || shape[0] > most || shape[1] > most)
    fail(text(path, ": a PNG image is written from u8[H,W] or u8[H,W,3], not ", array.type()));
  Image image;
  image.height = static_cast<png_uint_32>(shape[0]);
  image.width = static_cast<png_uint_32>(shape[1]);
  image.format = grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  png_image_write_to_memory(&image, nullptr, &size, 0, array.data(), 0, nullptr);
  check(image, path, "cannot be written");
  std::vector<std::byte> bytes(size);
  png_image_write_to_memory(&image, bytes.data(), &size, 0, array.data(), 0, nullptr);
  check(image, path, "cannot be written");
  io::write_file(path, std::span<const std::byte>(bytes).first(size));
}

}  // namespace descent::data
