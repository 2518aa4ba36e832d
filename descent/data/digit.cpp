// A drawn digit, prepared as MNIST's were.
#include <algorithm>
#include <cmath>

#include "descent/base/text.h"
#include "descent/data/image.h"
#include "descent/data/image_grid.h"

namespace descent::data {

namespace {

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
