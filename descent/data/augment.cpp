#include "descent/data/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string_view>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/data/random.h"

namespace descent::data {

namespace {

void check_options(const AugmentOptions& options) {
  struct Row {
    std::string_view name;
    double value, below;
  };
  const std::array<Row, 6> rows{{{"shift", options.shift, 1e4},
                                 {"rotate", options.rotate, 360.1},
                                 {"scale", options.scale, 1},
                                 {"shear", options.shear, 60},
                                 {"elastic_alpha", options.elastic_alpha, 1e6},
                                 {"elastic_sigma", options.elastic_sigma, 1e3}}};
  for (const Row& row : rows)
    if (!(row.value >= 0) || !(row.value < row.below))
      fail(text("augmentation: ", row.name, " is ", row.value, ", but must be at least 0 and below ", row.below));
  if (options.elastic_alpha > 0 && options.elastic_sigma < 0.1)
    fail(text("augmentation: elastic_sigma is ", options.elastic_sigma, ", but an elastic field needs at least 0.1"));
}

// The right half of a Gaussian of sum 1, cut at three deviations.
std::vector<float> gaussian(double sigma) {
  std::vector<double> weights;
  for (int i = 0; i <= static_cast<int>(std::ceil(3 * sigma)); ++i)
    weights.push_back(std::exp(-0.5 * i * i / (sigma * sigma)));
  double sum = -weights[0];
  for (const double weight : weights) sum += 2 * weight;
  std::vector<float> out;
  for (const double weight : weights) out.push_back(static_cast<float>(weight / sum));
  return out;
}

// Independent and uniform in [-bound, bound), four numbers from each 64 random bits.
void fill_uniform(std::span<float> out, float bound, uint64_t key) {
  RandomStream random(key);
  const float unit = bound / 32768;
  for (size_t i = 0; i < out.size(); i += 4) {
    const uint64_t bits = random.bits();
    for (size_t k = 0; k < std::min<size_t>(4, out.size() - i); ++k)
      out[i + k] = unit * static_cast<float>(static_cast<int16_t>(bits >> (16 * k)));
  }
}

}  // namespace

Augmenter::Augmenter(const AugmentOptions& options, int64_t height, int64_t width, int64_t channels)
    : options_(options), height_(height), width_(width), channels_(channels) {
  check_options(options);
  if (height < 1 || width < 1 || channels < 1)
    fail(text("augmentation: an image of ", height, " x ", width, " pixels and ", channels, " channels is empty"));
  const auto pixels = static_cast<size_t>(height * width), row = static_cast<size_t>(width);
  if (options.elastic_alpha > 0) {
    kernel_ = gaussian(options.elastic_sigma);
    field_x_.resize(pixels);
    field_y_.resize(pixels);
    rows_.resize(pixels);
    padded_row_.resize(row + 2 * (kernel_.size() - 1));
  }
  padded_.assign(static_cast<size_t>((height + 2) * (width + 2) * channels), options.background);
  from_x_.resize(row);
  from_y_.resize(row);
}

Augmenter::Affine Augmenter::draw_affine(uint64_t key) const {
  RandomStream random(key);
  const auto radians = [](double degrees) { return degrees * std::numbers::pi / 180; };
  const double angle = radians(random.symmetric(options_.rotate)),
               lean = std::tan(radians(random.symmetric(options_.shear)));
  const double scale_x = 1 + random.symmetric(options_.scale), scale_y = 1 + random.symmetric(options_.scale);
  const double shift_x = random.symmetric(options_.shift), shift_y = random.symmetric(options_.shift);
  // The image is scaled, sheared, rotated about its centre and shifted; places of the result are mapped by the inverse.
  const double c = std::cos(angle), s = std::sin(angle);
  const double xx = (c + lean * s) / scale_x, xy = (s - lean * c) / scale_x;
  const double yx = -s / scale_y, yy = c / scale_y;
  const double middle_x = 0.5 * static_cast<double>(width_ - 1), middle_y = 0.5 * static_cast<double>(height_ - 1);
  const double x0 = middle_x - xx * (middle_x + shift_x) - xy * (middle_y + shift_y);
  const double y0 = middle_y - yx * (middle_x + shift_x) - yy * (middle_y + shift_y);
  const auto f = [](double value) { return static_cast<float>(value); };
  return {f(xx), f(xy), f(x0), f(yx), f(yy), f(y0)};
}

// Convolves [H,W] with the Gaussian along both axes; beyond the edges the field is zero.
void Augmenter::smooth(std::span<float> field) {
  const auto width = static_cast<size_t>(width_), height = static_cast<size_t>(height_), reach = kernel_.size() - 1;
  std::ranges::fill(padded_row_, 0.0f);
  for (size_t y = 0; y < height; ++y) {
    float* const row = padded_row_.data() + reach;
    float* const out = rows_.data() + y * width;
    std::copy_n(field.data() + y * width, width, row);
    for (size_t x = 0; x < width; ++x) out[x] = kernel_[0] * row[x];
    for (size_t k = 1; k <= reach; ++k)
      for (size_t x = 0; x < width; ++x) out[x] += kernel_[k] * (row[x + k] + *(row + x - k));
  }
  for (size_t y = 0; y < height; ++y) {
    float* const out = field.data() + y * width;
    std::fill_n(out, width, 0.0f);
    for (size_t from = y > reach ? y - reach : 0; from < std::min(height, y + reach + 1); ++from) {
      const float weight = kernel_[from > y ? from - y : y - from];
      const float* const row = rows_.data() + from * width;
      for (size_t x = 0; x < width; ++x) out[x] += weight * row[x];
    }
  }
}

void Augmenter::draw_field(uint64_t key) {
  const auto alpha = static_cast<float>(options_.elastic_alpha);
  fill_uniform(field_x_, alpha, random_key(key, 1));
  fill_uniform(field_y_, alpha, random_key(key, 2));
  smooth(field_x_);
  smooth(field_y_);
}

void Augmenter::pad(std::span<const uint8_t> image) {
  const auto row = static_cast<size_t>(width_ * channels_);
  for (size_t y = 0; y < static_cast<size_t>(height_); ++y) {
    float* const out = padded_.data() + (y + 1) * (row + 2 * static_cast<size_t>(channels_)) + channels_;
    for (size_t i = 0; i < row; ++i) out[i] = image[y * row + i];
  }
}

void Augmenter::map_row(const Affine& affine, int64_t y) {
  const auto fy = static_cast<float>(y);
  const float row_x = affine.xy * fy + affine.x0 + 1, row_y = affine.yy * fy + affine.y0 + 1;  // 1: the rim
  for (int64_t x = 0; x < width_; ++x) {
    from_x_[x] = row_x + affine.xx * static_cast<float>(x);
    from_y_[x] = row_y + affine.yx * static_cast<float>(x);
  }
  if (field_x_.empty()) return;
  for (int64_t x = 0; x < width_; ++x) {
    from_x_[x] += field_x_[y * width_ + x];
    from_y_[x] += field_y_[y * width_ + x];
  }
}

// Bilinear. A place beyond the rim reads the rim.
void Augmenter::sample_row(uint8_t* out) const {
  constexpr float nearly_one = 0.9999f;
  const float most_x = static_cast<float>(width_) + nearly_one, most_y = static_cast<float>(height_) + nearly_one;
  const int64_t stride = (width_ + 2) * channels_;
  for (int64_t x = 0; x < width_; ++x) {
    const float from_x = std::clamp(from_x_[x], 0.0f, most_x), from_y = std::clamp(from_y_[x], 0.0f, most_y);
    const int column = static_cast<int>(from_x), row = static_cast<int>(from_y);
    const float right = from_x - static_cast<float>(column), below = from_y - static_cast<float>(row);
    const float* const at = padded_.data() + row * stride + column * channels_;
    for (int64_t c = 0; c < channels_; ++c) {
      const float top = at[c] + right * (at[c + channels_] - at[c]);
      const float bottom = at[c + stride] + right * (at[c + stride + channels_] - at[c + stride]);
      *out++ = static_cast<uint8_t>(top + below * (bottom - top) + 0.5f);
    }
  }
}

void Augmenter::apply(std::span<const uint8_t> image, std::span<uint8_t> out, uint64_t key) {
  const auto size = static_cast<size_t>(height_ * width_ * channels_);
  if (image.size() != size || out.size() != size)
    fail(text("augmentation: images of ", size, " values were announced, but ", image.size(), " to ", out.size(),
              " given"));
  const Affine affine = draw_affine(random_key(key, 0));
  if (!field_x_.empty()) draw_field(key);
  pad(image);
  for (int64_t y = 0; y < height_; ++y) {
    map_row(affine, y);
    sample_row(out.data() + y * width_ * channels_);
  }
}

}  // namespace descent::data
