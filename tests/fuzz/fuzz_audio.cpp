// Any bytes as a sound file and as a raw stream: what is read is finite, as long as was promised, and the same in any
// pieces.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "descent/base/error.h"
#include "descent/data/audio.h"
#include "descent/data/sounds.h"

namespace {

using namespace descent;

constexpr int64_t most_samples = 1 << 16;

std::optional<Array> read(data::AudioStream& stream) {
  try {
    return data::read_rest(stream, "input", most_samples);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<data::AudioStream> opened(std::span<const std::byte> bytes, int64_t rate) {
  try {
    return data::AudioStream::parse(bytes, "input", rate);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void use_file(std::span<const std::byte> bytes) {
  std::optional<data::AudioStream> stream = opened(bytes, 0);
  if (!stream) return;
  const std::optional<int64_t> frames = stream->facts().frames;
  const std::optional<Array> whole = read(*stream);
  if (!whole) return;
  if (frames && whole->elements() != *frames) std::abort();
  for (const float value : whole->as<float>())
    if (!std::isfinite(value)) std::abort();
  std::optional<data::AudioStream> again = opened(bytes, 0);
  if (data::loudest_part(*again, 100).size() != std::min<size_t>(100, static_cast<size_t>(whole->elements())))
    std::abort();
  if (std::optional<data::AudioStream> slow = opened(bytes, 8000)) read(*slow);
}

// A pipe holds so much without a reader.
void use_stream(std::span<const std::byte> bytes) {
  constexpr size_t most = 1 << 15;
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  const std::span<const std::byte> part = bytes.first(std::min(bytes.size(), most));
  if (::write(ends[1], part.data(), part.size()) != std::ssize(part)) std::abort();
  ::close(ends[1]);
  try {
    data::AudioStream stream = data::AudioStream::raw(ends[0], {}, "input");
    if (data::read_rest(stream, "input").elements() > std::ssize(part)) std::abort();
  } catch (const Error&) {
  }
  ::close(ends[0]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  use_file(bytes);
  use_stream(bytes);
  return 0;
}
