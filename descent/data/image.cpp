#include "descent/data/image.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "descent/base/text.h"

namespace descent::data {

namespace {

// A grid of numbers, `channels` at each place.
struct Grid {
  Grid(int64_t rows, int64_t columns, int64_t depth = 1)
      : height(rows), width(columns), channels(depth), values(static_cast<size_t>(rows * columns * depth)) {}
  float* at(int64_t y, int64_t x = 0) { return values.data() + (y * width + x) * channels; }
  const float* at(int64_t y, int64_t x = 0) const { return values.data() + (y * width + x) * channels; }

  int64_t height, width, channels;
  std::vector<float> values;
};

// What one new place of an axis is made of: weights of the old places from `first` on; they sum to 1.
struct Mixture {
  int64_t first = 0;
  std::vector<float> weights;
};

std::vector<Mixture> mixtures(int64_t from, int64_t to) {
  const double step = static_cast<double>(from) / static_cast<double>(to), reach = std::max(1.0, step);
  std::vector<Mixture> out(static_cast<size_t>(to));
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * step - 0.5;
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(std::ceil(centre - reach)));
    const auto last = std::min<int64_t>(from - 1, static_cast<int64_t>(std::floor(centre + reach)));
    Mixture& mixture = out[static_cast<size_t>(i)];
    mixture.first = first;
    double sum = 0;
    for (int64_t k = first; k <= last; ++k) {
      mixture.weights.push_back(
          static_cast<float>(std::max(0.0, 1 - std::abs(static_cast<double>(k) - centre) / reach)));
      sum += mixture.weights.back();
    }
    for (float& weight : mixture.weights) weight = static_cast<float>(weight / sum);
  }
  return out;
}

Grid resized_grid(const Grid& grid, int64_t height, int64_t width) {
  const std::vector<Mixture> across = mixtures(grid.width, width), down = mixtures(grid.height, height);
  Grid narrow(grid.height, width, grid.channels), out(height, width, grid.channels);
  for (int64_t y = 0; y < grid.height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (size_t k = 0; k < across[x].weights.size(); ++k)
        for (int64_t c = 0; c < grid.channels; ++c)
          narrow.at(y, x)[c] += across[x].weights[k] * grid.at(y, across[x].first + static_cast<int64_t>(k))[c];
  for (int64_t y = 0; y < height; ++y)
    for (size_t k = 0; k < down[y].weights.size(); ++k) {
      const float weight = down[y].weights[k];
      const float* from = narrow.at(down[y].first + static_cast<int64_t>(k));
      for (int64_t i = 0; i < width * grid.channels; ++i) out.at(y)[i] += weight * from[i];
    }
  return out;
}

Grid to_grid(const Array& image) {
  const Shape& shape = image.shape();
  Grid grid(shape[0], shape[1], shape.rank() == 3 ? shape[2] : 1);
  std::ranges::copy(image.as<uint8_t>(), grid.values.begin());
  return grid;
}

uint8_t to_byte(float value) { return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0f, 255.0f))); }

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

// The grey of each pixel and how opaque it is, both 0 to 255.
struct Inked {
  Grid grey, alpha;
};

Inked separate(const Array& image) {
  const Grid grid = to_grid(image);
  const bool colour = grid.channels >= 3, transparent = grid.channels % 2 == 0;
  Inked out{Grid(grid.height, grid.width), Grid(grid.height, grid.width)};
  for (int64_t y = 0; y < grid.height; ++y)
    for (int64_t x = 0; x < grid.width; ++x) {
      const float* p = grid.at(y, x);
      *out.grey.at(y, x) = colour ? 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2] : p[0];
      *out.alpha.at(y, x) = transparent ? p[grid.channels - 1] : 255;
    }
  return out;
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

// The paper of a drawing is what most of its rim shows.
float rim_median(const Grid& grid) {
  std::vector<float> rim;
  for (int64_t y = 0; y < grid.height; ++y)
    for (int64_t x = 0; x < grid.width; ++x)
      if (y == 0 || x == 0 || y == grid.height - 1 || x == grid.width - 1) rim.push_back(*grid.at(y, x));
  const auto middle = rim.begin() + static_cast<int64_t>(rim.size() / 2);
  std::ranges::nth_element(rim, middle);
  return *middle;
}

// Ink light, paper 0, the strongest ink 255.
void normalise_ink(Grid& grid, float paper, bool dark_on_light, float extreme) {
  const float range = dark_on_light ? paper - extreme : extreme - paper;
  for (float& value : grid.values) {
    const float ink = dark_on_light ? paper - value : value - paper;
    value = std::clamp(255 * ink / range, 0.0f, 255.0f);
  }
}

Grid cropped_to_ink(const Grid& grid, float least) {
  int64_t top = grid.height, bottom = -1, left = grid.width, right = -1;
  for (int64_t y = 0; y < grid.height; ++y)
    for (int64_t x = 0; x < grid.width; ++x)
      if (*grid.at(y, x) > least) {
        top = std::min(top, y);
        bottom = std::max(bottom, y);
        left = std::min(left, x);
        right = std::max(right, x);
      }
  Grid out(bottom - top + 1, right - left + 1);
  for (int64_t y = 0; y < out.height; ++y) std::copy_n(grid.at(top + y, left), out.width, out.at(y));
  return out;
}

struct Centre {
  double y = 0, x = 0;
};

Centre centre_of_mass(const Grid& grid) {
  double mass = 0, y_mass = 0, x_mass = 0;
  for (int64_t y = 0; y < grid.height; ++y)
    for (int64_t x = 0; x < grid.width; ++x) {
      const double here = *grid.at(y, x);
      mass += here;
      y_mass += here * static_cast<double>(y);
      x_mass += here * static_cast<double>(x);
    }
  return {y_mass / mass, x_mass / mass};
}

constexpr int64_t digit_size = 28, digit_box = 20;

int64_t box_side(int64_t side, int64_t longest) {
  const double scaled = static_cast<double>(side * digit_box) / static_cast<double>(longest);
  return std::clamp<int64_t>(std::llround(scaled), 1, digit_box);
}

Grid centred(const Grid& ink) {
  const Centre centre = centre_of_mass(ink);
  const auto offset = [](double mass_centre, int64_t side) {
    return std::clamp<int64_t>(std::llround(digit_size / 2 - mass_centre), 0, digit_size - side);
  };
  const int64_t top = offset(centre.y, ink.height), left = offset(centre.x, ink.width);
  Grid out(digit_size, digit_size);
  for (int64_t y = 0; y < ink.height; ++y) std::copy_n(ink.at(y), ink.width, out.at(top + y, left));
  return out;
}

}  // namespace

Array resized(const Array& image, int64_t height, int64_t width) {
  check_image(image, "resized()");
  if (height < 1 || width < 1) fail(text("an image cannot be resized to ", height, " x ", width, " pixels"));
  const Shape shape = image.shape().with(0, height).with(1, width);
  return to_image(resized_grid(to_grid(image), height, width), shape);
}

Array to_grey(const Array& image) {
  check_image(image, "to_grey()");
  const Grid grey = grey_grid(image);
  return to_image(grey, {grey.height, grey.width});
}

Array image_to_digit(const Array& image, const std::string& source) {
  check_image(image, source);
  Grid grid = grey_grid(image);
  const auto [darkest, lightest] = std::ranges::minmax(grid.values);
  if (lightest - darkest < 1)
    fail(text(source, ": the image is blank (every pixel is ", darkest, "), so it shows no digit"));
  const float paper = rim_median(grid);
  const bool dark_on_light = paper - darkest > lightest - paper;
  if (grid.height == digit_size && grid.width == digit_size) {
    if (dark_on_light)
      std::ranges::transform(grid.values, grid.values.begin(), [](float value) { return 255 - value; });
    return to_image(grid, {digit_size, digit_size});
  }
  normalise_ink(grid, paper, dark_on_light, dark_on_light ? darkest : lightest);
  constexpr float least_ink = 80;  // fainter is noise, or the rim of a blurred edge
  const Grid ink = cropped_to_ink(grid, least_ink);
  const int64_t longest = std::max(ink.height, ink.width);
  Grid boxed = resized_grid(ink, box_side(ink.height, longest), box_side(ink.width, longest));
  normalise_ink(boxed, 0, false, std::ranges::max(boxed.values));
  return to_image(centred(boxed), {digit_size, digit_size});
}

}  // namespace descent::data
