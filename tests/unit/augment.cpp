#include "descent/data/augment.h"

#include <algorithm>
#include <cmath>

#include "data_testing.h"

namespace descent::data {
namespace {

using Image = std::vector<uint8_t>;

Image disc(int64_t side, double y0, double x0, double radius) {
  Image out(static_cast<size_t>(side * side));
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x)
      out[y * side + x] = std::hypot(static_cast<double>(y) - y0, static_cast<double>(x) - x0) <= radius ? 255 : 0;
  return out;
}

Image applied(const AugmentOptions& options, const Image& image, int64_t side, uint64_t key, int64_t channels = 1) {
  Image out(image.size(), 99);
  Augmenter(options, side, side, channels).apply(image, out, key);
  return out;
}

struct Centre {
  double mass = 0, y = 0, x = 0;
};

Centre centre(const Image& image, int64_t side) {
  Centre out;
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x) {
      const double value = image[y * side + x];
      out = {out.mass + value, out.y + value * static_cast<double>(y), out.x + value * static_cast<double>(x)};
    }
  return {out.mass, out.y / out.mass, out.x / out.mass};
}

constexpr AugmentOptions everything{
    .shift = 2, .rotate = 15, .scale = 0.1, .shear = 10, .elastic_alpha = 30, .elastic_sigma = 4};

TEST(Augment, NothingLeavesTheImageAsItIs) {
  const Image image = disc(28, 10, 12, 5);
  EXPECT_FALSE(AugmentOptions{}.any());
  EXPECT_EQ(applied({}, image, 28, 1), image);
}

TEST(Augment, IsAFunctionOfTheKey) {
  const Image image = disc(28, 10, 12, 5);
  Augmenter one(everything, 28, 28), other(everything, 28, 28);
  Image a(784), b(784), c(784);
  one.apply(image, a, 1);
  other.apply(image, c, 2);  // so that it has another history
  other.apply(image, b, 1);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

TEST(Augment, ShiftsStayInTheirRange) {
  const Image image = disc(28, 13, 13, 6);
  double least = 9, most = -9;
  for (uint64_t key = 0; key < 400; ++key) {
    const Centre moved = centre(applied({.shift = 3}, image, 28, key), 28);
    for (const double shift : {moved.y - 13, moved.x - 13}) {
      least = std::min(least, shift);
      most = std::max(most, shift);
    }
  }
  EXPECT_GT(least, -3.02);
  EXPECT_LT(least, -2.8);
  EXPECT_LT(most, 3.02);
  EXPECT_GT(most, 2.8);
}

TEST(Augment, RotatesAboutTheCentre) {
  const Image image = disc(41, 20, 32, 4);  // 12 pixels right of the middle
  double most = 0;
  for (uint64_t key = 0; key < 300; ++key) {
    const Centre moved = centre(applied({.rotate = 30}, image, 41, key), 41);
    EXPECT_NEAR(std::hypot(moved.y - 20, moved.x - 20), 12, 0.15);
    most = std::max(most, std::abs(std::atan2(moved.y - 20, moved.x - 20)) * 180 / M_PI);
  }
  EXPECT_GT(most, 28.5);
  EXPECT_LT(most, 30.2);
}

TEST(Augment, ScalesTheArea) {
  const Image image = disc(41, 20, 20, 8);
  const double before = centre(image, 41).mass;
  double least = 9, most = 0;
  for (uint64_t key = 0; key < 300; ++key) {
    const Centre scaled = centre(applied({.scale = 0.25}, image, 41, key), 41);
    EXPECT_NEAR(scaled.y, 20, 0.05);
    least = std::min(least, scaled.mass / before);
    most = std::max(most, scaled.mass / before);
  }
  EXPECT_GT(least, 0.75 * 0.75 - 0.02);
  EXPECT_LT(least, 0.66);
  EXPECT_LT(most, 1.25 * 1.25 + 0.02);
  EXPECT_GT(most, 1.4);
}

TEST(Augment, ShearsSideways) {
  const Image image = disc(41, 8, 20, 4);  // 12 pixels above the middle
  double most = 0;
  for (uint64_t key = 0; key < 300; ++key) {
    const Centre moved = centre(applied({.shear = 20}, image, 41, key), 41);
    EXPECT_NEAR(moved.y, 8, 0.1);
    most = std::max(most, std::abs(moved.x - 20));
  }
  EXPECT_NEAR(most, 12 * std::tan(20 * M_PI / 180), 0.2);
}

TEST(Augment, ElasticFieldsAreSmoothAndAsStrongAsAlpha) {
  // On a ramp along x the change of a pixel is its displacement along x.
  constexpr int64_t side = 40;
  constexpr double slope = 5, sigma = 4, alpha = 34;
  Image ramp(side * side);
  for (int64_t i = 0; i < side * side; ++i) ramp[i] = static_cast<uint8_t>(slope * static_cast<double>(i % side) + 20);
  double squares = 0, steps = 0, count = 0;
  for (uint64_t key = 0; key < 200; ++key) {
    const Image out = applied({.elastic_alpha = alpha, .elastic_sigma = sigma}, ramp, side, key);
    for (int64_t y = 14; y < 26; ++y)
      for (int64_t x = 14; x < 26; ++x) {
        const double here = (out[y * side + x] - ramp[y * side + x]) / slope;
        const double below = (out[(y + 1) * side + x] - ramp[(y + 1) * side + x]) / slope;
        squares += here * here;
        steps += (here - below) * (here - below);
        ++count;
      }
  }
  // Uniform noise of variance 1/3 through a Gaussian of sum 1 keeps 1/(4 pi sigma^2) of its variance.
  const double expected = alpha * std::sqrt(1 / (3 * 4 * M_PI * sigma * sigma));
  EXPECT_NEAR(std::sqrt(squares / count), expected, 0.06 * expected);
  EXPECT_LT(std::sqrt(steps / count), 0.3 * expected) << "neighbours move together";
}

TEST(Augment, ChannelsMoveTogether) {
  const Image grey = disc(28, 12, 15, 6);
  Image colour;
  for (const uint8_t value : grey) colour.insert(colour.end(), {value, static_cast<uint8_t>(value / 3), 7});
  const Image moved_grey = applied(everything, grey, 28, 5), moved = applied(everything, colour, 28, 5, 3);
  for (size_t i = 0; i < grey.size(); ++i) {
    EXPECT_EQ(moved[3 * i], moved_grey[i]);
    EXPECT_NEAR(moved[3 * i + 1], moved_grey[i] / 3.0, 1);
  }
}

TEST(Augment, TheBackgroundShowsBeyondTheEdge) {
  const Image white(784, 255);
  const Image out = applied({.scale = 0.5, .background = 40}, white, 28, 3);
  EXPECT_GE(*std::ranges::min_element(out), 40);
  Image corner;
  for (uint64_t key = 0; key < 20; ++key)
    corner.push_back(applied({.shift = 14, .background = 40}, white, 28, key).front());
  EXPECT_EQ(std::ranges::min(corner), 40);
}

TEST(Augment, WorksOnOddSizes) {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 9}, {3, 2}, {64, 5}}) {
    Augmenter augmenter({.shift = 5, .rotate = 180, .scale = 0.9, .shear = 50, .elastic_alpha = 5000}, height, width);
    const Image image(static_cast<size_t>(height * width), 200);
    Image out(image.size());
    for (uint64_t key = 0; key < 50; ++key) augmenter.apply(image, out, key);
    EXPECT_LE(std::ranges::max(out), 200);
  }
}

TEST(Augment, NamesAmountsThatCannotBe) {
  const auto error_for = [](const AugmentOptions& options) { return error_of([&] { Augmenter(options, 28, 28); }); };
  EXPECT_EQ(error_for({.rotate = -1}), "augmentation: rotate is -1, but must be at least 0 and below 360.1");
  EXPECT_EQ(error_for({.scale = 1}), "augmentation: scale is 1, but must be at least 0 and below 1");
  EXPECT_EQ(error_for({.shift = NAN}), "augmentation: shift is nan, but must be at least 0 and below 10000");
  EXPECT_EQ(error_for({.elastic_alpha = 1, .elastic_sigma = 0}),
            "augmentation: elastic_sigma is 0, but an elastic field needs at least 0.1");
  EXPECT_EQ(error_of([] { Augmenter({}, 0, 28); }), "augmentation: an image of 0 x 28 pixels and 1 channels is empty");
  EXPECT_EQ(error_of([] { applied({}, Image(783), 28, 0); }),
            "augmentation: images of 784 values were announced, but 783 to 783 given");
}

}  // namespace
}  // namespace descent::data
