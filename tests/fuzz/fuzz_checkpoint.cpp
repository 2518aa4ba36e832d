// Any bytes: as a checkpoint, as a safetensors file, and as the header of one whose length is right. What is taken
// must come out the same when it is written and read again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "descent/base/error.h"
#include "descent/io/checkpoint.h"

namespace {

using namespace descent;

std::string whole_file(const io::TensorFile& file) {
  std::string bytes = io::safetensors_header(file);
  for (const auto& [name, array] : file.tensors)
    bytes.append(reinterpret_cast<const char*>(array.data()), array.bytes().size());
  return bytes;
}

void read_tensors(std::string_view bytes) {
  io::TensorFile file;
  try {
    file = io::parse_safetensors(std::as_bytes(std::span(bytes)), "input");
  } catch (const Error&) {
    return;
  }
  const std::string written = whole_file(file);
  if (whole_file(io::parse_safetensors(std::as_bytes(std::span(written)), "written")) != written) std::abort();
}

void read_checkpoint(std::string_view bytes) {
  try {
    io::parse_checkpoint(std::as_bytes(std::span(bytes)), "input");
  } catch (const Error&) {
  }
}

// The input up to its last brace as a header, the rest as the data.
std::string with_length(std::string_view input) {
  const size_t brace = input.rfind('}');
  const uint64_t length = brace == input.npos ? input.size() : brace + 1;
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(length >> (8 * i));
  return bytes + std::string(input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  read_checkpoint(input);
  read_tensors(input);
  read_tensors(with_length(input));
  return 0;
}
