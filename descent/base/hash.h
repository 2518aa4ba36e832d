// 64-bit hashing for merging equal nodes and for program keys. Not for security: files are checked with SHA-256.
#pragma once

#include <cstdint>
#include <string_view>

namespace descent {

// Adds one 64-bit word to a running hash (the finaliser of SplitMix64; Steele, Lea and Flood 2014).
constexpr uint64_t hash_mix(uint64_t hash, uint64_t word) {
  uint64_t z = hash + 0x9e3779b97f4a7c15ull + word;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

constexpr uint64_t hash_text(uint64_t hash, std::string_view text) {
  for (const char c : text) hash = hash_mix(hash, static_cast<unsigned char>(c));
  return hash_mix(hash, text.size());
}

}  // namespace descent
