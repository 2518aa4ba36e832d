// Any bytes as a JPEG image, at its own size and smaller. An image that is read is brought to another size.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>

#include "descent/base/error.h"
#include "descent/data/image.h"
#include "descent/data/jpeg.h"

namespace {

using namespace descent;

constexpr int64_t most_pixels = 1 << 16;

std::optional<Array> parsed(std::span<const std::byte> bytes, int64_t enough) {
  try {
    return data::parse_jpeg(bytes, "input", {.max_pixels = most_pixels, .enough = enough});
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const int orientation = data::jpeg_orientation(bytes);
  if (orientation < 1 || orientation > 8) std::abort();
  const std::optional<Array> image = parsed(bytes, 0), small = parsed(bytes, 8);
  if (!image) return 0;
  if (image->shape()[0] * image->shape()[1] > most_pixels) std::abort();
  const int64_t channels = image->shape().rank() == 2 ? 3 : 1;
  const data::ImageSize wanted{5, 7, channels, static_cast<data::FitMode>(size % 3)};
  if (data::fitted(*image, wanted).shape() != wanted.shape()) std::abort();
  if (small) data::fitted(*small, wanted);
  return 0;
}
