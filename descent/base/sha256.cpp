#include "descent/base/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() {
    if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1)
      fail("the SHA-256 of the OpenSSL library cannot be started");
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::add(std::span<const std::byte> bytes) {
  if (!state_ || EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1)
    fail("SHA-256: no bytes can be added to a sum that has ended");
}

std::string Sha256::hex() {
  const std::unique_ptr<State> state = std::move(state_);
  std::array<uint8_t, 32> digest{};
  if (!state || EVP_DigestFinal_ex(state->context, digest.data(), nullptr) != 1)
    fail("SHA-256: a sum can be ended only once");
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : digest) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

std::string sha256(std::span<const std::byte> bytes) {
  Sha256 sum;
  sum.add(bytes);
  return sum.hex();
}

std::string sha256(std::string_view bytes) { return sha256(std::as_bytes(std::span(bytes))); }

std::string sha256_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) fail(text("cannot open ", path.string(), ": ", std::strerror(errno)));
  std::vector<std::byte> piece(size_t{1} << 18);
  Sha256 sum;
  for (size_t got; (got = std::fread(piece.data(), 1, piece.size(), file.get())) > 0;)
    sum.add(std::span(piece).first(got));
  if (std::ferror(file.get())) fail(text("cannot read ", path.string(), ": ", std::strerror(errno)));
  return sum.hex();
}

}  // namespace descent
