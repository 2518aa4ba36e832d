#include "descent/data/jpeg.h"

#include <algorithm>
#include <cmath>

#include "data_testing.h"
#include "jpeg_testing.h"

namespace descent::data {
namespace {

std::string error_for(const std::vector<std::byte>& bytes, const JpegOptions& options = {}) {
  return error_of([&] { parse_jpeg(bytes, "x.jpg", options); });
}

void expect_near(const Array& image, const std::vector<int>& pixel, int tolerance) {
  const std::span<const uint8_t> values = image.as<uint8_t>();
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_NEAR(values[i], pixel[i % pixel.size()], tolerance) << "value " << i;
}

// Dark but for its first 8x8 pixels, which are light.
JpegPlan corner(int64_t height, int64_t width) {
  JpegPlan out = plain_jpeg(height, width, {20}, JCS_GRAYSCALE);
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 8; ++x) out.pixels[y * width + x] = 220;
  return out;
}

// Smooth, so that compression changes it little.
JpegPlan waves(int64_t height, int64_t width) {
  JpegPlan out{height, width, {}};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (const double phase : {0.0, 1.0, 2.0})
        out.pixels.push_back(static_cast<uint8_t>(
            128 + 90 * std::sin(phase + 0.07 * static_cast<double>(y) + 0.05 * static_cast<double>(x))));
  return out;
}

TEST(Jpeg, ReadsGreyAndColour) {
  const Array grey = parse_jpeg(jpeg(plain_jpeg(5, 7, {93}, JCS_GRAYSCALE)), "x.jpg");
  EXPECT_EQ(to_text(grey.type()), "u8[5,7]");
  expect_near(grey, {93}, 1);
  const Array colour = parse_jpeg(jpeg(plain_jpeg(5, 7, {200, 40, 90})), "x.jpg");
  EXPECT_EQ(to_text(colour.type()), "u8[5,7,3]");
  expect_near(colour, {200, 40, 90}, 3);
}

TEST(Jpeg, ReadsWhatWasWritten) {
  for (const bool progressive : {false, true}) {
    JpegPlan plan = waves(61, 83);
    plan.progressive = progressive;
    const Array image = parse_jpeg(jpeg(plan), "x.jpg");
    const std::span<const uint8_t> values = image.as<uint8_t>();
    ASSERT_EQ(values.size(), plan.pixels.size());
    for (size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], plan.pixels[i], 8);
  }
}

TEST(Jpeg, InkBecomesLight) {
  // Adobe's files hold 255 less the ink: cyan ink 55, no magenta, yellow 155, black 0.
  JpegPlan adobe = plain_jpeg(9, 9, {200, 255, 100, 255}, JCS_CMYK);
  expect_near(parse_jpeg(jpeg(adobe), "x.jpg"), {200, 255, 100}, 3);
  adobe.pixels.assign(adobe.pixels.size(), 128);  // and all inks at one half, black among them
  expect_near(parse_jpeg(jpeg(adobe), "x.jpg"), {64, 64, 64}, 2);
  JpegPlan plain = plain_jpeg(9, 9, {55, 0, 155, 0}, JCS_CMYK);
  plain.adobe = false;
  expect_near(parse_jpeg(jpeg(plain), "x.jpg"), {200, 255, 100}, 3);
}

TEST(Jpeg, StandsUprightAsExifSays) {
  // Where the light corner of the stored image is seen: rows and columns of the upright one.
  struct Row {
    int orientation;
    bool below, right, transposed;
  };
  for (const Row& row : {Row{1, false, false, false},
                         {2, false, true, false},
                         {3, true, true, false},
                         {4, true, false, false},
                         {5, false, false, true},
                         {6, false, true, true},
                         {7, true, true, true},
                         {8, true, false, true}})
    for (const bool big_endian : {false, true}) {
      JpegPlan plan = corner(24, 40);
      plan.orientation = row.orientation;
      plan.big_endian = big_endian;
      const std::vector<std::byte> bytes = jpeg(plan);
      EXPECT_EQ(jpeg_orientation(bytes), row.orientation);
      const Array image = parse_jpeg(bytes, "x.jpg");
      const int64_t height = image.shape()[0], width = image.shape()[1];
      EXPECT_EQ(height, row.transposed ? 40 : 24) << row.orientation;
      EXPECT_EQ(width, row.transposed ? 24 : 40);
      const auto at = [&](bool below, bool right) {
        return image.at((below ? height - 4 : 3) * width + (right ? width - 4 : 3));
      };
      for (const bool below : {false, true})
        for (const bool right : {false, true})
          EXPECT_NEAR(at(below, right), below == row.below && right == row.right ? 220 : 20, 12)
              << row.orientation << below << right;
    }
}

TEST(Jpeg, OrientationsWithoutSenseAreNone) {
  JpegPlan plan = corner(16, 24);
  plan.orientation = 9;
  EXPECT_EQ(jpeg_orientation(jpeg(plan)), 1);
  plan.orientation = 6;
  std::vector<std::byte> bytes = jpeg(plan);
  const auto exif_at = std::ranges::search(bytes, bytes_of("Exif")).begin();
  ASSERT_NE(exif_at, bytes.end());
  *(exif_at + 6) = std::byte{'X'};
  EXPECT_EQ(jpeg_orientation(bytes), 1);
  EXPECT_EQ(jpeg_orientation(bytes_of({0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff})), 1);
  EXPECT_EQ(jpeg_orientation({}), 1);
}

TEST(Jpeg, LargeImagesMayBeDecodedSmaller) {
  const std::vector<std::byte> bytes = jpeg(waves(160, 400));
  const auto size_for = [&](int64_t enough) { return to_text(parse_jpeg(bytes, "x.jpg", {.enough = enough}).shape()); };
  EXPECT_EQ(size_for(0), "[160,400,3]");
  EXPECT_EQ(size_for(81), "[160,400,3]");
  EXPECT_EQ(size_for(80), "[80,200,3]");
  EXPECT_EQ(size_for(41), "[80,200,3]");
  EXPECT_EQ(size_for(40), "[40,100,3]");
  EXPECT_EQ(size_for(1), "[20,50,3]");
}

TEST(Jpeg, NamesWhatIsNoJpeg) {
  EXPECT_EQ(error_for(bytes_of("GIF89a")), "x.jpg: not a JPEG image: it does not begin with JPEG's marker");
  EXPECT_EQ(error_for({}), "x.jpg: not a JPEG image: it does not begin with JPEG's marker");
  EXPECT_EQ(error_of([] { read_jpeg("/nowhere/x.jpg"); }),
            "/nowhere/x.jpg: cannot be opened: No such file or directory");
}

TEST(Jpeg, NamesTruncationAtAnyPlace) {
  for (const bool progressive : {false, true}) {
    JpegPlan plan = waves(64, 64);
    plan.progressive = progressive;
    const std::vector<std::byte> whole = jpeg(plan);
    for (size_t left = 3; left + 40 < whole.size(); left += 7) {
      const std::string error = error_for({whole.begin(), whole.begin() + static_cast<int64_t>(left)});
      EXPECT_TRUE(error.starts_with("x.jpg: truncated: the JPEG image ends before its last pixel") ||
                  error.starts_with("x.jpg: its header says 64 x 64 pixels, but its"))
          << left << ": " << error;
    }
  }
}

TEST(Jpeg, NamesDamage) {
  std::vector<std::byte> bytes = jpeg(waves(64, 64));
  std::fill(bytes.begin() + static_cast<int64_t>(bytes.size() / 2), bytes.end() - 200, std::byte{0xff});
  EXPECT_NE(error_for(bytes).find("x.jpg: damaged JPEG image: "), std::string::npos) << error_for(bytes);
}

// Where the header's height and width lie.
int64_t size_at(const std::vector<std::byte>& bytes) {
  return std::ranges::search(bytes, bytes_of({0xff, 0xc0})).begin() - bytes.begin() + 5;
}

TEST(Jpeg, RefusesSizesBeforeAllocating) {
  std::vector<std::byte> bytes = jpeg(waves(16, 16));
  const int64_t at = size_at(bytes);
  for (int64_t i = at; i < at + 4; ++i) bytes[static_cast<size_t>(i)] = std::byte{0xea};
  EXPECT_EQ(error_for(bytes),
            "x.jpg: an image of 60138 x 60138 pixels is too large: at most 67108864 pixels can be read");
  EXPECT_EQ(error_for(bytes, {.max_pixels = int64_t{1} << 40}),
            "x.jpg: its header says 60138 x 60138 pixels, but its " + std::to_string(bytes.size()) +
                " bytes cannot hold so many");
  EXPECT_EQ(error_for(jpeg(waves(4, 4)), {.max_pixels = 15}),
            "x.jpg: an image of 4 x 4 pixels is too large: at most 15 pixels can be read");
}

TEST(Jpeg, BlankImagesAreNotTakenForLies) {
  JpegPlan plan = plain_jpeg(1000, 1000, {255}, JCS_GRAYSCALE);
  plan.progressive = true;
  const Array image = parse_jpeg(jpeg(plan), "x.jpg");
  expect_near(image, {255}, 0);
}

}  // namespace
}  // namespace descent::data
