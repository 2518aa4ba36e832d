#include "descent/data/png.h"

#include <zlib.h>

#include "data_testing.h"

namespace descent::data {
namespace {

void append_number(std::vector<std::byte>& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::byte>(value >> shift));
}

void append_chunk(std::vector<std::byte>& out, const std::string& kind, const std::vector<std::byte>& content) {
  append_number(out, static_cast<uint32_t>(content.size()));
  std::vector<std::byte> body = bytes_of(kind);
  body.insert(body.end(), content.begin(), content.end());
  out.insert(out.end(), body.begin(), body.end());
  append_number(out, static_cast<uint32_t>(
                         crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
}

struct Plan {
  uint32_t width, height;
  int depth, kind;                      // as PNG's header has them
  std::vector<std::byte> rows;          // each row with its filter byte in front
  std::vector<std::byte> palette = {};  // red, green, blue ...
  std::vector<std::byte> opacity = {};  // of the palette's colours
};

// A PNG file, chunk by chunk.
std::vector<std::byte> png(const Plan& plan) {
  std::vector<std::byte> out = bytes_of({0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}), header;
  append_number(header, plan.width);
  append_number(header, plan.height);
  for (const int byte : {plan.depth, plan.kind, 0, 0, 0}) header.push_back(static_cast<std::byte>(byte));
  append_chunk(out, "IHDR", header);
  if (!plan.palette.empty()) append_chunk(out, "PLTE", plan.palette);
  if (!plan.opacity.empty()) append_chunk(out, "tRNS", plan.opacity);
  uLongf size = compressBound(static_cast<uLong>(plan.rows.size()));
  std::vector<std::byte> packed(size);
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(plan.rows.data()),
           static_cast<uLong>(plan.rows.size()));
  packed.resize(size);
  append_chunk(out, "IDAT", packed);
  append_chunk(out, "IEND", {});
  return out;
}

const Plan grey{2, 2, 8, 0, bytes_of({0, 10, 20, 0, 30, 255})};

Array parsed(const Plan& plan) { return parse_png(png(plan), "x.png"); }
std::string error_for(const std::vector<std::byte>& bytes, int64_t most = default_max_pixels) {
  return error_of([&] { parse_png(bytes, "x.png", most); });
}

TEST(Png, ReadsGrey) {
  EXPECT_EQ(to_text(parsed(grey).type()), "u8[2,2]");
  EXPECT_EQ(parsed(grey).to_doubles(), (std::vector<double>{10, 20, 30, 255}));
}

TEST(Png, ReadsGreyOfFewBits) {
  EXPECT_EQ(parsed({4, 1, 1, 0, bytes_of({0, 0b10100000})}).to_doubles(), (std::vector<double>{255, 0, 255, 0}));
  EXPECT_EQ(parsed({2, 1, 4, 0, bytes_of({0, 0x1f})}).to_doubles(), (std::vector<double>{17, 255}));
}

TEST(Png, ReadsSixteenBitsAsEight) {
  const Array image = parsed({2, 1, 16, 0, bytes_of({0, 0x80, 0x80, 0xff, 0xff})});
  EXPECT_EQ(image.to_doubles(), (std::vector<double>{128, 255}));
}

TEST(Png, ReadsTransparencyAndColour) {
  const Array grey_alpha = parsed({1, 1, 8, 4, bytes_of({0, 100, 7})});
  EXPECT_EQ(to_text(grey_alpha.type()), "u8[1,1,2]");
  EXPECT_EQ(grey_alpha.to_doubles(), (std::vector<double>{100, 7}));
  const Array colour = parsed({1, 1, 8, 2, bytes_of({0, 1, 2, 3})});
  EXPECT_EQ(to_text(colour.type()), "u8[1,1,3]");
  EXPECT_EQ(colour.to_doubles(), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(parsed({1, 1, 8, 6, bytes_of({0, 1, 2, 3, 4})}).to_doubles(), (std::vector<double>{1, 2, 3, 4}));
}

TEST(Png, ReadsPalettes) {
  Plan plan{2, 1, 8, 3, bytes_of({0, 1, 0}), bytes_of({10, 20, 30, 200, 100, 50})};
  EXPECT_EQ(parsed(plan).to_doubles(), (std::vector<double>{200, 100, 50, 10, 20, 30}));
  plan.opacity = bytes_of({0, 255});
  EXPECT_EQ(to_text(parsed(plan).type()), "u8[1,2,4]");
  EXPECT_EQ(parsed(plan).at(7), 0);
}

TEST(Png, NamesWhatIsNone) {
  EXPECT_EQ(error_for(bytes_of("GIF89a and more")), "x.png: not a PNG image: it does not begin with PNG's eight bytes");
  EXPECT_EQ(error_for({}), "x.png: not a PNG image: it does not begin with PNG's eight bytes");
}

TEST(Png, NamesTruncation) {
  const std::vector<std::byte> whole = png(grey);
  const auto cut = [&](size_t left) { return std::vector<std::byte>(whole.begin(), whole.begin() + left); };
  EXPECT_EQ(error_for(cut(whole.size() - 12)),
            "x.png: truncated: it ends at byte " + std::to_string(whole.size() - 12) + " without an IEND chunk");
  EXPECT_EQ(error_for(cut(46)), "x.png: truncated: the chunk at byte 33 says 14 bytes, but 1 are left");
  EXPECT_EQ(error_for(cut(20)), "x.png: truncated: the chunk at byte 8 says 13 bytes, but 0 are left");
}

TEST(Png, NamesDamage) {
  std::vector<std::byte> bytes = png(grey);
  bytes[45] ^= std::byte{0x55};  // inside the image data, so its checksum is wrong
  EXPECT_EQ(error_for(bytes).substr(0, 27), "x.png: damaged PNG image: I");
  Plan short_rows = grey;
  short_rows.rows.pop_back();
  EXPECT_EQ(error_for(png(short_rows)), "x.png: damaged PNG image: Not enough image data");
  Plan strange = grey;
  strange.depth = 3;
  EXPECT_NE(error_for(png(strange)).find("x.png: damaged PNG image"), std::string::npos);
}

TEST(Png, RefusesSizesBeforeAllocating) {
  Plan plan = grey;
  plan.width = 60000;
  plan.height = 60000;
  EXPECT_EQ(error_for(png(plan)),
            "x.png: an image of 60000 x 60000 pixels is too large: at most 67108864 pixels can be read");
  plan.width = plan.height = 8000;
  EXPECT_NE(error_for(png(plan)).find("x.png: its header says 8000 x 8000 pixels, but its 14 bytes of image data"),
            std::string::npos);
  EXPECT_EQ(error_for(png(grey), 3), "x.png: an image of 2 x 2 pixels is too large: at most 3 pixels can be read");
  plan.width = 0;
  EXPECT_EQ(error_for(png(plan)), "x.png: an image of 0 x 8000 pixels is empty");
}

TEST(Png, WritesWhatItReads) {
  const Folder folder;
  for (const Shape& shape : {Shape{5, 7}, Shape{5, 7, 3}}) {
    Array image(DType::u8, shape);
    for (int64_t i = 0; i < image.elements(); ++i) image.as<uint8_t>()[i] = static_cast<uint8_t>(37 * i);
    write_png(folder.path("x.png"), image);
    const Array back = read_png(folder.path("x.png"));
    EXPECT_EQ(to_text(back.type()), to_text(image.type()));
    EXPECT_EQ(bytes_of(back), bytes_of(image));
  }
}

TEST(Png, NamesWhatItCannotWrite) {
  EXPECT_EQ(error_of([] {
              write_png("x.png", Array(DType::f32, {2, 2}));
            }),
            "x.png: a PNG image is written from u8[H,W] or u8[H,W,3], not f32[2,2]");
  EXPECT_NE(error_of([] {
              write_png("/nowhere/x.png", Array(DType::u8, {2, 2}));
            }).find("/nowhere/x.png"),
            std::string::npos);
}

}  // namespace
}  // namespace descent::data
