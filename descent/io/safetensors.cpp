#include "descent/io/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "descent/base/text.h"
#include "descent/io/atomic_file.h"
#include "descent/io/safetensors_header.h"

namespace descent::io {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t alignment = 64;

std::array<char, 8> little_endian(uint64_t value) {
  std::array<char, 8> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  return bytes;
}

nlohmann::ordered_json described(const Array& array, uint64_t begin) {
  return {{"dtype", safetensors_name(array.dtype())},
          {"shape", array.shape().to_vector()},
          {"data_offsets", {begin, begin + array.bytes().size()}}};
}

void check_saveable(const NamedArrays& tensors) {
  std::set<std::string_view> names;
  for (const auto& [name, array] : tensors) {
    if (!array) fail(fmt::format("tensor '{}' holds no array, so it cannot be saved", name));
    if (name == "__metadata__" || !names.insert(name).second)
      fail(fmt::format("a safetensors file cannot hold {} tensor named '{}'", names.contains(name) ? "a second" : "a",
                       name));
  }
}

// Where a reader gets bytes from: memory or an open file.
class Source {
 public:
  virtual ~Source() = default;
  virtual uint64_t size() const = 0;
  virtual void read(uint64_t offset, std::span<std::byte> into) const = 0;
};

class MemorySource : public Source {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  void read(uint64_t offset, std::span<std::byte> into) const override {
    std::ranges::copy(bytes_.subspan(offset, into.size()), into.begin());
  }

 private:
  std::span<const std::byte> bytes_;
};

class FileSource : public Source {
 public:
  explicit FileSource(const fs::path& path) : path_(path), file_(open_regular(path, size_)) {}
  uint64_t size() const override { return size_; }
  void read(uint64_t offset, std::span<std::byte> into) const override { read_at(file_, path_, offset, into); }

 private:
  fs::path path_;
  uint64_t size_ = 0;
  Descriptor file_;
};

TensorHeader read_header(const Source& source, std::string_view name) {
  std::array<std::byte, 8> prefix{};
  if (source.size() < prefix.size())
    fail(fmt::format("{}: {} bytes are too few for a safetensors file", name, source.size()));
  source.read(0, prefix);
  uint64_t length = 0;
  for (size_t i = 0; i < prefix.size(); ++i) length |= std::to_integer<uint64_t>(prefix[i]) << (8 * i);
  if (length > max_header_bytes || length > source.size() - prefix.size())
    fail(fmt::format("{}: the header should have {} bytes, but the file has {}{}", name, length, source.size(),
                     length > max_header_bytes ? fmt::format(" (and a header at most {})", max_header_bytes) : ""));
  std::string json(length, '\0');
  source.read(prefix.size(), std::as_writable_bytes(std::span(json)));
  TensorHeader header = parse_safetensors_header(json, source.size() - prefix.size() - length, name);
  header.data_begin = prefix.size() + length;
  return header;
}

void check_booleans(const TensorEntry& entry, std::span<const std::byte> bytes, std::string_view name) {
  if (entry.type.dtype != DType::boolean) return;
  const auto bad = std::ranges::find_if(bytes, [](std::byte b) { return b > std::byte{1}; });
  if (bad != bytes.end())
    fail(fmt::format("{}: tensor '{}' (BOOL): element {} is {}, which is neither 0 nor 1", name, entry.name,
                     bad - bytes.begin(), std::to_integer<int>(*bad)));
}

TensorFile read_tensors(const Source& source, std::string_view name) {
  TensorHeader header = read_header(source, name);
  TensorFile file{{}, std::move(header.metadata)};
  file.tensors.reserve(header.entries.size());
  for (TensorEntry& entry : header.entries) {
    Array array(entry.type);
    source.read(header.data_begin + entry.begin, array.bytes());
    check_booleans(entry, array.bytes(), name);
    file.tensors.emplace_back(std::move(entry.name), std::move(array));
  }
  return file;
}

}  // namespace

const Array* TensorFile::find(std::string_view name) const {
  const auto at = std::ranges::find(tensors, name, &NamedArrays::value_type::first);
  return at == tensors.end() ? nullptr : &at->second;
}

std::string safetensors_header(const TensorFile& file) {
  check_saveable(file.tensors);
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  uint64_t offset = 0;
  for (const auto& [name, array] : file.tensors) {
    header[name] = described(array, offset);
    offset += array.bytes().size();
  }
  std::string json;
  try {
    json = header.dump();
  } catch (const nlohmann::json::exception&) {
    fail("a name or metadata text of a safetensors file is not UTF-8");
  }
  json.append((alignment - (8 + json.size()) % alignment) % alignment, ' ');
  const std::array<char, 8> length = little_endian(json.size());
  return std::string(length.begin(), length.end()) + json;
}

void write_safetensors(AtomicFile& out, const TensorFile& file) {
  out.write(safetensors_header(file));
  for (const auto& [name, array] : file.tensors) out.write(array.bytes());
}

void save_safetensors(const fs::path& path, const TensorFile& file) {
  AtomicFile out(path);
  write_safetensors(out, file);
  out.commit();
}

TensorFile load_safetensors(const fs::path& path) { return read_tensors(FileSource(path), path.string()); }

TensorFile parse_safetensors(std::span<const std::byte> bytes, std::string_view name) {
  return read_tensors(MemorySource(bytes), name);
}

TensorHeader load_safetensors_header(const fs::path& path) { return read_header(FileSource(path), path.string()); }

}  // namespace descent::io
