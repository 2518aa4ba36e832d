// Any bytes as a PNG image, once as they are and once with the checksums of its chunks put right, so that what lies
// behind them is reached. An image that is read is made grey and a digit.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

#include "descent/base/error.h"
#include "descent/data/image.h"
#include "descent/data/png.h"

namespace {

using namespace descent;

constexpr int64_t most_pixels = 1 << 18;

std::optional<Array> parsed(std::span<const std::byte> bytes) {
  try {
    return data::parse_png(bytes, "input", most_pixels);
  } catch (const Error&) {
    return std::nullopt;
  }
}

uint32_t number_at(std::span<const uint8_t> bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 | uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

std::vector<uint8_t> with_checksums(const uint8_t* data, size_t size) {
  std::vector<uint8_t> out(data, data + size);
  constexpr size_t signature = 8, around = 12;
  for (size_t at = signature; at + around <= out.size();) {
    const size_t length = number_at(out, at);
    if (length > out.size() - at - around) break;
    const auto checksum = static_cast<uint32_t>(crc32(0, out.data() + at + 4, static_cast<uInt>(length + 4)));
    for (size_t i = 0; i < 4; ++i) out[at + 8 + length + i] = static_cast<uint8_t>(checksum >> (24 - 8 * i));
    at += around + length;
  }
  return out;
}

void use(const Array& image) {
  data::to_grey(image);
  try {
    if (data::image_to_digit(image, "input").shape() != Shape{28, 28}) std::abort();
  } catch (const Error&) {  // blank
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::optional<Array> plain = parsed(std::as_bytes(std::span(data, size)));
  const std::vector<uint8_t> repaired = with_checksums(data, size);
  const std::optional<Array> image = parsed(std::as_bytes(std::span(repaired)));
  if (plain && !image) std::abort();
  if (image) use(*image);
  return 0;
}
