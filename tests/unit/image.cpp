#include "descent/data/image.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "data_testing.h"

namespace descent::data {
namespace {

Array image_of(Shape shape, std::initializer_list<int> values) {
  Array out(DType::u8, shape);
  std::ranges::transform(values, out.as<uint8_t>().begin(), [](int v) { return static_cast<uint8_t>(v); });
  return out;
}

// Ink in the rectangle [top,bottom) x [left,right) of a plain page.
Array page(int64_t height, int64_t width, int64_t top, int64_t bottom, int64_t left, int64_t right, int ink,
           int paper) {
  Array out(DType::u8, {height, width});
  const std::span<uint8_t> pixels = out.as<uint8_t>();
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      pixels[y * width + x] = static_cast<uint8_t>(y >= top && y < bottom && x >= left && x < right ? ink : paper);
  return out;
}

struct Extent {
  int64_t top = 28, bottom = -1, left = 28, right = -1;
  double y = 0, x = 0;  // centre of mass
};

Extent extent(const Array& digit) {
  Extent out;
  double mass = 0;
  for (int64_t y = 0; y < 28; ++y)
    for (int64_t x = 0; x < 28; ++x) {
      const double value = digit.at(28 * y + x);
      if (value == 0) continue;
      out = {std::min(out.top, y),
             std::max(out.bottom, y),
             std::min(out.left, x),
             std::max(out.right, x),
             out.y + value * static_cast<double>(y),
             out.x + value * static_cast<double>(x)};
      mass += value;
    }
  out.y /= mass;
  out.x /= mass;
  return out;
}

TEST(Resized, KeepsPlainImagesPlainAndTheirMean) {
  const Array plain = page(5, 9, 0, 5, 0, 9, 77, 0);
  for (const auto& [height, width] : {std::pair{13, 4}, {2, 30}, {1, 1}}) {
    const Array out = resized(plain, height, width);
    EXPECT_EQ(out.shape(), (Shape{height, width}));
    for (const uint8_t value : out.as<uint8_t>()) EXPECT_EQ(value, 77);
  }
}

TEST(Resized, AveragesWhenItShrinks) {
  Array stripes(DType::u8, {1, 64});
  for (int64_t x = 0; x < 64; x += 2) stripes.as<uint8_t>()[x] = 200;
  const Array out = resized(stripes, 1, 8);
  for (const uint8_t value : out.as<uint8_t>()) EXPECT_NEAR(value, 100, 7);  // no stripe survives as an alias
}

TEST(Resized, InterpolatesWhenItGrowsAndKeepsChannels) {
  const Array out = resized(image_of({1, 2, 2}, {0, 10, 100, 30}), 1, 4);
  EXPECT_EQ(out.shape(), (Shape{1, 4, 2}));
  EXPECT_EQ(out.to_doubles(), (std::vector<double>{0, 10, 25, 15, 75, 25, 100, 30}));
}

TEST(Resized, SameSizeIsTheSameImage) {
  const Array image = image_of({2, 2}, {1, 2, 3, 250});
  EXPECT_EQ(bytes_of(resized(image, 2, 2)), bytes_of(image));
}

TEST(Resized, NamesWhatItCannotDo) {
  EXPECT_EQ(error_of([] { resized(Array(DType::u8, {2, 2}), 0, 3); }), "an image cannot be resized to 0 x 3 pixels");
  EXPECT_EQ(error_of([] {
              resized(Array(DType::f32, {2, 2}), 1, 3);
            }),
            "resized(): an image is u8[H,W] or u8[H,W,C] with 1 to 4 channels, not f32[2,2]");
}

TEST(ToGrey, WeighsColours) {
  EXPECT_EQ(to_grey(image_of({1, 3, 3}, {255, 0, 0, 0, 255, 0, 0, 0, 255})).to_doubles(),
            (std::vector<double>{76, 150, 29}));
}

TEST(ToGrey, ShowsInkOnTransparentPaper) {
  EXPECT_EQ(to_grey(image_of({1, 2, 2}, {0, 255, 0, 0})).to_doubles(), (std::vector<double>{0, 255}));
  EXPECT_EQ(to_grey(image_of({1, 2, 2}, {255, 255, 255, 0})).to_doubles(), (std::vector<double>{255, 0}));
}

TEST(ToColour, SpreadsGreyAndShowsWhiteThroughHoles) {
  EXPECT_EQ(to_colour(image_of({1, 2}, {3, 250})).to_doubles(), (std::vector<double>{3, 3, 3, 250, 250, 250}));
  EXPECT_EQ(to_colour(image_of({1, 2, 2}, {0, 255, 7, 0})).to_doubles(), (std::vector<double>{0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(to_colour(image_of({1, 1, 4}, {200, 100, 0, 51})).to_doubles(), (std::vector<double>{244, 224, 204}));
  const Array colour = image_of({1, 1, 3}, {1, 2, 3});
  EXPECT_EQ(bytes_of(to_colour(colour)), bytes_of(colour));
}

TEST(CentreCrop, TakesTheMiddle) {
  const Array image = image_of({3, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  EXPECT_EQ(centre_crop(image, 1, 2).to_doubles(), (std::vector<double>{6, 7}));
  EXPECT_EQ(centre_crop(image, 3, 3).to_doubles(), (std::vector<double>{1, 2, 3, 5, 6, 7, 9, 10, 11}));
  EXPECT_EQ(error_of([&] { centre_crop(image, 4, 1); }), "an image of 3 x 4 pixels has no middle of 4 x 1");
}

TEST(Fitted, StretchesCropsOrPads) {
  // Three bands across: dark, middle, light.
  Array bands(DType::u8, {12, 36});
  for (int64_t i = 0; i < 12 * 36; ++i) bands.as<uint8_t>()[i] = static_cast<uint8_t>(50 + 80 * (i % 36 / 12));
  const Array stretched = fitted(bands, {6, 6, 1, FitMode::stretch});
  EXPECT_EQ(stretched.shape(), (Shape{6, 6}));
  EXPECT_EQ(stretched.at(0), 50);
  EXPECT_EQ(stretched.at(5), 210);
  const Array cropped = fitted(bands, {6, 6, 3, FitMode::crop});
  for (const uint8_t value : cropped.as<uint8_t>()) EXPECT_NEAR(value, 130, 25);
  const Array padded = fitted(bands, {6, 6, 1, FitMode::pad});
  for (int64_t y = 0; y < 6; ++y) EXPECT_EQ(padded.at(6 * y) == 0, y < 2 || y > 3) << y;
  for (const FitMode mode : {FitMode::stretch, FitMode::crop, FitMode::pad})
    for (const auto& [height, width] : {std::pair{1, 50}, {50, 1}, {7, 7}, {1, 1}, {13, 29}})
      for (const int64_t channels : {1, 3})
        for (const auto& [to_height, to_width] : {std::pair{8, 8}, {5, 11}, {1, 1}, {64, 3}}) {
          const Array out =
              fitted(page(height, width, 0, height, 0, width, 90, 0), {to_height, to_width, channels, mode});
          EXPECT_EQ(out.shape(), (ImageSize{to_height, to_width, channels}.shape()));
          const auto values = out.as<uint8_t>();
          EXPECT_EQ(std::ranges::max(values), 90);
          if (mode != FitMode::pad) {
            EXPECT_EQ(std::ranges::min(values), 90);
          }
        }
  EXPECT_EQ(fit_mode_from_text("pad"), FitMode::pad);
  EXPECT_EQ(error_of([] { fit_mode_from_text("crops"); }),
            "an image cannot be fitted by 'crops'; did you mean 'crop'?");
}

TEST(ParseImage, TellsKindsByTheirFirstBytes) {
  EXPECT_EQ(error_of([] { parse_image(bytes_of("GIF89a"), "x.png"); }),
            "x.png: neither a PNG nor a JPEG image, by its first bytes");
  EXPECT_EQ(error_of([] { parse_image({}, "x.png"); }), "x.png: the file is empty, and no image");
  EXPECT_TRUE(error_of([] {
                parse_image(bytes_of({0xff, 0xd8, 0xff, 0xe0}), "x.png");
              }).starts_with("x.png: truncated"));
  EXPECT_TRUE(error_of([] { parse_image(bytes_of({0x89, 'P', 'N', 'G'}), "x.jpg"); }).starts_with("x.jpg: not a PNG"));
}

TEST(ImageToDigit, LeavesAnMnistImageUntouched) {
  Array image = page(28, 28, 4, 24, 9, 17, 250, 0);
  image.as<uint8_t>()[28 * 10 + 12] = 3;
  EXPECT_EQ(bytes_of(image_to_digit(image, "x.png")), bytes_of(image));
  Array inverted = image.clone();
  for (uint8_t& value : inverted.as<uint8_t>()) value = static_cast<uint8_t>(255 - value);
  EXPECT_EQ(bytes_of(image_to_digit(inverted, "x.png")), bytes_of(image));
}

TEST(ImageToDigit, FitsTheInkIntoTwentyPixelsAboutItsCentreOfMass) {
  for (const auto& [ink, paper] : {std::pair{0, 255}, {255, 0}, {40, 200}, {180, 90}}) {
    const Array digit = image_to_digit(page(300, 200, 20, 220, 30, 110, ink, paper), "x.png");
    const Extent found = extent(digit);
    EXPECT_EQ(found.bottom - found.top + 1, 20);
    EXPECT_EQ(found.right - found.left + 1, 8);
    EXPECT_NEAR(found.y, 14, 0.51);
    EXPECT_NEAR(found.x, 14, 0.51);
    EXPECT_EQ(digit.at(28 * 14 + 14), 255) << "ink " << ink << " on " << paper;
    EXPECT_EQ(digit.at(0), 0);
  }
}

TEST(ImageToDigit, GrowsSmallImagesToo) {
  const Extent found = extent(image_to_digit(page(12, 12, 3, 8, 2, 4, 0, 255), "x.png"));
  EXPECT_EQ(found.bottom - found.top + 1, 20);
  EXPECT_EQ(found.right - found.left + 1, 8);
}

TEST(ImageToDigit, CentresByMassNotByBox) {
  Array image = page(100, 100, 10, 90, 40, 44, 255, 0);  // a stem with a heavy foot
  for (int64_t y = 70; y < 90; ++y)
    for (int64_t x = 40; x < 56; ++x) image.as<uint8_t>()[y * 100 + x] = 255;
  const Extent found = extent(image_to_digit(image, "x.png"));
  EXPECT_NEAR(found.y, 14, 0.51);
  EXPECT_LT(found.top + found.bottom, 26) << "the box is off the middle, since the mass is low";
}

TEST(ImageToDigit, AntialiasesWhenItShrinks) {
  Array image = page(400, 400, 50, 350, 50, 350, 0, 255);
  for (int64_t i = 0; i < 300; ++i) std::fill_n(image.as<uint8_t>().begin() + (50 + i) * 400 + 50 + i, 300 - i, 255);
  const Array digit = image_to_digit(image, "x.png");  // a triangle: its slope takes grey values
  EXPECT_GT(std::ranges::count_if(digit.as<uint8_t>(), [](uint8_t v) { return v > 0 && v < 255; }), 15);
}

TEST(ImageToDigit, ReadsColourAndTransparency) {
  const Array grey = page(60, 60, 10, 50, 20, 30, 0, 255);
  Array drawn(DType::u8, {60, 60, 4});  // black ink where opaque, nothing elsewhere
  for (int64_t i = 0; i < 3600; ++i) drawn.as<uint8_t>()[4 * i + 3] = static_cast<uint8_t>(255 - grey.at(i));
  EXPECT_EQ(bytes_of(image_to_digit(drawn, "x.png")), bytes_of(image_to_digit(grey, "x.png")));
}

TEST(ImageToDigit, NamesWhatShowsNoDigit) {
  EXPECT_EQ(error_of([] { image_to_digit(page(40, 40, 0, 0, 0, 0, 0, 255), "x.png"); }),
            "x.png: the image is blank (every pixel is 255), so it shows no digit");
  EXPECT_EQ(error_of([] {
              image_to_digit(Array(DType::u8, {2, 2, 5}), "x.png");
            }),
            "x.png: an image is u8[H,W] or u8[H,W,C] with 1 to 4 channels, not u8[2,2,5]");
}

}  // namespace
}  // namespace descent::data
