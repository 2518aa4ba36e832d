#include "descent/data/idx.h"

#include <zlib.h>

#include "data_testing.h"

namespace descent::data {
namespace {

const std::vector<std::byte> two_images = bytes_of({0, 0, 8, 3, 0, 0, 0, 2, 0, 0,  0,  2,  0, 0, 0, 3,  //
                                                    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255});

std::vector<std::byte> gzipped(const std::vector<std::byte>& bytes) {
  z_stream stream{};
  constexpr int gzip_format = 16;
  deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + gzip_format, 9, Z_DEFAULT_STRATEGY);
  std::vector<std::byte> out(deflateBound(&stream, bytes.size()) + 64);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::vector<std::byte> front(std::vector<std::byte> bytes, size_t count) {
  bytes.resize(count);
  return bytes;
}

std::string error_for(const std::vector<std::byte>& bytes) {
  return error_of([&] { parse_idx(bytes, "x.idx"); });
}

TEST(Idx, ReadsImages) {
  const Array images = parse_idx(two_images, "x.idx");
  EXPECT_EQ(to_text(images.type()), "u8[2,2,3]");
  EXPECT_EQ(images.as<uint8_t>()[6], 7);
  EXPECT_EQ(images.as<uint8_t>()[11], 255);
}

TEST(Idx, ReadsEveryElementType) {
  EXPECT_EQ(parse_idx(bytes_of({0, 0, 9, 1, 0, 0, 0, 2, 0x80, 1}), "x").to_doubles(), (std::vector<double>{-128, 1}));
  EXPECT_EQ(parse_idx(bytes_of({0, 0, 11, 1, 0, 0, 0, 2, 0xff, 0xfe, 1, 0}), "x").to_doubles(),
            (std::vector<double>{-2, 256}));
  EXPECT_EQ(parse_idx(bytes_of({0, 0, 12, 1, 0, 0, 0, 1, 0xff, 0, 0, 1}), "x").to_doubles(),
            (std::vector<double>{-16777215}));
  const Array f32 = parse_idx(bytes_of({0, 0, 13, 1, 0, 0, 0, 1, 0x3f, 0xc0, 0, 0}), "x");
  EXPECT_EQ(f32.dtype(), DType::f32);
  EXPECT_EQ(f32.item(), 1.5);
  const Array f64 = parse_idx(bytes_of({0, 0, 14, 1, 0, 0, 0, 1, 0xc0, 4, 0, 0, 0, 0, 0, 0}), "x");
  EXPECT_EQ(f64.dtype(), DType::f64);
  EXPECT_EQ(f64.item(), -2.5);
}

TEST(Idx, ReadsNoItems) { EXPECT_EQ(parse_idx(bytes_of({0, 0, 8, 1, 0, 0, 0, 0}), "x").elements(), 0); }

TEST(Idx, ReadsGzip) {
  const Folder folder;
  EXPECT_EQ(bytes_of(read_idx(folder.write("plain", two_images))),
            bytes_of(read_idx(folder.write("packed", gzipped(two_images)))));
}

TEST(Idx, ReadsGzipMembersOneAfterTheOther) {
  std::vector<std::byte> joined = gzipped(front(two_images, 20));
  const std::vector<std::byte> rest = gzipped({two_images.begin() + 20, two_images.end()});
  joined.insert(joined.end(), rest.begin(), rest.end());
  EXPECT_EQ(parse_idx(joined, "x").as<uint8_t>()[11], 255);
}

TEST(Idx, NamesAFileThatIsNone) {
  EXPECT_EQ(error_for(bytes_of("\x89PNG....")),
            "x.idx: not an idx file: it begins with the bytes 89 50 4e 47, where idx has 00 00, a type (08, 09, 0b, "
            "0c, 0d or 0e) and the number of axes");
  EXPECT_EQ(error_for(bytes_of({0, 0, 8})), "x.idx: not an idx file: only 3 bytes, where the header takes at least 8");
  EXPECT_EQ(error_for(bytes_of({0, 0, 8, 0, 0})), "x.idx: its header says 0 axes, where 1 to 8 can be read");
  EXPECT_EQ(error_for(bytes_of({0, 0, 8, 9, 0})), "x.idx: its header says 9 axes, where 1 to 8 can be read");
}

TEST(Idx, NamesTruncationAndExcess) {
  EXPECT_EQ(error_for(front(two_images, 9)), "x.idx: truncated: 9 bytes, where the header of 3 axes takes 16");
  EXPECT_EQ(error_for(front(two_images, 27)),
            "x.idx: its header says 2 x 2 x 3 elements of 1 byte, 28 bytes with the header, but the file has 27");
  EXPECT_EQ(error_for(front(two_images, 29)),
            "x.idx: its header says 2 x 2 x 3 elements of 1 byte, 28 bytes with the header, but the file has 29");
}

TEST(Idx, RefusesSizesBeyondAnyFileBeforeAllocating) {
  const auto lie = bytes_of({0, 0, 14, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255});
  EXPECT_EQ(error_for(lie),
            "x.idx: its header says sizes 4294967295 x 4294967295 x 4294967295, more than any file holds");
  const auto large = bytes_of({0, 0, 8, 2, 255, 255, 255, 255, 1, 0, 0, 0});  // 2^56 bytes
  EXPECT_NE(error_for(large).find("but the file has 12"), std::string::npos);
  EXPECT_NE(error_for(gzipped(large)).find("gzipped bytes cannot hold more than"), std::string::npos);
}

TEST(Idx, NamesDamagedGzip) {
  const std::vector<std::byte> packed = gzipped(two_images);
  EXPECT_EQ(error_for(front(packed, packed.size() - 9)),
            "x.idx: its gzip data is damaged or truncated after 28 inflated bytes");
  std::vector<std::byte> flipped = packed;
  flipped[flipped.size() - 6] ^= std::byte{1};  // of the checksum
  EXPECT_EQ(error_for(flipped), "x.idx: its gzip data is damaged or truncated after 28 inflated bytes");
  EXPECT_NE(error_for(gzipped(front(two_images, 27))).find("but the inflated file has 27"), std::string::npos);
  EXPECT_NE(error_for(gzipped(front(two_images, 29))).find("but the inflated file has more"), std::string::npos);
}

TEST(Idx, NamesAFileThatCannotBeOpened) {
  EXPECT_EQ(error_of([] { read_idx("/nowhere/x.idx"); }),
            "/nowhere/x.idx: cannot be opened: No such file or directory");
  const Folder folder;
  EXPECT_EQ(error_of([&] { read_idx(folder.path("")); }), folder.path("") + ": cannot be read: Is a directory");
}

TEST(Idx, ParsesItemAddresses) {
  EXPECT_EQ(item_address("a/b.idx:17")->path, "a/b.idx");
  EXPECT_EQ(item_address("a/b.idx:17")->index, 17);
  EXPECT_EQ(item_address("a:3:4")->path, "a:3");
  for (const char* none : {"a.png", "a:", ":3", "a:x", "a:-1", "a:1x", "a:99999999999999999999"})
    EXPECT_FALSE(item_address(none)) << none;
}

TEST(Idx, ReadsOneItem) {
  const Folder folder;
  const std::string path = folder.write("x", two_images);
  const Array item = read_idx_item({path, 1});
  EXPECT_EQ(to_text(item.type()), "u8[2,3]");
  EXPECT_EQ(item.as<uint8_t>()[0], 7);
  EXPECT_EQ(error_of([&] { read_idx_item({path, 2}); }), path + ":2: no such item: the file has 2 (0 to 1)");
}

}  // namespace
}  // namespace descent::data
