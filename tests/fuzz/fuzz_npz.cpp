// Any bytes as an .npz file, as an .npy file, and as the one array of a sound .npz file: the last two must be refused,
// or read alike.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>

#include "descent/base/error.h"
#include "descent/data/npz.h"

namespace {

using namespace descent;

void append_number(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

// What a stored entry "a.npy" says in both of its records, from the version needed on.
std::string entry_record(const std::string& content) {
  std::string out;
  append_number(out, 20, 2);  // version needed
  out.append(8, '\0');        // flags, method (stored), time, date
  append_number(out, crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())), 4);
  append_number(out, content.size(), 4);
  append_number(out, content.size(), 4);
  append_number(out, 5, 2);  // length of the name
  append_number(out, 0, 2);  // no extra field
  return out;
}

std::string zipped(const std::string& content) {
  const std::string record = entry_record(content);
  std::string out = "PK\3\4" + record + "a.npy" + content;
  const size_t directory = out.size();
  out += "PK\1\2";
  append_number(out, 20, 2);  // version that made it
  out += record;
  out.append(14, '\0');  // comment, disk, attributes, where the entry begins
  out += "a.npy";
  const size_t directory_bytes = out.size() - directory;
  out += "PK\5\6";
  append_number(out, 0, 4);
  append_number(out, 1, 2);
  append_number(out, 1, 2);
  append_number(out, directory_bytes, 4);
  append_number(out, directory, 4);
  append_number(out, 0, 2);
  return out;
}

std::optional<Array> array_in_npz(std::span<const std::byte> bytes) {
  try {
    const auto arrays = data::parse_npz(bytes, "input");
    return arrays.empty() ? std::nullopt : std::optional(arrays.begin()->second);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<Array> array_in_npy(std::span<const std::byte> bytes) {
  try {
    return data::parse_npy(bytes, "input");
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> input = std::as_bytes(std::span(data, size));
  array_in_npz(input);
  const std::string zip = zipped({reinterpret_cast<const char*>(data), size});
  const std::optional<Array> bare = array_in_npy(input), inside = array_in_npz(std::as_bytes(std::span(zip)));
  if (bare.has_value() != inside.has_value()) std::abort();
  if (bare && (bare->type() != inside->type() || !std::ranges::equal(bare->bytes(), inside->bytes()))) std::abort();
  return 0;
}
