#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/data/audio_samples.h"

namespace descent::data {

namespace {

constexpr size_t bits_a_byte = 8;

uint32_t number_at(std::span<const std::byte> bytes, size_t at, size_t size) {
  uint32_t out = 0;
  for (size_t i = 0; i < size; ++i) out |= std::to_integer<uint32_t>(bytes[at + i]) << (bits_a_byte * i);
  return out;
}

// A sample in [-1, 1). Eight bits are unsigned, as in WAV files.
float sample_at(std::span<const std::byte> bytes, size_t at, size_t size) {
  uint32_t high = number_at(bytes, at, size) << (32 - bits_a_byte * size);
  if (size == 1) high ^= 0x80000000u;
  return static_cast<float>(static_cast<int32_t>(high)) * 0x1p-31f;
}

bool is_word(std::span<const std::byte> bytes, size_t at, std::string_view word) {
  return std::memcmp(bytes.data() + at, word.data(), word.size()) == 0;
}

}  // namespace

RawSamples::RawSamples(int descriptor, const RawAudio& format, std::string name)
    : descriptor_(descriptor), format_(format), name_(std::move(name)) {
  read_header();
  if (format_.bits != 8 && format_.bits != 16 && format_.bits != 24 && format_.bits != 32)
    fail(text(name_, ": samples of ", format_.bits, " bits are not read (8, 16, 24 and 32 are)"));
}

size_t RawSamples::fill(std::span<std::byte> out) {
  size_t filled = std::min(out.size(), ahead_.size());
  std::copy_n(ahead_.begin(), filled, out.begin());
  ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<std::ptrdiff_t>(filled));
  while (filled < out.size()) {
    const ssize_t got = ::read(descriptor_, out.data() + filled, out.size() - filled);
    if (got == 0) break;
    if (got < 0 && errno != EINTR) fail(text(name_, ": cannot be read: ", std::strerror(errno)));
    if (got > 0) filled += static_cast<size_t>(got);
  }
  return filled;
}

// The header of a WAV stream is a list of chunks, the last of which holds the samples; its length means nothing, since
// a recorder that writes to a pipe cannot know it.
void RawSamples::read_header() {
  std::array<std::byte, 12> beginning{};
  const size_t got = fill(beginning);
  if (got < beginning.size() || !is_word(beginning, 0, "RIFF") || !is_word(beginning, 8, "WAVE")) {
    ahead_.assign(beginning.begin(), beginning.begin() + static_cast<std::ptrdiff_t>(got));
    return;
  }
  for (bool known = false;;) {
    const std::vector<std::byte> chunk = take(8);
    const size_t size = number_at(chunk, 4, 4);
    if (is_word(chunk, 0, "data")) {
      if (!known) fail(text(name_, ": the header of the WAV stream does not say how its samples are stored"));
      return;
    }
    constexpr size_t most = 1 << 16;
    if (size > most) fail(text(name_, ": the header of the WAV stream has a part of ", size, " bytes"));
    const std::vector<std::byte> content = take(size + size % 2);
    if (!is_word(chunk, 0, "fmt ")) continue;
    read_format(content);
    known = true;
  }
}

std::vector<std::byte> RawSamples::take(size_t bytes) {
  std::vector<std::byte> out(bytes);
  if (fill(out) < bytes) fail(text(name_, ": the stream ends within its header"));
  return out;
}

void RawSamples::read_format(std::span<const std::byte> content) {
  constexpr size_t least = 16;
  constexpr uint32_t integers = 1, extended = 0xfffe;
  if (content.size() < least) fail(text(name_, ": the header of the WAV stream is too short"));
  const uint32_t kind = number_at(content, 0, 2);
  if (kind != integers && kind != extended) fail(text(name_, ": the WAV stream does not hold whole numbers"));
  format_ = {number_at(content, 4, 4), number_at(content, 2, 2), number_at(content, 14, 2)};
}

size_t RawSamples::read(std::span<float> out) {
  const auto bytes = static_cast<size_t>(format_.bits) / bits_a_byte, channels = static_cast<size_t>(format_.channels);
  frames_.resize(out.size() * channels * bytes);
  const size_t count = fill(frames_) / (channels * bytes);
  for (size_t i = 0; i < count; ++i) {
    float sum = 0;
    for (size_t c = 0; c < channels; ++c) sum += sample_at(frames_, (i * channels + c) * bytes, bytes);
    out[i] = sum / static_cast<float>(channels);
  }
  return count;
}

}  // namespace descent::data
