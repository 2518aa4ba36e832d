#include "descent/data/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/io/atomic_file.h"

namespace descent::data {

namespace {

[[noreturn]] void fail_by_system(const std::string& path, std::string_view what) {
  fail(text(path, ": ", what, ": ", std::strerror(errno)));
}

size_t read_some(const io::Descriptor& file, const std::string& path, std::span<std::byte> into) {
  ssize_t count = -1;
  do count = ::read(file.number(), into.data(), into.size());
  while (count < 0 && errno == EINTR);
  if (count < 0) fail_by_system(path, "cannot be read");
  return static_cast<size_t>(count);
}

Array grown(const Array& bytes) {
  Array out(DType::u8, {2 * bytes.elements() + (1 << 16)});
  std::ranges::copy(bytes.bytes(), out.bytes().begin());
  return out;
}

}  // namespace

Array read_to_array(const std::string& path) {
  const io::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.number(), &status) != 0) fail_by_system(path, "cannot be opened");
  // The size is only a hint: a pipe has none, and a file may grow.
  Array bytes(DType::u8, {std::max<int64_t>(status.st_size, 0)});
  std::array<std::byte, 4096> beyond;
  for (size_t filled = 0;;) {
    const std::span<std::byte> room = bytes.bytes().subspan(filled);
    const size_t count = read_some(file, path, room.empty() ? std::span<std::byte>(beyond) : room);
    if (count == 0) return bytes.rows(0, static_cast<int64_t>(filled));
    if (room.empty()) {
      bytes = grown(bytes);
      std::ranges::copy(std::span(beyond).first(count), bytes.bytes().subspan(filled).begin());
    }
    filled += count;
  }
}

void read_fully(const io::Descriptor& file, const std::string& path, std::span<std::byte> into) {
  while (!into.empty()) {
    const size_t count = read_some(file, path, into);
    if (count == 0) fail(text(path, ": the file ended while it was read"));
    into = into.subspan(count);
  }
}

std::optional<int64_t> checked_bytes(std::span<const int64_t> sizes, int64_t element_bytes) {
  int64_t product = element_bytes;
  bool empty = false;
  for (const int64_t size : sizes) {
    if (size < 0) return std::nullopt;
    empty |= size == 0;
    if (size != 0 && __builtin_mul_overflow(product, size, &product)) return std::nullopt;
  }
  return empty ? 0 : product;
}

std::string sizes_text(std::span<const int64_t> sizes) {
  std::string out;
  for (size_t i = 0; i < sizes.size(); ++i) out += text(i ? " x " : "", sizes[i]);
  return out;
}

}  // namespace descent::data
