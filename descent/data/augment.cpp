#include "descent/data/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>
#include <string>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/data/augment_moves.h"
#include "descent/data/random.h"

namespace descent::data {

namespace {

// What the keys of an image's several draws are made with. 3 is the batches' own transform, 8 their mixtures.
enum KeyOf : uint64_t {
  affine_key = 0,
  field_x_key = 1,
  field_y_key = 2,
  zoom_key = 4,
  move_key = 5,
  colour_key = 6,
  hole_key = 7
};

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

template <class Word, size_t N>
Word from_word(const std::array<std::string_view, N>& words, std::string_view word, std::string_view what) {
  const auto at = std::ranges::find(words, word);
  if (at != words.end()) return static_cast<Word>(at - words.begin());
  const std::vector<std::string> known(words.begin(), words.end());
  const std::string near = did_you_mean(word, known);
  throw UsageError(
      text("there is no ", what, " '", word, "'", near.empty() ? text("; there are ", join(known, ", ")) : near));
}

constexpr std::array<std::string_view, 3> flip_words{"none", "random", "alternating"};
constexpr std::array<std::string_view, 3> padding_words{"zero", "reflect", "edge"};

}  // namespace

std::string_view to_text(Flip flip) { return flip_words[static_cast<size_t>(flip)]; }
std::string_view to_text(Padding padding) { return padding_words[static_cast<size_t>(padding)]; }
Flip flip_from_text(std::string_view word) { return from_word<Flip>(flip_words, word, "flip"); }
Padding padding_from_text(std::string_view word) { return from_word<Padding>(padding_words, word, "padding"); }

void check_augmentation(const AugmentOptions& options) {
  struct Row {
    std::string_view name;
    double value, bound;
    bool closed = false;  // the bound itself may be
  };
  const std::array<Row, 16> rows{{{"shift", options.shift, 1e4},
                                  {"rotate", options.rotate, 360.1},
                                  {"scale", options.scale, 1},
                                  {"shear", options.shear, 60},
                                  {"elastic_alpha", options.elastic_alpha, 1e6},
                                  {"elastic_sigma", options.elastic_sigma, 1e3},
                                  {"translate", static_cast<double>(options.translate), 1e4},
                                  {"zoom", options.zoom, 1},
                                  {"brightness", options.brightness, 1, true},
                                  {"contrast", options.contrast, 1, true},
                                  {"saturation", options.saturation, 1, true},
                                  {"hue", options.hue, 0.5, true},
                                  {"cutout", static_cast<double>(options.cutout), 1e4},
                                  {"mixup", options.mixup, 1e3},
                                  {"cutmix", options.cutmix, 1e3},
                                  {"mix_part", options.mix_part, 1, true}}};
  for (const Row& row : rows)
    if (!(row.value >= 0) || !(row.closed ? row.value <= row.bound : row.value < row.bound))
      fail(text("augmentation: ", row.name, " is ", row.value, ", but must be at least 0 and ",
                row.closed ? "at most " : "below ", row.bound));
  if (options.elastic_alpha > 0 && options.elastic_sigma < 0.1)
    fail(text("augmentation: elastic_sigma is ", options.elastic_sigma, ", but an elastic field needs at least 0.1"));
}

Augmenter::Augmenter(const AugmentOptions& options, int64_t height, int64_t width, int64_t channels)
    : options_(options), height_(height), width_(width), channels_(channels) {
  check_augmentation(options);
  if (height < 1 || width < 1 || channels < 1)
    fail(text("augmentation: an image of ", height, " x ", width, " pixels and ", channels, " channels is empty"));
  for (const auto& [name, amount] : {std::pair{"saturation", options.saturation}, {"hue", options.hue}})
    if (amount > 0 && channels != 3)
      fail(text("augmentation: ", name, " is for colour images of 3 channels, these have ", channels));
  if (options.moves() && options.resamples()) moved_.resize(static_cast<size_t>(height * width * channels));
  if (!options.resamples()) return;
  if (options.elastic_alpha > 0) {
    kernel_ = gaussian(options.elastic_sigma);
    field_ = FieldSize(height, width, kernel_.size());
    field_x_.resize(field_.elements());
    field_y_.resize(field_.elements());
    smoothing_.resize(field_.scratch());
  }
  padded_.assign(static_cast<size_t>((height + 2) * (width + 2) * channels), options.background);
  from_x_.resize(static_cast<size_t>(width));
  from_y_.resize(static_cast<size_t>(width));
}

Augmenter::Window Augmenter::draw_window(uint64_t key) const {
  if (options_.zoom <= 0) return {};
  RandomStream random(random_key(key, zoom_key));
  const double area = 1 - options_.zoom * random.uniform(), shape = std::exp(random.symmetric(std::log(4.0 / 3)));
  Window out{std::min(1.0, std::sqrt(area * shape)), std::min(1.0, std::sqrt(area / shape)), 0, 0};
  out.x = random.symmetric(0.5 * (1 - out.width) * static_cast<double>(width_));
  out.y = random.symmetric(0.5 * (1 - out.height) * static_cast<double>(height_));
  return out;
}

Augmenter::Affine Augmenter::draw_affine(uint64_t key) const {
  RandomStream random(random_key(key, affine_key));
  const auto radians = [](double degrees) { return degrees * std::numbers::pi / 180; };
  const double angle = radians(random.symmetric(options_.rotate)),
               lean = std::tan(radians(random.symmetric(options_.shear)));
  const double scale_x = 1 + random.symmetric(options_.scale), scale_y = 1 + random.symmetric(options_.scale);
  const double shift_x = random.symmetric(options_.shift), shift_y = random.symmetric(options_.shift);
  const Window window = draw_window(key);
  // The image is scaled, sheared, rotated about its centre and shifted, and the window taken of that; places of the
  // result are mapped by the inverse.
  const double c = std::cos(angle), s = std::sin(angle);
  const double xx = (c + lean * s) / scale_x, xy = (s - lean * c) / scale_x;
  const double yx = -s / scale_y, yy = c / scale_y;
  const double middle_x = 0.5 * static_cast<double>(width_ - 1), middle_y = 0.5 * static_cast<double>(height_ - 1);
  const double from_x = middle_x * window.width + shift_x - window.x;
  const double from_y = middle_y * window.height + shift_y - window.y;
  const auto f = [](double value) { return static_cast<float>(value); };
  return {f(xx * window.width), f(xy * window.height), f(middle_x - xx * from_x - xy * from_y),
          f(yx * window.width), f(yy * window.height), f(middle_y - yx * from_x - yy * from_y)};
}

void Augmenter::draw_field(uint64_t key) {
  const auto alpha = static_cast<float>(options_.elastic_alpha);
  fill_uniform(field_x_, alpha, random_key(key, field_x_key));
  fill_uniform(field_y_, alpha, random_key(key, field_y_key));
  smooth_field(field_, kernel_, field_x_, smoothing_);
  smooth_field(field_, kernel_, field_y_, smoothing_);
}

void Augmenter::pad(const uint8_t* image) {
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
  const float* const field_x = field_x_.data() + y * field_.stride;
  const float* const field_y = field_y_.data() + y * field_.stride;
  for (int64_t x = 0; x < width_; ++x) {
    from_x_[x] += field_x[x];
    from_y_[x] += field_y[x];
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

void Augmenter::move(const uint8_t* image, uint8_t* out, uint64_t key, bool mirrored) const {
  RandomStream random(random_key(key, move_key));
  const auto reach = static_cast<uint64_t>(2 * options_.translate + 1);
  const int64_t down = static_cast<int64_t>(random.below(reach)) - options_.translate;
  const int64_t right = static_cast<int64_t>(random.below(reach)) - options_.translate;
  const bool turned =
      options_.flip == Flip::random ? (random.bits() >> 63) != 0 : options_.flip == Flip::alternating && mirrored;
  move_pixels({height_, width_, channels_}, image, out, turned, down, right, options_.padding, options_.background);
}

void Augmenter::resample(const uint8_t* image, uint8_t* out, uint64_t key) {
  const Affine affine = draw_affine(key);
  if (!field_x_.empty()) draw_field(key);
  pad(image);
  for (int64_t y = 0; y < height_; ++y) {
    map_row(affine, y);
    sample_row(out + y * width_ * channels_);
  }
}

void Augmenter::cut_hole(uint8_t* out, uint64_t key) const {
  RandomStream random(random_key(key, hole_key));
  const auto edges = [&](int64_t size) {
    const int64_t begin = static_cast<int64_t>(random.below(static_cast<uint64_t>(size))) - options_.cutout / 2;
    return std::pair{std::max<int64_t>(0, begin), std::min(size, begin + options_.cutout)};
  };
  const auto [top, bottom] = edges(height_);
  const auto [left, right] = edges(width_);
  for (int64_t y = top; y < bottom; ++y)
    std::memset(out + (y * width_ + left) * channels_, options_.background,
                static_cast<size_t>((right - left) * channels_));
}

void Augmenter::apply(std::span<const uint8_t> image, std::span<uint8_t> out, uint64_t key, bool mirrored) {
  const auto size = static_cast<size_t>(height_ * width_ * channels_);
  if (image.size() != size || out.size() != size)
    fail(text("augmentation: images of ", size, " values were announced, but ", image.size(), " to ", out.size(),
              " given"));
  const bool moves = options_.moves(), resamples = options_.resamples();
  if (moves) move(image.data(), resamples ? moved_.data() : out.data(), key, mirrored);
  if (resamples)
    resample(moves ? moved_.data() : image.data(), out.data(), key);
  else if (!moves)
    std::memcpy(out.data(), image.data(), size);
  if (options_.recolours())
    change_colours({height_, width_, channels_}, out.data(), options_, random_key(key, colour_key));
  if (options_.cutout > 0) cut_hole(out.data(), key);
}

}  // namespace descent::data
