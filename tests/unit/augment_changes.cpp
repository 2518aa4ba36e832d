// Flips, moves, colours, holes and mixtures; distortions are in augment.cpp.
#include <algorithm>
#include <cmath>
#include <set>

#include "data_testing.h"
#include "descent/data/augment.h"
#include "descent/data/augment_mix.h"
#include "descent/data/augment_moves.h"
#include "descent/data/random.h"

namespace descent::data {
namespace {

using Image = std::vector<uint8_t>;

// Every value tells its place.
Image numbered(int64_t height, int64_t width, int64_t channels) {
  Image out;
  for (int64_t i = 0; i < height * width * channels; ++i) out.push_back(static_cast<uint8_t>(1 + 7 * i % 251));
  return out;
}

Image applied(const AugmentOptions& options, const Image& image, const ImagePlane& plane, uint64_t key,
              bool mirrored = false) {
  Image out(image.size(), 99);
  Augmenter(options, plane.height, plane.width, plane.channels).apply(image, out, key, mirrored);
  return out;
}

Image moved(const ImagePlane& plane, const Image& image, bool mirrored, int64_t down, int64_t right, Padding padding) {
  Image out(image.size(), 99);
  move_pixels(plane, image.data(), out.data(), mirrored, down, right, padding, 5);
  return out;
}

// --- flips and moves ---

// By the definition, a value at a time.
Image moved_slowly(const ImagePlane& plane, const Image& image, bool mirrored, int64_t down, int64_t right,
                   Padding padding) {
  const auto place = [&](int64_t i, int64_t size) -> int64_t {
    if (padding == Padding::zero) return i < 0 || i >= size ? -1 : i;
    if (padding == Padding::edge || size == 1) return std::clamp<int64_t>(i, 0, size - 1);
    while (i < 0 || i >= size) i = i < 0 ? -i : 2 * (size - 1) - i;
    return i;
  };
  Image out;
  for (int64_t y = 0; y < plane.height; ++y)
    for (int64_t x = 0; x < plane.width; ++x)
      for (int64_t c = 0; c < plane.channels; ++c) {
        const int64_t row = place(y - down, plane.height), column = place(x - right, plane.width);
        const int64_t stored = mirrored ? plane.width - 1 - column : column;
        out.push_back(row < 0 || column < 0 ? 5 : image[(row * plane.width + stored) * plane.channels + c]);
      }
  return out;
}

TEST(Moves, AreWhatTheirDefinitionSays) {
  for (const ImagePlane& plane : {ImagePlane{5, 7, 1}, {4, 6, 3}, {3, 3, 4}, {1, 1, 3}, {2, 1, 1}, {1, 9, 3}}) {
    const Image image = numbered(plane.height, plane.width, plane.channels);
    for (const bool mirrored : {false, true})
      for (const Padding padding : {Padding::zero, Padding::reflect, Padding::edge})
        for (int64_t down = -6; down <= 6; ++down)
          for (int64_t right = -9; right <= 9; ++right)
            ASSERT_EQ(moved(plane, image, mirrored, down, right, padding),
                      moved_slowly(plane, image, mirrored, down, right, padding))
                << plane.height << "x" << plane.width << "x" << plane.channels << " mirrored " << mirrored << " "
                << to_text(padding) << " " << down << "," << right;
  }
}

TEST(Moves, TranslateTakesEveryPlaceAlike) {
  const ImagePlane plane{6, 6, 1};
  Image image(36);
  image[2 * 6 + 3] = 200;
  std::vector<int> counts(25);
  constexpr int tries = 10000;
  for (uint64_t key = 0; key < tries; ++key) {
    const Image out = applied({.translate = 2}, image, plane, key);
    const auto at = std::ranges::find(out, 200) - out.begin();
    ASSERT_LT(at, 36);
    ++counts[(at / 6 - 0) * 5 + (at % 6 - 1)];
  }
  for (const int count : counts) EXPECT_NEAR(count, tries / 25, 100);
}

TEST(Moves, RandomFlipsAreHalf) {
  const ImagePlane plane{1, 2, 3};
  const Image image{1, 2, 3, 4, 5, 6}, mirror{4, 5, 6, 1, 2, 3};
  int flipped = 0;
  for (uint64_t key = 0; key < 2000; ++key) {
    const Image out = applied({.flip = Flip::random}, image, plane, key);
    ASSERT_TRUE(out == image || out == mirror);
    flipped += out == mirror;
  }
  EXPECT_NEAR(flipped, 1000, 100);
}

TEST(Moves, AlternatingFlipsFollowTheTurn) {
  const ImagePlane plane{1, 2, 1};
  for (uint64_t key = 0; key < 20; ++key) {
    EXPECT_EQ(applied({.flip = Flip::alternating}, {1, 2}, plane, key, false), (Image{1, 2}));
    EXPECT_EQ(applied({.flip = Flip::alternating}, {1, 2}, plane, key, true), (Image{2, 1}));
    EXPECT_EQ(applied({.translate = 0, .cutout = 0}, {1, 2}, plane, key, true), (Image{1, 2}));
  }
}

TEST(Moves, ComeBeforeDistortions) {
  const ImagePlane plane{12, 12, 1};
  Image image(144);
  for (int64_t y = 3; y < 9; ++y) image[y * 12 + 2] = 255;
  double left = 0, right = 0;
  for (uint64_t key = 0; key < 50; ++key) {
    const Image out = applied({.rotate = 5, .flip = Flip::alternating}, image, plane, key, true);
    for (int64_t i = 0; i < 144; ++i) (i % 12 < 6 ? left : right) += out[i];
  }
  EXPECT_GT(right, 50 * left + 1);
}

TEST(Moves, ZoomFillsTheImageWithAWindow) {
  // On ramps along both axes a pixel tells where it is from.
  constexpr int64_t side = 41;
  Image ramp(side * side * 3);
  for (int64_t i = 0; i < side * side; ++i) {
    ramp[3 * i] = static_cast<uint8_t>(6 * (i % side));
    ramp[3 * i + 1] = static_cast<uint8_t>(6 * (i / side));
  }
  double least = 9, most = 0;
  for (uint64_t key = 0; key < 300; ++key) {
    const Image out = applied({.zoom = 0.5}, ramp, {side, side, 3}, key);
    const auto at = [&](int64_t y, int64_t x, int64_t c) { return out[(y * side + x) * 3 + c] / 6.0; };
    const double across = at(20, 40, 0) - at(20, 0, 0), down = at(40, 20, 1) - at(0, 20, 1);
    const double area = across * down / 1600, shape = across / down;
    least = std::min(least, area);
    most = std::max(most, area);
    EXPECT_GT(shape, 0.73);
    EXPECT_LT(shape, 1.37);
    EXPECT_LT(std::ranges::max(out), 241);
  }
  EXPECT_GT(least, 0.43);  // windows whose longer side would not fit are cut a little
  EXPECT_LT(least, 0.56);
  EXPECT_GT(most, 0.93);
}

// --- colours ---

TEST(Colours, BrightnessIsAFactor) {
  std::set<int> seen;
  for (uint64_t key = 0; key < 200; ++key) {
    const Image out = applied({.brightness = 0.5}, {100, 50, 0}, {1, 1, 3}, key);
    EXPECT_NEAR(out[0], 2.0 * out[1], 1.01);
    EXPECT_EQ(out[2], 0);
    EXPECT_GE(out[0], 50);
    EXPECT_LE(out[0], 150);
    seen.insert(out[0]);
  }
  EXPECT_GT(seen.size(), 60u);
}

TEST(Colours, ContrastKeepsTheMean) {
  const Image image{40, 80, 120, 160};
  double least = 9, most = 0;
  for (uint64_t key = 0; key < 200; ++key) {
    const Image out = applied({.contrast = 0.5}, image, {2, 2, 1}, key);
    EXPECT_NEAR((out[0] + out[1] + out[2] + out[3]) / 4.0, 100, 1);
    const double factor = (out[3] - out[0]) / 120.0;
    least = std::min(least, factor);
    most = std::max(most, factor);
  }
  EXPECT_NEAR(least, 0.5, 0.05);
  EXPECT_NEAR(most, 1.5, 0.05);
}

double grey(const Image& pixel) { return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]; }

TEST(Colours, SaturationKeepsGreys) {
  for (uint64_t key = 0; key < 100; ++key) {
    EXPECT_EQ(applied({.saturation = 1}, {77, 77, 77}, {1, 1, 3}, key), (Image{77, 77, 77}));
    const Image colour{120, 100, 90}, out = applied({.saturation = 1}, colour, {1, 1, 3}, key);
    EXPECT_NEAR(grey(out), grey(colour), 1);
    const double factor = (out[0] - out[2]) / 30.0;
    EXPECT_GE(factor, -0.04);
    EXPECT_LE(factor, 2.04);
  }
}

TEST(Colours, HueTurnsColoursAndKeepsGreys) {
  std::set<int> red;
  for (uint64_t key = 0; key < 200; ++key) {
    EXPECT_EQ(applied({.hue = 0.5}, {77, 77, 77}, {1, 1, 3}, key), (Image{77, 77, 77}));
    const Image colour{150, 100, 90}, out = applied({.hue = 0.5}, colour, {1, 1, 3}, key);
    EXPECT_NEAR(grey(out), grey(colour), 1.5);
    red.insert(out[0] / 10);
  }
  EXPECT_GT(red.size(), 5u);
  const Image little = applied({.hue = 0.02}, {150, 100, 90}, {1, 1, 3}, 4);
  EXPECT_NEAR(little[0], 150, 9);
}

TEST(Colours, AreClampedToBytes) {
  for (uint64_t key = 0; key < 300; ++key)
    for (const uint8_t value : applied({.brightness = 1, .contrast = 1, .saturation = 1, .hue = 0.5},
                                       {255, 0, 255, 0, 255, 0}, {1, 2, 3}, key))
      EXPECT_LE(value, 255);
  EXPECT_EQ(error_of([] { Augmenter({.hue = 0.1}, 2, 2, 1); }),
            "augmentation: hue is for colour images of 3 channels, these have 1");
}

// --- holes ---

TEST(Cutout, IsASquareAnywhere) {
  const ImagePlane plane{10, 14, 3};
  const Image image(10 * 14 * 3, 200);
  std::set<int64_t> areas;
  for (uint64_t key = 0; key < 500; ++key) {
    const Image out = applied({.background = 9, .cutout = 4}, image, plane, key);
    int64_t top = 99, bottom = -1, left = 99, right = -1, area = 0;
    for (int64_t y = 0; y < 10; ++y)
      for (int64_t x = 0; x < 14; ++x) {
        if (out[(y * 14 + x) * 3] == 200) continue;
        for (int64_t c = 0; c < 3; ++c) ASSERT_EQ(out[(y * 14 + x) * 3 + c], 9);
        top = std::min(top, y), bottom = std::max(bottom, y), left = std::min(left, x), right = std::max(right, x);
        ++area;
      }
    ASSERT_EQ(area, (bottom - top + 1) * (right - left + 1));
    EXPECT_LE(bottom - top, 3);
    EXPECT_LE(right - left, 3);
    areas.insert(area);
  }
  EXPECT_TRUE(areas.contains(16));
  EXPECT_TRUE(areas.contains(4)) << "at a corner";
}

// --- mixtures ---

TEST(Mixtures, BetaHasItsMoments) {
  for (const double a : {0.2, 1.0, 4.0}) {
    double sum = 0, squares = 0;
    constexpr int tries = 20000;
    for (uint64_t key = 0; key < tries; ++key) {
      const double x = draw_beta(a, random_key(key));
      ASSERT_TRUE(x >= 0 && x <= 1);
      sum += x;
      squares += (x - 0.5) * (x - 0.5);
    }
    EXPECT_NEAR(sum / tries, 0.5, 0.01);
    EXPECT_NEAR(squares / tries, 1 / (4 * (2 * a + 1)), 0.006) << a;
  }
}

TEST(Mixtures, MixupIsAMean) {
  Mixture mixture{.mixed = true, .part = 0.25};
  Image image{100, 0, 200, 255};
  mix_images(mixture, Image{0, 100, 200, 255}, image, 2, 1);
  EXPECT_EQ(image, (Image{25, 75, 200, 255}));
  mixture.mixed = false;
  mix_images(mixture, Image{9, 9, 9, 9}, image, 2, 1);
  EXPECT_EQ(image, (Image{25, 75, 200, 255}));
}

TEST(Mixtures, CutmixPutsABoxInAndCountsItsArea) {
  const AugmentOptions options{.cutmix = 1};
  double sum = 0;
  for (uint64_t key = 0; key < 500; ++key) {
    const Mixture mixture = draw_mixture(options, 50, 8, 6, random_key(key));
    EXPECT_TRUE(mixture.mixed && mixture.box);
    EXPECT_LT(mixture.partner, 50);
    Image image(8 * 6 * 3, 1);
    mix_images(mixture, Image(8 * 6 * 3, 2), image, 6, 3);
    const auto others = std::ranges::count(image, 2);
    EXPECT_EQ(others % 3, 0);
    EXPECT_NEAR(mixture.part, 1 - static_cast<double>(others) / (8 * 6 * 3), 1e-12);
    sum += mixture.part;
  }
  EXPECT_GT(sum / 500, 0.5);  // boxes are cut at the edges
  EXPECT_LT(sum / 500, 0.75);
}

TEST(Mixtures, BothHaveHalfAndSomeImagesStay) {
  const AugmentOptions options{.mixup = 0.4, .cutmix = 1, .mix_part = 0.6};
  int boxes = 0, mixed = 0;
  for (uint64_t key = 0; key < 4000; ++key) {
    const Mixture mixture = draw_mixture(options, 10, 8, 8, random_key(key));
    mixed += mixture.mixed;
    boxes += mixture.mixed && mixture.box;
  }
  EXPECT_NEAR(mixed, 2400, 120);
  EXPECT_NEAR(boxes, 1200, 120);
}

// --- words and amounts ---

TEST(Augment, NamesWordsAndAmountsThatCannotBe) {
  EXPECT_EQ(flip_from_text("alternating"), Flip::alternating);
  EXPECT_EQ(padding_from_text("edge"), Padding::edge);
  EXPECT_EQ(error_of([] { flip_from_text("alternate"); }), "there is no flip 'alternate'; did you mean 'alternating'?");
  EXPECT_EQ(error_of([] { padding_from_text("x"); }), "there is no padding 'x'; there are zero, reflect, edge");
  const auto error_for = [](const AugmentOptions& options) { return error_of([&] { check_augmentation(options); }); };
  EXPECT_EQ(error_for({.translate = -1}), "augmentation: translate is -1, but must be at least 0 and below 10000");
  EXPECT_EQ(error_for({.hue = 0.6}), "augmentation: hue is 0.6, but must be at least 0 and at most 0.5");
  EXPECT_EQ(error_for({.brightness = 1.5}), "augmentation: brightness is 1.5, but must be at least 0 and at most 1");
  EXPECT_EQ(error_for({.zoom = 1}), "augmentation: zoom is 1, but must be at least 0 and below 1");
  check_augmentation({.brightness = 1, .hue = 0.5});
}

}  // namespace
}  // namespace descent::data
