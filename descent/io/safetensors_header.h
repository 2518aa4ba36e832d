// Parts of the safetensors code. Internal to io: the door is safetensors.h.
#pragma once

#include "descent/io/safetensors.h"

namespace descent::io {

class AtomicFile;

constexpr uint64_t max_header_bytes = 100'000'000;  // the limit of the format's first implementation

std::string_view safetensors_name(DType dtype);  // "F32", "BF16" ...

// Header and bytes, for a file that the caller commits.
void write_safetensors(AtomicFile& out, const TensorFile& file);

// Parses and checks the header text against the number of bytes that follow it; data_begin is left to the caller.
TensorHeader parse_safetensors_header(std::string_view json, uint64_t data_bytes, std::string_view file);

}  // namespace descent::io
