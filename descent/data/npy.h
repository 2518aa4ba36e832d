// The header and elements of the .npy format, for npz.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "descent/core/array.h"

namespace descent::data {

struct NpyType;  // one of the element types

// What an .npy file says of itself.
struct NpyHeader {
  const NpyType* type = nullptr;
  bool swapped = false;  // bytes in the other order than this machine's
  bool fortran = false;  // first axis fastest
  std::vector<int64_t> sizes;
  int64_t header_bytes = 0;   // where the elements begin
  int64_t payload_bytes = 0;  // what they take
};

inline constexpr size_t npy_preamble_bytes = 12;  // enough to know the header's length
inline constexpr int64_t max_npy_header = 1 << 20;

// The length of preamble and header, from the file's first `npy_preamble_bytes` (fewer if the file has fewer).
int64_t npy_header_length(std::span<const std::byte> front, const std::string& name);

// `bytes` is preamble and header, npy_header_length() of them.
NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& name);

// The array of `payload_bytes` elements; `payload` is changed (byte order).
Array npy_elements(const NpyHeader& header, std::span<std::byte> payload, const std::string& name);

}  // namespace descent::data
