// Checkpoints: everything that a run needs to go on, in one safetensors file with its own checksum.
#pragma once

#include "descent/io/safetensors.h"

namespace descent::io {

struct Checkpoint {
  NamedArrays tensors;
  std::string manifest;  // JSON text: whatever else the run must know
};

// One file and one commit point: the manifest and a SHA-256 of manifest and tensors lie in the header's metadata.
// Written beside the target and renamed; a failure leaves the checkpoint that was there. Fails if the manifest is not
// JSON.
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);

// Verifies the sum: what comes back is what was saved, or an Error says what is wrong with the file.
Checkpoint load_checkpoint(const std::filesystem::path& path);

// The same from memory; `name` stands for the file in errors.
Checkpoint parse_checkpoint(std::span<const std::byte> bytes, std::string_view name);

// Saves as DIRECTORY/last.safetensors and keeps the one before as DIRECTORY/previous.safetensors. Killed at any moment,
// it leaves at least one good checkpoint under one of the two names. Also removes what killed writers left behind.
void save_last_checkpoint(const std::filesystem::path& directory, const Checkpoint& checkpoint);

struct LoadedCheckpoint {
  Checkpoint checkpoint;
  std::filesystem::path path;
  std::vector<std::string> passed_over;  // why each name before it did not do; tell the user
};

// The first of DIRECTORY/NAME.safetensors that loads, in the order of `names`. Fails with what is wrong with each.
LoadedCheckpoint load_newest_good(const std::filesystem::path& directory,
                                  const std::vector<std::string>& names = {"last", "previous"});

// A name for a set of weights: SHA-256 over their names, types and bytes, in the order of their names.
std::string weights_sha256(const NamedArrays& tensors);

}  // namespace descent::io
