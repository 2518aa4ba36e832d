// Files as arrays of bytes, and the size checks that every reader makes before it allocates.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "descent/core/array.h"
#include "descent/io/atomic_file.h"

namespace descent::data {

// Deflate cannot make data smaller than by this factor, so a header that promises more than this many times the
// compressed bytes lies. Used to bound what a reader allocates by the size of the file.
inline constexpr int64_t max_inflation = 1032;

// The whole of a file or pipe as u8 [bytes], in large pages where it is large; fails naming it and the system's reason.
Array read_to_array(const std::string& path);

// Fills `into` from where the file stands; fails naming it if it ends before.
void read_fully(const io::Descriptor& file, const std::string& path, std::span<std::byte> into);

// sizes[0] * sizes[1] * ... * element_bytes, or nothing if a size is negative or the product of the sizes (zeros left
// out, so that strides fit too) leaves 63 bits.
std::optional<int64_t> checked_bytes(std::span<const int64_t> sizes, int64_t element_bytes);

// "3 x 28 x 28": sizes that may not be a legal Shape, for error texts.
std::string sizes_text(std::span<const int64_t> sizes);

}  // namespace descent::data
