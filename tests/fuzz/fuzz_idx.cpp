// Any bytes as an idx file, plain and gzipped: both must be refused, or both read alike.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

#include "descent/base/error.h"
#include "descent/data/idx.h"

namespace {

using namespace descent;

std::optional<Array> parsed(std::span<const std::byte> bytes) {
  try {
    return data::parse_idx(bytes, "input");
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<std::byte> gzipped(const uint8_t* data, size_t size) {
  z_stream stream{};
  constexpr int gzip_format = 16;
  deflateInit2(&stream, 1, Z_DEFLATED, MAX_WBITS + gzip_format, 8, Z_DEFAULT_STRATEGY);
  std::vector<std::byte> out(deflateBound(&stream, size) + 64);
  stream.next_in = const_cast<Bytef*>(data);
  stream.avail_in = static_cast<uInt>(size);
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

bool is_gzip(const uint8_t* data, size_t size) { return size >= 2 && data[0] == 0x1f && data[1] == 0x8b; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::optional<Array> plain = parsed(std::as_bytes(std::span(data, size)));
  data::item_address({reinterpret_cast<const char*>(data), size});
  if (is_gzip(data, size)) return 0;
  const std::optional<Array> packed = parsed(gzipped(data, size));
  if (plain.has_value() != packed.has_value()) std::abort();
  if (plain && (plain->type() != packed->type() || !std::ranges::equal(plain->bytes(), packed->bytes()))) std::abort();
  return 0;
}
