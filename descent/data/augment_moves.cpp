#include "descent/data/augment_moves.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>

#include "descent/data/random.h"

namespace descent::data {

namespace {

// The place of an axis of `size` that stands for place i, or -1: the background.
int64_t source_place(int64_t i, int64_t size, Padding padding) {
  if (i >= 0 && i < size) return i;
  if (padding == Padding::zero) return -1;
  if (padding == Padding::edge || size == 1) return i < 0 ? 0 : size - 1;
  const int64_t period = 2 * (size - 1), within = ((i % period) + period) % period;
  return within < size ? within : period - within;
}

// Four bytes at a time, the fourth overwritten by the next pixel.
void copy_mirrored_rgb(const uint8_t* from, uint8_t* to, int64_t pixels) {
  from += 3 * (pixels - 1);
  for (int64_t x = 0; x + 1 < pixels; ++x, from -= 3, to += 3) {
    uint32_t pixel = 0;
    std::memcpy(&pixel, x == 0 ? from - 1 : from, 4);
    if (x == 0) pixel >>= 8;  // the bytes behind the last pixel are not ours to read
    std::memcpy(to, &pixel, 4);
  }
  if (pixels > 0) std::memcpy(to, from, 3);
}

void copy_mirrored(const uint8_t* from, uint8_t* to, int64_t pixels, int64_t channels) {
  if (channels == 1) {
    std::reverse_copy(from, from + pixels, to);
  } else if (channels == 3) {
    copy_mirrored_rgb(from, to, pixels);
  } else {
    for (int64_t x = pixels - 1; x >= 0; --x, to += channels) std::memcpy(to, from + x * channels, channels);
  }
}

// One row: what lies within the image at once, the rim a pixel at a time.
void move_row(const ImagePlane& plane, const uint8_t* row, uint8_t* out, bool mirrored, int64_t right, Padding padding,
              uint8_t background) {
  const int64_t width = plane.width, channels = plane.channels;
  const int64_t begin = std::clamp<int64_t>(right, 0, width), end = std::clamp<int64_t>(width + right, 0, width);
  const auto border = [&](int64_t x) {
    const int64_t place = source_place(x - right, width, padding);
    if (place < 0)
      std::memset(out + x * channels, background, channels);
    else
      std::memcpy(out + x * channels, row + (mirrored ? width - 1 - place : place) * channels, channels);
  };
  for (int64_t x = 0; x < begin; ++x) border(x);
  if (end > begin) {
    const int64_t first = begin - right, count = end - begin;
    if (mirrored)
      copy_mirrored(row + (width - first - count) * channels, out + begin * channels, count, channels);
    else
      std::memcpy(out + begin * channels, row + first * channels, count * channels);
  }
  for (int64_t x = std::max(begin, end); x < width; ++x) border(x);
}

// --- colours ---

using Matrix = std::array<std::array<double, 3>, 3>;

constexpr std::array<double, 3> grey_weights{0.299, 0.587, 0.114};

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix out{};
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j)
      for (size_t k = 0; k < 3; ++k) out[i][j] += a[i][k] * b[k][j];
  return out;
}

// Each pixel's difference to its grey, times a factor.
Matrix saturation_by(double factor) {
  Matrix out{};
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j) out[i][j] = (1 - factor) * grey_weights[j] + (i == j ? factor : 0);
  return out;
}

// The chroma plane turned by an angle: from RGB to YIQ, a rotation of I and Q, and back.
Matrix hue_by(double radians) {
  static constexpr Matrix to_yiq{
      {{0.299, 0.587, 0.114}, {0.595716, -0.274453, -0.321263}, {0.211456, -0.522591, 0.311135}}};
  static constexpr Matrix from_yiq{{{1, 0.956296, 0.621024}, {1, -0.272122, -0.647381}, {1, -1.106989, 1.704615}}};
  const double c = std::cos(radians), s = std::sin(radians);
  return product(from_yiq, product({{{1, 0, 0}, {0, c, -s}, {0, s, c}}}, to_yiq));
}

double mean_grey(const uint8_t* image, int64_t pixels, int64_t channels) {
  std::array<uint64_t, 3> sums{};
  const size_t shown = channels == 3 ? 3 : 1;
  for (int64_t i = 0; i < pixels; ++i, image += channels)
    for (size_t c = 0; c < shown; ++c) sums[c] += image[c];
  const auto count = static_cast<double>(pixels);
  if (shown == 1) return static_cast<double>(sums[0]) / count;
  double out = 0;
  for (size_t c = 0; c < 3; ++c) out += grey_weights[c] * static_cast<double>(sums[c]) / count;
  return out;
}

constexpr int fixed_bits = 14;

int fixed(double value) { return static_cast<int>(std::lround(value * (1 << fixed_bits))); }

uint8_t from_fixed(int value) { return static_cast<uint8_t>(std::clamp(value >> fixed_bits, 0, 255)); }

void map_grey(uint8_t* image, int64_t count, double factor, double offset) {
  const int scale = fixed(factor), add = fixed(offset + 0.5);
  for (int64_t i = 0; i < count; ++i) image[i] = from_fixed(scale * image[i] + add);
}

void map_colours(uint8_t* image, int64_t pixels, const Matrix& matrix, double offset) {
  std::array<std::array<int, 3>, 3> m{};
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j) m[i][j] = fixed(matrix[i][j]);
  const int add = fixed(offset + 0.5);
  for (int64_t i = 0; i < pixels; ++i, image += 3) {
    const int r = image[0], g = image[1], b = image[2];
    for (size_t c = 0; c < 3; ++c) image[c] = from_fixed(m[c][0] * r + m[c][1] * g + m[c][2] * b + add);
  }
}

}  // namespace

void move_pixels(const ImagePlane& plane, const uint8_t* image, uint8_t* out, bool mirrored, int64_t down,
                 int64_t right, Padding padding, uint8_t background) {
  const int64_t stride = plane.width * plane.channels;
  for (int64_t y = 0; y < plane.height; ++y, out += stride) {
    const int64_t place = source_place(y - down, plane.height, padding);
    if (place < 0)
      std::memset(out, background, stride);
    else
      move_row(plane, image + place * stride, out, mirrored, right, padding, background);
  }
}

void change_colours(const ImagePlane& plane, uint8_t* image, const AugmentOptions& options, uint64_t key) {
  RandomStream random(key);
  const double bright = 1 + random.symmetric(options.brightness), contrast = 1 + random.symmetric(options.contrast);
  const double saturation = 1 + random.symmetric(options.saturation), turn = random.symmetric(options.hue);
  const int64_t pixels = plane.height * plane.width;
  const double mean = options.contrast > 0 ? bright * mean_grey(image, pixels, plane.channels) : 0;
  const double factor = bright * contrast, offset = (1 - contrast) * mean;
  if (options.saturation <= 0 && options.hue <= 0) return map_grey(image, pixels * plane.channels, factor, offset);
  // Greys stay what they are under both, so the offset can be added in the end.
  Matrix matrix = product(hue_by(2 * std::numbers::pi * turn), saturation_by(saturation));
  for (auto& row : matrix)
    for (double& value : row) value *= factor;
  map_colours(image, pixels, matrix, offset);
}

}  // namespace descent::data
