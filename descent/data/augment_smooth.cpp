#include "descent/data/augment_smooth.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/data/augment_smooth.cpp"
#include <hwy/foreach_target.h>
// The target's own headers.
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "descent/data/random.h"

HWY_BEFORE_NAMESPACE();
namespace descent::data::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// As many floats as a block has at most, however long the processor's vectors are.
using Floats = hn::CappedTag<float, static_cast<size_t>(smooth_block)>;

// A block of a symmetric convolution; neighbours along the axis are `step` apart. Products are rounded before they are
// added, so that all processors agree.
HWY_INLINE void convolve_block(const float* middle, int64_t step, const float* kernel, int64_t reach, float* out) {
  const Floats d;
  constexpr size_t lanes = hn::MaxLanes(Floats()), vectors = static_cast<size_t>(smooth_block) / lanes;
  hn::Vec<Floats> sums[vectors];
  for (size_t v = 0; v < vectors; ++v) sums[v] = hn::Mul(hn::Set(d, kernel[0]), hn::LoadU(d, middle + v * lanes));
  for (int64_t k = 1; k <= reach; ++k) {
    const auto weight = hn::Set(d, kernel[k]);
    const float* const after = middle + k * step;
    const float* const before = middle - k * step;
    for (size_t v = 0; v < vectors; ++v)
      sums[v] =
          hn::Add(sums[v], hn::Mul(weight, hn::Add(hn::LoadU(d, after + v * lanes), hn::LoadU(d, before + v * lanes))));
  }
  for (size_t v = 0; v < vectors; ++v) hn::StoreU(sums[v], d, out + v * lanes);
}

void smooth_on_target(const FieldSize& size, const float* kernel, float* field, float* scratch) {
  float* const rows = scratch + size.reach * size.stride;
  float* const row = scratch + (size.height + 2 * size.reach) * size.stride + size.reach;
  for (int64_t y = 0; y < size.height; ++y) {
    std::memcpy(row, field + y * size.stride, static_cast<size_t>(size.width) * sizeof(float));
    for (int64_t x = 0; x < size.stride; x += smooth_block)
      convolve_block(row + x, 1, kernel, size.reach, rows + y * size.stride + x);
  }
  for (int64_t y = 0; y < size.height; ++y)
    for (int64_t x = 0; x < size.stride; x += smooth_block)
      convolve_block(rows + y * size.stride + x, size.stride, kernel, size.reach, field + y * size.stride + x);
}

}  // namespace
}  // namespace descent::data::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::data {

HWY_EXPORT(smooth_on_target);

void smooth_field(const FieldSize& size, std::span<const float> kernel, std::span<float> field,
                  std::span<float> scratch) {
  HWY_DYNAMIC_DISPATCH(smooth_on_target)(size, kernel.data(), field.data(), scratch.data());
}

void fill_uniform(std::span<float> out, float bound, uint64_t key) {
  RandomStream random(key);
  const float unit = bound / 32768;
  for (size_t i = 0; i < out.size(); i += 4) {
    const uint64_t bits = random.bits();
    for (size_t k = 0; k < std::min<size_t>(4, out.size() - i); ++k)
      out[i + k] = unit * static_cast<float>(static_cast<int16_t>(bits >> (16 * k)));
  }
}

}  // namespace descent::data
#endif
