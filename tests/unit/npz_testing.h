// .npy and .npz files as NumPy writes them, for tests.
#pragma once

#include <zip.h>

#include <cstring>

#include "data_testing.h"

namespace descent::data {

// The header padded to a multiple of 64.
inline std::vector<std::byte> npy(const std::string& dictionary, const std::vector<std::byte>& payload,
                                  int version = 1) {
  const size_t preamble = version == 1 ? 10 : 12;
  std::string header = dictionary;
  header.append(63 - (preamble + header.size()) % 64, ' ');
  header += '\n';
  std::string out = "\x93NUMPY";
  out +=
      {static_cast<char>(version), '\0', static_cast<char>(header.size() & 255), static_cast<char>(header.size() >> 8)};
  if (version > 1) out += {'\0', '\0'};
  std::vector<std::byte> bytes = bytes_of(out + header);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

inline std::string dictionary(const std::string& descr, const std::string& shape,
                              const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}

template <class T>
std::vector<std::byte> raw(const std::vector<T>& values) {
  std::vector<std::byte> out(values.size() * sizeof(T));
  std::memcpy(out.data(), values.data(), out.size());
  return out;
}

struct ZipEntry {
  std::string name;
  std::vector<std::byte> bytes;
  bool stored = false;
};

inline std::string write_zip(const std::string& path, const std::vector<ZipEntry>& entries) {
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  for (const ZipEntry& entry : entries) {
    const zip_int64_t index =
        zip_file_add(zip, entry.name.c_str(), zip_source_buffer(zip, entry.bytes.data(), entry.bytes.size(), 0), 0);
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index), entry.stored ? ZIP_CM_STORE : ZIP_CM_DEFLATE, 0);
  }
  zip_close(zip);
  return path;
}

}  // namespace descent::data
