#include "descent/io/checkpoint.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "descent/base/sha256.h"
#include "descent/base/text.h"
#include "descent/io/atomic_file.h"
#include "descent/io/safetensors_header.h"

namespace descent::io {

namespace fs = std::filesystem;

namespace {

constexpr const char* version_key = "descent_checkpoint";
constexpr const char* manifest_key = "descent_manifest";
constexpr const char* sum_key = "descent_sha256";
constexpr const char* version = "1";

// Each text goes in behind its length, so that no two lists of texts give the same bytes.
void add_text(Sha256& sum, std::string_view part) {
  sum.add(text(part.size(), ":"));
  sum.add(part);
}

void add_array(Sha256& sum, std::string_view name, const Array& array) {
  add_text(sum, name);
  add_text(sum, to_text(array.type()));
  sum.add(array.bytes());
}

std::string checkpoint_sum(const NamedArrays& tensors, std::string_view manifest) {
  Sha256 sum;
  add_text(sum, manifest);
  for (const auto& [name, array] : tensors) add_array(sum, name, array);
  return sum.hex();
}

// Arrays share their bytes when copied: this costs no memory.
TensorFile sealed(const Checkpoint& checkpoint) {
  if (!nlohmann::json::accept(checkpoint.manifest)) fail("the manifest of a checkpoint is not JSON");
  return {checkpoint.tensors,
          {{version_key, version},
           {manifest_key, checkpoint.manifest},
           {sum_key, checkpoint_sum(checkpoint.tensors, checkpoint.manifest)}}};
}

Checkpoint unsealed(TensorFile file, std::string_view name) {
  for (const char* key : {version_key, manifest_key, sum_key})
    if (!file.metadata.contains(key)) fail(text(name, " is a safetensors file, but not a checkpoint: it lacks ", key));
  if (file.metadata[version_key] != version)
    fail(text(name, ": this Descent reads checkpoints of version ", version, ", not ", file.metadata[version_key]));
  Checkpoint checkpoint{std::move(file.tensors), std::move(file.metadata[manifest_key])};
  if (checkpoint_sum(checkpoint.tensors, checkpoint.manifest) != file.metadata[sum_key])
    fail(text(name, ": the checkpoint is damaged, its bytes do not have the SHA-256 that was stored with them"));
  return checkpoint;
}

fs::path named(const fs::path& directory, std::string_view name) { return directory / text(name, ".safetensors"); }

}  // namespace

void save_checkpoint(const fs::path& path, const Checkpoint& checkpoint) { save_safetensors(path, sealed(checkpoint)); }

Checkpoint load_checkpoint(const fs::path& path) { return unsealed(load_safetensors(path), path.string()); }

Checkpoint parse_checkpoint(std::span<const std::byte> bytes, std::string_view name) {
  return unsealed(parse_safetensors(bytes, name), name);
}

void save_last_checkpoint(const fs::path& directory, const Checkpoint& checkpoint) {
  remove_stale_temporaries(directory);
  AtomicFile out(named(directory, "last"));
  write_safetensors(out, sealed(checkpoint));
  out.commit_keeping(named(directory, "previous"));
}

LoadedCheckpoint load_newest_good(const fs::path& directory, const std::vector<std::string>& names) {
  std::vector<std::string> reasons;
  for (const std::string& name : names) {
    const fs::path path = named(directory, name);
    try {
      return {load_checkpoint(path), path, reasons};
    } catch (const Error& error) {
      reasons.push_back(error.what());
    }
  }
  fail(text("no good checkpoint in ", directory.string(), ": ", join(reasons, "; ")));
}

std::string weights_sha256(const NamedArrays& tensors) {
  std::vector<const NamedArrays::value_type*> sorted;
  for (const auto& tensor : tensors) sorted.push_back(&tensor);
  std::ranges::sort(sorted, {}, &NamedArrays::value_type::first);
  Sha256 sum;
  for (const auto* tensor : sorted) add_array(sum, tensor->first, tensor->second);
  return sum.hex();
}

}  // namespace descent::io
