#include "descent/data/augment_mix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "descent/data/random.h"

namespace descent::data {

namespace {

double draw_normal(RandomStream& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

// The logarithm of a number of Gamma(a), which for small a may be too small for a double (Marsaglia and Tsang, "A
// simple method for generating gamma variables", 2000).
double draw_log_gamma(double a, RandomStream& random) {
  if (a < 1) return draw_log_gamma(a + 1, random) + std::log(1 - random.uniform()) / a;
  const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = draw_normal(random), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return std::log(d * v);
  }
}

// A box of the share 1 - part of the area, its middle anywhere, cut at the edges; `part` becomes what is left.
void draw_box(Mixture& mixture, int64_t height, int64_t width, RandomStream& random) {
  const double side = std::sqrt(1 - mixture.part);
  const auto extent = [&](int64_t size, int64_t& begin, int64_t& end) {
    const auto middle = static_cast<int64_t>(random.below(static_cast<uint64_t>(size)));
    const auto length = static_cast<int64_t>(std::llround(side * static_cast<double>(size)));
    begin = std::max<int64_t>(0, middle - length / 2);
    end = std::min(size, middle - length / 2 + length);
  };
  extent(height, mixture.top, mixture.bottom);
  extent(width, mixture.left, mixture.right);
  const int64_t area = (mixture.bottom - mixture.top) * (mixture.right - mixture.left);
  mixture.part = 1 - static_cast<double>(area) / static_cast<double>(height * width);
  mixture.box = true;
}

}  // namespace

double draw_beta(double a, uint64_t key) {
  RandomStream random(key);
  const double x = draw_log_gamma(a, random), y = draw_log_gamma(a, random);
  return 1 / (1 + std::exp(y - x));
}

Mixture draw_mixture(const AugmentOptions& options, int64_t rows, int64_t height, int64_t width, uint64_t key) {
  RandomStream random(key);
  Mixture out;
  out.mixed = random.uniform() < options.mix_part;
  out.partner = static_cast<int64_t>(random.below(static_cast<uint64_t>(rows)));
  if (!out.mixed) return out;
  const bool box = options.cutmix > 0 && (options.mixup <= 0 || random.uniform() < 0.5);
  out.part = draw_beta(box ? options.cutmix : options.mixup, random.bits());
  if (box) draw_box(out, height, width, random);
  return out;
}

void mix_images(const Mixture& mixture, std::span<const uint8_t> other, std::span<uint8_t> image, int64_t width,
                int64_t channels) {
  if (!mixture.mixed) return;
  if (mixture.box) {
    for (int64_t y = mixture.top; y < mixture.bottom; ++y) {
      const auto at = static_cast<size_t>((y * width + mixture.left) * channels);
      std::memcpy(image.data() + at, other.data() + at, static_cast<size_t>((mixture.right - mixture.left) * channels));
    }
    return;
  }
  const int own = static_cast<int>(std::lround(256 * mixture.part)), others = 256 - own;
  for (size_t i = 0; i < image.size(); ++i)
    image[i] = static_cast<uint8_t>((own * image[i] + others * other[i] + 128) >> 8);
}

}  // namespace descent::data
