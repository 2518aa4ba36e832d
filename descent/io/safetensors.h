// Safetensors: named tensors in one file that holds data only (format: 8 bytes little-endian header length, a JSON
// header, the tensors' bytes without gaps). Files of other programs are read; what is not known is refused.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "descent/core/array.h"

namespace descent::io {

using NamedArrays = std::vector<std::pair<std::string, Array>>;

struct TensorFile {
  NamedArrays tensors;                          // in the order of their bytes in the file
  std::map<std::string, std::string> metadata;  // the header's "__metadata__"

  const Array* find(std::string_view name) const;  // null if there is none
};

// What a file says of one tensor, before its bytes are read. The offsets count from the end of the header.
struct TensorEntry {
  std::string name;
  Type type;
  uint64_t begin = 0, end = 0;
};

struct TensorHeader {
  std::vector<TensorEntry> entries;  // by offset; they cover the data without gap or overlap
  std::map<std::string, std::string> metadata;
  uint64_t data_begin = 0;  // where the tensors' bytes start in the file
};

// Written beside the target and renamed (see AtomicFile). The bytes depend on the arguments alone: tensors in the
// order given, the header padded with spaces so that the data start on a multiple of 64. Fails on a name given twice,
// an empty array or text that is not UTF-8.
void save_safetensors(const std::filesystem::path& path, const TensorFile& file);

// The bytes before the tensors' own; with them one after the other it is the file.
std::string safetensors_header(const TensorFile& file);

// Checks every size before it allocates: header and file length, known types (F64 F32 BF16 F16 I32 U32 U8 BOOL), shape
// against bytes, offsets in range, contiguous and covering, no name twice, no unknown field. Fails naming the file and
// the tensor.
TensorFile load_safetensors(const std::filesystem::path& path);

// The same from memory; `name` stands for the file in errors.
TensorFile parse_safetensors(std::span<const std::byte> bytes, std::string_view name);

// The header alone (names, types and sizes), without reading the data.
TensorHeader load_safetensors_header(const std::filesystem::path& path);

}  // namespace descent::io
