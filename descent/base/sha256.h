// SHA-256 (FIPS 180-4): what files, checkpoints and weights are checked and named with.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace descent {

// A running sum. Bytes may come in any pieces; hex() ends it, and is called once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void add(std::span<const std::byte> bytes);
  void add(std::string_view bytes) { add(std::as_bytes(std::span(bytes))); }
  std::string hex();  // 64 lower-case digits

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256(std::span<const std::byte> bytes);
std::string sha256(std::string_view bytes);

// The sum of a whole file, read in pieces; fails if it cannot be read.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace descent
