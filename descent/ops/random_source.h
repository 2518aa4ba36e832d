// What the random composites share: their key, counter and stream.
#pragma once

#include "descent/core/philox.h"
#include "descent/ops/random_bits.h"

namespace descent {

// The upper half of the streams is for the second numbers of those that need two (see random_normal).
inline constexpr int64_t second_streams = int64_t{1} << 31;

inline void check_random_source(const Type& key, const Type& counter, const Attrs& attrs, std::string_view name) {
  const Type pair{DType::u32, {2}};
  if (key != pair || counter != pair)
    fail(text(name, ": needs a key u32[2] and a counter u32[2], got ", key, " and ", counter));
  if (const int64_t stream = attrs.integer("stream"); stream < 0 || stream >= second_streams)
    fail(text(name, ": the stream must be at least 0 and below 2^31, got ", stream));
}

// The words that random_bits gives for these inputs: what the meanings draw from.
inline RandomSource random_source(const Dense& key, const Dense& counter, int64_t stream) {
  const auto pair = [](const Dense& x) {
    return std::array<uint32_t, 2>{static_cast<uint32_t>(x.values[0]), static_cast<uint32_t>(x.values[1])};
  };
  return {pair(key), pair(counter), static_cast<uint32_t>(stream)};
}

// What every op of key, counter and {stream} must reject, given its other attributes.
inline Misuses random_misuse(std::string_view name, Attrs attrs) {
  const Type pair{DType::u32, {2}}, triple{DType::u32, {3}}, signs{DType::i32, {2}};
  attrs.set("stream", int64_t{0});
  Misuses all{{{triple, pair}, attrs, text(name, ": needs a key u32[2] and a counter u32[2], got u32[3] and u32[2]")},
              {{pair, signs}, attrs, text(name, ": needs a key u32[2] and a counter u32[2], got u32[2] and i32[2]")}};
  attrs.set("stream", int64_t{-1});
  all.push_back({{pair, pair}, attrs, text(name, ": the stream must be at least 0 and below 2^31, got -1")});
  return all;
}

inline SampleInput random_pair(double first, double second) { return {{DType::u32, {2}}, 0, 0, {first, second}}; }

}  // namespace descent
