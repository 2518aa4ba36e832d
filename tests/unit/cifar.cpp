#include "descent/data/cifar.h"

#include <algorithm>

#include "data_testing.h"
#include "descent/data/png.h"

namespace descent::data {
namespace {

constexpr int64_t record_bytes = 3073;

// Value c of pixel p of image i.
uint8_t value(int64_t i, int64_t p, int64_t c) { return static_cast<uint8_t>(7 * i + 31 * p + 101 * c + p / 9); }

std::vector<std::byte> records(int64_t count, int64_t first = 0) {
  std::vector<std::byte> out;
  for (int64_t i = first; i < first + count; ++i) {
    out.push_back(static_cast<std::byte>(i % 10));
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t p = 0; p < 1024; ++p) out.push_back(static_cast<std::byte>(value(i, p, c)));
  }
  return out;
}

TEST(Cifar, ReadsRecordsWithChannelsLast) {
  const Dataset data = parse_cifar10(records(13), "x.bin");
  EXPECT_EQ(to_text(data.inputs.type()), "u8[13,32,32,3]");
  EXPECT_EQ(data.classes.at(3), "cat");
  for (int64_t i = 0; i < 13; ++i) {
    EXPECT_EQ(data.targets.at(i), static_cast<double>(i % 10));
    for (const int64_t p : {0, 1, 31, 32, 1023})
      for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(data.inputs.at((i * 1024 + p) * 3 + c), value(i, p, c));
  }
}

TEST(Cifar, ReadsTheFilesOfAFolderInOrder) {
  const Folder folder;
  EXPECT_FALSE(holds_cifar10(folder.path("")));
  folder.write("data_batch_2.bin", records(2, 5));
  folder.write("data_batch_1.bin", records(5));
  folder.write("test_batch.bin", records(3, 20));
  EXPECT_TRUE(holds_cifar10(folder.path("")));
  const Splits splits = read_cifar10(folder.path(""));
  EXPECT_EQ(bytes_of(splits.train.inputs), bytes_of(parse_cifar10(records(7), "x").inputs));
  EXPECT_EQ(splits.train.targets.to_doubles(), (std::vector<double>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(splits.test.targets.to_doubles(), (std::vector<double>{0, 1, 2}));
  std::filesystem::create_directories(folder.path("cifar-10-batches-bin"));
  folder.write("cifar-10-batches-bin/data_batch_1.bin", records(1));
  EXPECT_EQ(read_cifar10(folder.path("")).train.size(), 1) << "the folder of the archive is looked into";
  EXPECT_EQ(read_cifar10(folder.path("")).test.size(), 0);
}

TEST(Cifar, NamesWrongFiles) {
  const auto error_for = [](const std::vector<std::byte>& bytes) {
    return error_of([&] { parse_cifar10(bytes, "x.bin"); });
  };
  std::vector<std::byte> cut = records(3);
  cut.pop_back();
  EXPECT_EQ(error_for(cut),
            "x.bin: 9218 bytes are no whole number of CIFAR-10's records of 3073 bytes: the file is truncated, or "
            "another kind of file");
  EXPECT_NE(error_for({}).find("x.bin: 0 bytes"), std::string::npos);
  std::vector<std::byte> odd = records(3);
  odd[2 * record_bytes] = std::byte{10};
  EXPECT_EQ(error_for(odd), "x.bin: record 2 has the label 10, but CIFAR-10's are 0 to 9");
  EXPECT_EQ(error_of([] { read_cifar10("/nowhere"); }),
            "/nowhere: there is no data_batch_1.bin to data_batch_5.bin in this folder");
}

class Sheet : public testing::Test {
 protected:
  // A sheet of four images from number 3 on.
  std::vector<std::byte> sheet(int64_t pixels = 1024) const {
    Array image(DType::u8, {4, pixels, 3});
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t p = 0; p < pixels; ++p)
        for (int64_t c = 0; c < 3; ++c) image.as<uint8_t>()[(i * pixels + p) * 3 + c] = value(i + 3, p, c);
    write_png(folder.path("x.png"), image);
    std::ifstream in(folder.path("x.png"), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    return bytes_of(text);
  }
  std::string error_for(const std::vector<std::byte>& png, const std::string& labels, int64_t first) const {
    return error_of([&] { cifar10_from_sheet(png, labels, first, "x.png"); });
  }
  Folder folder;
};

TEST_F(Sheet, BecomesTheBinaryFile) {
  const std::string made = cifar10_from_sheet(sheet(), "[9,9,9,3,4,5,6]", 3, "x.png");
  EXPECT_TRUE(bytes_of(made) == records(4, 3));
}

TEST_F(Sheet, NamesWhatDoesNotFit) {
  EXPECT_EQ(error_for(sheet(), "[1,2,3]", 0), "x.png: its labels are no JSON list of at least 4 numbers");
  EXPECT_EQ(error_for(sheet(), "{", 0), "x.png: its labels are no JSON list of at least 4 numbers");
  EXPECT_EQ(error_for(sheet(), "[1,2,\"x\",3]", 0), "x.png: the label of row 2 is no whole number");
  EXPECT_EQ(error_for(sheet(1000), "[1,2,3,4]", 0),
            "x.png: a sheet of CIFAR-10 has rows of 1,024 colour pixels, not u8[4,1000,3]");
}

}  // namespace
}  // namespace descent::data
