#include "descent/data/image.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "descent/base/text.h"
#include "descent/data/file.h"
#include "descent/data/image_grid.h"
#include "descent/data/jpeg.h"
#include "descent/data/png.h"

namespace descent::data {

namespace {

// What the new places of an axis are made of: place i of weights[i * count ..] and as many old places from first[i] on;
// the weights sum to 1, and those beyond the last old place that is needed are 0.
struct Mixtures {
  std::vector<int64_t> first, counts;
  std::vector<float> weights;
  size_t stride = 0;

  const float* of(int64_t i) const { return weights.data() + static_cast<size_t>(i) * stride; }
};

Mixtures mixtures(int64_t from, int64_t to) {
  const double step = static_cast<double>(from) / static_cast<double>(to), reach = std::max(1.0, step);
  Mixtures out;
  out.stride = static_cast<size_t>(2 * std::ceil(reach)) + 1;
  out.weights.resize(static_cast<size_t>(to) * out.stride);
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * step - 0.5;
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(std::ceil(centre - reach)));
    const auto last = std::min<int64_t>(from - 1, static_cast<int64_t>(std::floor(centre + reach)));
    float* const weights = out.weights.data() + static_cast<size_t>(i) * out.stride;
    double sum = 0;
    for (int64_t k = first; k <= last; ++k) {
      weights[k - first] = static_cast<float>(std::max(0.0, 1 - std::abs(static_cast<double>(k) - centre) / reach));
      sum += weights[k - first];
    }
    for (int64_t k = first; k <= last; ++k) weights[k - first] = static_cast<float>(weights[k - first] / sum);
    out.first.push_back(first);
    out.counts.push_back(last - first + 1);
  }
  return out;
}

// One row of `channels` at each place, made narrower or wider.
template <class T>
void resize_row(const T* row, const Mixtures& across, int64_t width, int64_t channels, float* out) {
  std::fill_n(out, width * channels, 0.0f);
  for (int64_t x = 0; x < width; ++x, out += channels) {
    const float* const weights = across.of(x);
    const T* from = row + across.first[x] * channels;
    for (int64_t k = 0; k < across.counts[x]; ++k, from += channels)
      for (int64_t c = 0; c < channels; ++c) out[c] += weights[k] * static_cast<float>(from[c]);
  }
}

// From rows of T [from_height, from_width, channels].
template <class T>
Grid resized_values(const T* values, int64_t from_height, int64_t from_width, int64_t channels, int64_t height,
                    int64_t width) {
  const Mixtures across = mixtures(from_width, width), down = mixtures(from_height, height);
  Grid narrow(from_height, width, channels), out(height, width, channels);
  for (int64_t y = 0; y < from_height; ++y)
    resize_row(values + y * from_width * channels, across, width, channels, narrow.at(y));
  for (int64_t y = 0; y < height; ++y)
    for (int64_t k = 0; k < down.counts[y]; ++k) {
      const float weight = down.of(y)[k];
      const float* from = narrow.at(down.first[y] + k);
      for (int64_t i = 0; i < width * channels; ++i) out.at(y)[i] += weight * from[i];
    }
  return out;
}

int64_t channels_of(const Array& image) { return image.shape().rank() == 3 ? image.shape()[2] : 1; }

uint8_t to_byte(float value) { return static_cast<uint8_t>(std::clamp(value, 0.0f, 255.0f) + 0.5f); }

// The grey of each pixel and how opaque it is, both 0 to 255.
struct Inked {
  Grid grey, alpha;
};

Inked separate(const Array& image) {
  const int64_t height = image.shape()[0], width = image.shape()[1], channels = channels_of(image);
  const bool colour = channels >= 3, transparent = channels % 2 == 0;
  Inked out{Grid(height, width), Grid(height, width)};
  const uint8_t* p = image.as<uint8_t>().data();
  for (size_t i = 0; i < out.grey.values.size(); ++i, p += channels) {
    const auto red = static_cast<float>(p[0]);
    out.grey.values[i] =
        colour ? 0.299f * red + 0.587f * static_cast<float>(p[1]) + 0.114f * static_cast<float>(p[2]) : red;
    out.alpha.values[i] = transparent ? static_cast<float>(p[channels - 1]) : 255.0f;
  }
  return out;
}

}  // namespace

Grid resized_grid(const Grid& grid, int64_t height, int64_t width) {
  return resized_values(grid.values.data(), grid.height, grid.width, grid.channels, height, width);
}

Grid grey_grid(const Array& image) {
  Inked parts = separate(image);
  double ink = 0, opaque = 0;
  for (size_t i = 0; i < parts.grey.values.size(); ++i) {
    ink += double{parts.grey.values[i]} * parts.alpha.values[i];
    opaque += parts.alpha.values[i];
  }
  const float paper = ink > 127.5 * opaque ? 0 : 255;  // light ink shows on black, dark ink on white
  for (size_t i = 0; i < parts.grey.values.size(); ++i) {
    const float alpha = parts.alpha.values[i] / 255;
    parts.grey.values[i] = alpha * parts.grey.values[i] + (1 - alpha) * paper;
  }
  return std::move(parts.grey);
}

Array to_image(const Grid& grid, const Shape& shape) {
  Array out(DType::u8, shape);
  std::ranges::transform(grid.values, out.as<uint8_t>().begin(), to_byte);
  return out;
}

void check_image(const Array& image, const std::string& source) {
  const Shape& shape = image.shape();
  const bool sizes = shape.rank() == 2 || (shape.rank() == 3 && shape[2] >= 1 && shape[2] <= 4);
  if (!image || image.dtype() != DType::u8 || !sizes || image.elements() == 0)
    fail(text(source, ": an image is u8[H,W] or u8[H,W,C] with 1 to 4 channels, not ", image.type()));
}

// --- files ---

Array parse_image(std::span<const std::byte> bytes, const std::string& name, int64_t enough) {
  constexpr std::string_view png{"\x89PNG"}, jpeg{"\xff\xd8\xff"};
  const auto begins_with = [&](std::string_view start) {
    return bytes.size() >= start.size() && std::memcmp(bytes.data(), start.data(), start.size()) == 0;
  };
  if (begins_with(png)) return parse_png(bytes, name);
  if (begins_with(jpeg)) return parse_jpeg(bytes, name, {.enough = enough});
  if (bytes.empty()) fail(text(name, ": the file is empty, and no image"));
  fail(text(name, ": neither a PNG nor a JPEG image, by its first bytes"));
}

Array read_image(const std::string& path, int64_t enough) {
  return parse_image(read_to_array(path).bytes(), path, enough);
}

// --- turned and cropped ---

Array upright(const Array& image, int orientation) {
  check_image(image, "upright()");
  if (orientation <= 1 || orientation > 8) return image;
  const int64_t height = image.shape()[0], width = image.shape()[1], channels = channels_of(image);
  const bool transposed = orientation >= 5;  // 5 to 8: rows of the upright image are columns of the stored one
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Array out(DType::u8, transposed ? image.shape().with(0, width).with(1, height) : image.shape());
  const uint8_t* const from = image.as<uint8_t>().data();
  uint8_t* to = out.as<uint8_t>().data();
  for (int64_t y = 0; y < out.shape()[0]; ++y)
    for (int64_t x = 0; x < out.shape()[1]; ++x, to += channels) {
      const int64_t row = transposed ? x : y, column = transposed ? y : x;
      const int64_t stored = (from_below ? height - 1 - row : row) * width + (from_right ? width - 1 - column : column);
      std::copy_n(from + stored * channels, channels, to);
    }
  return out;
}

Array centre_crop(const Array& image, int64_t height, int64_t width) {
  check_image(image, "centre_crop()");
  const Shape& shape = image.shape();
  if (height < 1 || width < 1 || height > shape[0] || width > shape[1])
    fail(text("an image of ", shape[0], " x ", shape[1], " pixels has no middle of ", height, " x ", width));
  if (height == shape[0] && width == shape[1]) return image;
  const int64_t channels = channels_of(image), top = (shape[0] - height) / 2, left = (shape[1] - width) / 2;
  Array out(DType::u8, shape.with(0, height).with(1, width));
  const uint8_t* const from = image.as<uint8_t>().data();
  for (int64_t y = 0; y < height; ++y)
    std::copy_n(from + ((top + y) * shape[1] + left) * channels, width * channels,
                out.as<uint8_t>().data() + y * width * channels);
  return out;
}

Array resized(const Array& image, int64_t height, int64_t width) {
  check_image(image, "resized()");
  if (height < 1 || width < 1) fail(text("an image cannot be resized to ", height, " x ", width, " pixels"));
  const Shape& from = image.shape();
  if (height == from[0] && width == from[1]) return image;
  return to_image(resized_values(image.as<uint8_t>().data(), from[0], from[1], channels_of(image), height, width),
                  from.with(0, height).with(1, width));
}

// --- colours ---

Array to_grey(const Array& image) {
  check_image(image, "to_grey()");
  if (image.shape().rank() == 2) return image;
  const Grid grey = grey_grid(image);
  return to_image(grey, {grey.height, grey.width});
}

Array to_colour(const Array& image) {
  check_image(image, "to_colour()");
  const int64_t channels = channels_of(image);
  if (channels == 3) return image;
  Array out(DType::u8, {image.shape()[0], image.shape()[1], 3});
  const uint8_t* from = image.as<uint8_t>().data();
  for (uint8_t *to = out.as<uint8_t>().data(), *end = to + out.elements(); to != end; to += 3, from += channels)
    for (int c = 0; c < 3; ++c) {
      const int value = from[channels >= 3 ? c : 0], alpha = channels % 2 == 0 ? from[channels - 1] : 255;
      to[c] = static_cast<uint8_t>((value * alpha + 255 * (255 - alpha) + 127) / 255);
    }
  return out;
}

// --- to a size ---

namespace {

constexpr std::array<std::string_view, 3> fit_words{"stretch", "crop", "pad"};

int64_t scaled(int64_t side, int64_t to, int64_t from) {
  return std::max<int64_t>(1, (2 * side * to + from) / (2 * from));
}

// The middle of a canvas.
Array padded(const Array& image, int64_t height, int64_t width) {
  const Shape& shape = image.shape();
  Array out(DType::u8, shape.with(0, height).with(1, width));
  const int64_t channels = channels_of(image), top = (height - shape[0]) / 2, left = (width - shape[1]) / 2;
  for (int64_t y = 0; y < shape[0]; ++y)
    std::copy_n(image.as<uint8_t>().data() + y * shape[1] * channels, shape[1] * channels,
                out.as<uint8_t>().data() + ((top + y) * width + left) * channels);
  return out;
}

Array keeping_shape(const Array& image, const ImageSize& size) {
  const int64_t height = image.shape()[0], width = image.shape()[1];
  const bool wider = width * size.height > height * size.width;  // than what is wanted
  if (wider == (size.fit == FitMode::crop)) {
    // The heights meet.
    const int64_t across = scaled(width, size.height, height);
    return resized(image, size.height,
                   size.fit == FitMode::crop ? std::max(across, size.width) : std::min(across, size.width));
  }
  const int64_t down = scaled(height, size.width, width);
  return resized(image, size.fit == FitMode::crop ? std::max(down, size.height) : std::min(down, size.height),
                 size.width);
}

}  // namespace

std::string_view to_text(FitMode mode) { return fit_words[static_cast<size_t>(mode)]; }

FitMode fit_mode_from_text(std::string_view word) {
  const auto at = std::ranges::find(fit_words, word);
  if (at != fit_words.end()) return static_cast<FitMode>(at - fit_words.begin());
  const std::vector<std::string> known(fit_words.begin(), fit_words.end());
  const std::string near = did_you_mean(word, known);
  throw UsageError(
      text("an image cannot be fitted by '", word, "'", near.empty() ? "; it can by stretch, crop or pad" : near));
}

Shape ImageSize::shape() const { return channels == 1 ? Shape{height, width} : Shape{height, width, channels}; }

// Twice the size, so that the last step down still has four pixels for one.
int64_t ImageSize::enough() const { return 2 * std::max(height, width); }

Array fitted(const Array& image, const ImageSize& size) {
  if (size.channels != 1 && size.channels != 3)
    fail(text("images are fitted to 1 channel (grey) or 3 (colour), not ", size.channels));
  const Array base = size.channels == 1 ? to_grey(image) : to_colour(image);
  if (size.height < 1 || size.width < 1) fail(text("an image cannot be fitted to ", size.height, " x ", size.width));
  if (size.fit == FitMode::stretch) return resized(base, size.height, size.width);
  const Array kept = keeping_shape(base, size);
  return size.fit == FitMode::crop ? centre_crop(kept, size.height, size.width) : padded(kept, size.height, size.width);
}

}  // namespace descent::data
