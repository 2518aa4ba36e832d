#include "descent/data/normalizer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "descent/base/text.h"

namespace descent::data {

namespace {

struct Sums {
  double values = 0, squares = 0, count = 0;
};

// Exact whole-number sums in blocks that 32 bits hold.
Sums sums_of(std::span<const uint8_t> values, size_t first, size_t step) {
  constexpr size_t block = 1 << 16;  // 2^16 * 255^2 < 2^32
  uint64_t sum = 0, squares = 0, count = 0;
  for (size_t at = first; at < values.size(); at += block * step) {
    const size_t end = std::min(values.size(), at + block * step);
    uint32_t block_sum = 0, block_squares = 0;
    for (size_t i = at; i < end; i += step) {
      block_sum += values[i];
      block_squares += uint32_t{values[i]} * values[i];
    }
    sum += block_sum;
    squares += block_squares;
    count += (end - at + step - 1) / step;
  }
  return {static_cast<double>(sum), static_cast<double>(squares), static_cast<double>(count)};
}

Sums sums_of(std::span<const float> values, size_t first, size_t step) {
  Sums sums;
  for (size_t i = first; i < values.size(); i += step) {
    sums.values += values[i];
    sums.squares += double{values[i]} * values[i];
    ++sums.count;
  }
  return sums;
}

template <class T>
Normalizer fitted(std::span<const T> values, size_t channels) {
  Normalizer out;
  for (size_t c = 0; c < channels; ++c) {
    const Sums sums = sums_of(values, c, channels);
    const double mean = sums.values / sums.count;
    const double variance = sums.squares / sums.count - mean * mean;
    const double constant = 1e-12 * (1 + mean * mean);
    const double deviation = variance > constant ? std::sqrt(variance) : (sizeof(T) == 1 ? 255 : 1);
    out.scale.push_back(static_cast<float>(1 / deviation));
    out.shift.push_back(static_cast<float>(-mean / deviation));
  }
  return out;
}

}  // namespace

Normalizer Normalizer::fit(const Array& images, bool per_channel) {
  const Shape& shape = images.shape();
  if (shape.rank() < 3 || shape.rank() > 4 || images.elements() == 0)
    fail(text("a normalizer is fitted on images [N,H,W] or [N,H,W,C], not ", images.type()));
  const size_t channels = per_channel && shape.rank() == 4 ? static_cast<size_t>(shape[3]) : 1;
  if (images.dtype() == DType::u8) return fitted(images.as<uint8_t>(), channels);
  if (images.dtype() == DType::f32) return fitted(images.as<float>(), channels);
  fail(text("a normalizer is fitted on u8 or f32 images, not ", images.type()));
}

std::string Normalizer::to_json() const { return nlohmann::ordered_json{{"scale", scale}, {"shift", shift}}.dump(); }

Normalizer Normalizer::from_json(const std::string& stored) {
  Normalizer out;
  try {
    const auto json = nlohmann::json::parse(stored);
    out = {json.at("scale").get<std::vector<float>>(), json.at("shift").get<std::vector<float>>()};
  } catch (const std::exception& problem) {
    fail(text("the stored normalizer cannot be read: ", problem.what()));
  }
  const bool positive = std::ranges::all_of(out.scale, [](float s) { return s > 0 && std::isfinite(s); });
  if (out.scale.empty() || out.scale.size() != out.shift.size() || !positive ||
      !std::ranges::all_of(out.shift, [](float s) { return std::isfinite(s); }))
    fail(text("the stored normalizer has ", out.scale.size(), " scales and ", out.shift.size(),
              " shifts; as many of each are needed, and scales above 0"));
  return out;
}

}  // namespace descent::data
