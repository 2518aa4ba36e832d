// idx files, the format of MNIST (LeCun, Cortes and Burges): a type, the sizes, then big-endian elements; plain or
// gzipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "descent/core/array.h"

namespace descent::data {

// The array in an idx file, gzipped or not (told by its first bytes, not its name). Unsigned bytes stay u8; signed
// bytes and 16-bit integers widen to i32; i32, f32 and f64 stay. Fails naming the file if it is no idx file or if the
// sizes in its header are not what the file holds, before anything of those sizes is allocated.
Array read_idx(const std::string& path);

// The same from bytes in memory; `name` is what errors call them.
Array parse_idx(std::span<const std::byte> bytes, const std::string& name);

// "digits.idx:17", one item of a file.
struct ItemAddress {
  std::string path;
  int64_t index = 0;
};

// The parts of "path:17"; nothing if the text does not end in a colon and a number.
std::optional<ItemAddress> item_address(std::string_view address);

// Item `index` along axis 0 of an idx file: of [60000,28,28] it is [28,28]. Fails naming the file and how many there
// are.
Array read_idx_item(const ItemAddress& address);

}  // namespace descent::data
