#include "descent/data/npz.h"

#include <algorithm>

#include "npz_testing.h"

namespace descent::data {
namespace {

template <class T>
Array parsed(const std::string& descr, const std::vector<T>& values) {
  return parse_npy(npy(dictionary(descr, "(" + std::to_string(values.size()) + ",)"), raw(values)), "x.npy");
}

std::string error_for(const std::vector<std::byte>& bytes) {
  return error_of([&] { parse_npy(bytes, "x.npy"); });
}

const std::vector<std::byte> small = npy(dictionary("<f4", "(2, 3)"), raw<float>({1, 2, 3, 4, 5, 6}));

TEST(Npy, ReadsCOrder) {
  const Array array = parse_npy(small, "x.npy");
  EXPECT_EQ(to_text(array.type()), "f32[2,3]");
  EXPECT_EQ(array.to_doubles(), (std::vector<double>{1, 2, 3, 4, 5, 6}));
}

TEST(Npy, ReadsFortranOrder) {
  const Array matrix = parse_npy(npy(dictionary("<f4", "(2, 3)", "True"), raw<float>({1, 4, 2, 5, 3, 6})), "x");
  EXPECT_EQ(matrix.to_doubles(), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  std::vector<int32_t> cube;  // element (i,j,k) of [2,3,4] is 100i + 10j + k, the first axis fastest
  for (int k = 0; k < 4; ++k)
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 2; ++i) cube.push_back(100 * i + 10 * j + k);
  const Array array = parse_npy(npy(dictionary("<i4", "(2, 3, 4)", "True"), raw(cube)), "x");
  EXPECT_EQ(to_text(array.type()), "i32[2,3,4]");
  for (int64_t at = 0; at < 24; ++at) EXPECT_EQ(array.at(at), 100 * (at / 12) + 10 * (at / 4 % 3) + at % 4);
}

TEST(Npy, ReadsEveryElementType) {
  EXPECT_EQ(parsed<double>("<f8", {1.5, -2}).dtype(), DType::f64);
  EXPECT_EQ(parsed<double>("<f8", {1.5, -2}).at(0), 1.5);
  EXPECT_EQ(parsed<uint16_t>("<f2", {0x3c00}).dtype(), DType::f16);
  EXPECT_EQ(parsed<int8_t>("|i1", {-3}).dtype(), DType::i32);
  EXPECT_EQ(parsed<int8_t>("|i1", {-3}).item(), -3);
  EXPECT_EQ(parsed<int16_t>("<i2", {-300}).item(), -300);
  EXPECT_EQ(parsed<int32_t>("<i4", {-70000}).item(), -70000);
  EXPECT_EQ(parsed<int64_t>("<i8", {-70000}).item(), -70000);
  EXPECT_EQ(parsed<int64_t>("<i8", {-70000}).dtype(), DType::i32);
  EXPECT_EQ(parsed<uint8_t>("|u1", {200}).dtype(), DType::u8);
  EXPECT_EQ(parsed<uint16_t>("<u2", {60000}).item(), 60000);
  EXPECT_EQ(parsed<uint32_t>("<u4", {4000000000u}).item(), 4000000000.0);
  EXPECT_EQ(parsed<uint64_t>("<u8", {7}).item(), 7);
  EXPECT_EQ(parsed<uint8_t>("|b1", {0, 1, 2}).dtype(), DType::boolean);
  EXPECT_EQ(parsed<uint8_t>("|b1", {0, 1, 2}).to_doubles(), (std::vector<double>{0, 1, 1}));
}

TEST(Npy, ReadsTheOtherByteOrder) {
  EXPECT_EQ(parse_npy(npy(dictionary(">i4", "(1,)"), bytes_of({0, 0, 1, 2})), "x").item(), 258);
}

TEST(Npy, ReadsEveryVersionAndAScalar) {
  for (const int version : {1, 2, 3})
    EXPECT_EQ(parse_npy(npy(dictionary("<f4", "()"), raw<float>({7}), version), "x").item(), 7);
  EXPECT_EQ(parse_npy(npy(dictionary("<f4", "(2L,)"), raw<float>({7, 8})), "x").at(1), 8);
}

TEST(Npy, NamesAValueThatDoesNotFit) {
  EXPECT_EQ(error_for(npy(dictionary("<i8", "(2,)"), raw<int64_t>({0, 5000000000}))),
            "x.npy: element 1 is 5000000000, which 32 bits cannot hold");
}

TEST(Npy, NamesWhatItCannotRead) {
  EXPECT_EQ(error_for(bytes_of("PK\3\4 and more")),
            "x.npy: not an .npy array: it does not begin with \\x93NUMPY and a version");
  EXPECT_EQ(error_for(npy(dictionary("<f4", "(1,)"), {}, 4)), "x.npy: .npy version 4, where 1 to 3 can be read");
  EXPECT_EQ(error_for(npy(dictionary("<c8", "(1,)"), raw<float>({1, 2}))),
            "x.npy: its elements are '<c8', where float16/32/64, int and uint of 8 to 64 bits and bool can be read");
  EXPECT_NE(error_for(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", {}))
                .find("x.npy: its .npy header cannot be read from character 10 on"),
            std::string::npos);
  EXPECT_NE(error_for(npy("{'descr': '<f4', 'shape': (1,)}", raw<float>({1}))).find("header cannot be read"),
            std::string::npos);
  EXPECT_EQ(error_for(npy(dictionary("<f4", "(1,1,1,1,1,1,1,1,1)"), raw<float>({1}))),
            "x.npy: its .npy header says 9 axes, where at most 8 can be read");
}

TEST(Npy, RefusesLiesBeforeAllocating) {
  EXPECT_EQ(error_for(npy(dictionary("<f4", "(4294967296, 4294967296)"), {})),
            "x.npy: its .npy header says sizes 4294967296 x 4294967296, more than any file holds");
  EXPECT_EQ(error_for(npy(dictionary("<f4", "(1000000000000,)"), {})),
            "x.npy: its .npy header says 1000000000000, 4000000000128 bytes with the header, but there are 128");
  std::vector<std::byte> truncated = small;
  truncated.pop_back();
  EXPECT_EQ(error_for(truncated), "x.npy: its .npy header says 2 x 3, 152 bytes with the header, but there are 151");
  truncated.resize(40);
  EXPECT_EQ(error_for(truncated), "x.npy: truncated: its .npy header says it is 128 bytes long, the file has 40");
  std::vector<std::byte> long_header = npy(dictionary("<f4", "(1,)"), {}, 2);
  long_header[11] = std::byte{0x7f};
  EXPECT_NE(error_for(long_header).find("bytes long, more than 1048576"), std::string::npos);
}

TEST(Npz, ReadsStoredAndDeflatedArrays) {
  const Folder folder;
  const std::string path = write_zip(folder.path("a.npz"), {{"x.npy", small, true}, {"deep/y.npy", small}});
  const auto arrays = read_npz(path);
  ASSERT_EQ(arrays.size(), 2u);
  EXPECT_EQ(arrays.at("x").at(5), 6);
  EXPECT_EQ(arrays.at("deep/y").at(5), 6);
}

TEST(Npz, NamesWhatIsNoNpz) {
  const Folder folder;
  const std::string text_file = folder.write("a.npz", bytes_of("hello"));
  EXPECT_EQ(error_of([&] { read_npz(text_file); }),
            text_file + ": not an .npz file that can be read: Not a zip archive");
  const std::string other = write_zip(folder.path("b.npz"), {{"notes.txt", bytes_of("hi")}});
  EXPECT_EQ(error_of([&] { read_npz(other); }), other + ": holds 'notes.txt', where .npz files hold .npy arrays only");
}

TEST(Npz, NamesDamageAndLies) {
  const Folder folder;
  const std::string path = write_zip(folder.path("a.npz"), {{"x.npy", small, true}});
  const Array whole = [&] {
    std::ifstream in(path, std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(in)), {});
    Array out(DType::u8, {static_cast<int64_t>(content.size())});
    std::ranges::copy(bytes_of(content), out.bytes().begin());
    return out;
  }();
  std::vector<std::byte> flipped = bytes_of(whole);
  const std::vector<std::byte> last_element = raw<float>({6});
  const auto six = std::search(flipped.begin(), flipped.end(), last_element.begin(), last_element.end());
  ASSERT_NE(six, flipped.end());
  *six ^= std::byte{1};
  EXPECT_EQ(error_of([&] { parse_npz(flipped, "a.npz"); }), "a.npz:x: CRC error");

  std::vector<std::byte> lying = bytes_of(whole);
  const std::vector<std::byte> mark = bytes_of("PK\1\2");  // begins the directory's entry; its sizes are 20 to 27 on
  const auto entry = std::search(lying.begin(), lying.end(), mark.begin(), mark.end());
  ASSERT_NE(entry, lying.end());
  *(entry + 27) = std::byte{0x7f};
  EXPECT_EQ(error_of([&] { parse_npz(lying, "a.npz"); }),
            "a.npz:x: the zip file's directory says 2130706584 bytes from 152 compressed, but the file has " +
                std::to_string(lying.size()));

  std::vector<std::byte> truncated = bytes_of(whole);
  truncated.resize(truncated.size() - 30);
  EXPECT_NE(error_of([&] { parse_npz(truncated, "a.npz"); }).find("a.npz: not an .npz file that can be read"),
            std::string::npos);
}

std::vector<std::byte> labels(const std::vector<int64_t>& values) {
  return npy(dictionary("<i8", "(" + std::to_string(values.size()) + ",)"), raw(values));
}

TEST(NpzDataset, ReadsPartsAndClasses) {
  const Folder folder;
  const auto images = npy(dictionary("|u1", "(2, 2, 2)"), bytes_of({1, 2, 3, 4, 5, 6, 7, 8}));
  const std::string path = write_zip(folder.path("d.npz"), {{"x_train.npy", images},
                                                            {"y_train.npy", labels({0, 1})},
                                                            {"x_test.npy", images},
                                                            {"y_test.npy", labels({2, 0})}});
  const Splits splits = read_npz_dataset(path);
  EXPECT_EQ(to_text(splits.train.inputs.type()), "u8[2,2,2]");
  EXPECT_EQ(splits.train.classes, (std::vector<std::string>{"0", "1", "2"}));  // the greatest label of any part
  EXPECT_EQ(splits.test.targets.at(0), 2);
  EXPECT_EQ(splits.validation.size(), 0);
}

TEST(NpzDataset, ReadsNumbers) {
  const Folder folder;
  const std::string path = write_zip(
      folder.path("d.npz"), {{"x.npy", small}, {"y.npy", npy(dictionary("<f8", "(2,)"), raw<double>({0.5, 1}))}});
  const Splits splits = read_npz_dataset(path);
  EXPECT_EQ(to_text(splits.train.targets.type()), "f32[2,1]");
  EXPECT_FALSE(splits.train.is_classification());
}

TEST(NpzDataset, NamesWhatDoesNotFit) {
  const Folder folder;
  const std::string three = write_zip(folder.path("a.npz"), {{"x.npy", small}, {"y.npy", labels({0, 1, 1})}});
  EXPECT_EQ(error_of([&] { read_npz_dataset(three); }),
            three + ":y: 3 labels for inputs of f32[2,3], which has 2 rows");
  const std::string negative = write_zip(folder.path("b.npz"), {{"x.npy", small}, {"y.npy", labels({0, -1})}});
  EXPECT_EQ(error_of([&] { read_npz_dataset(negative); }),
            negative + ":y: label -1 in row 1 is out of range: there are 1 classes (0 to 0)");
  const std::string lonely = write_zip(folder.path("c.npz"), {{"x.npy", small}});
  EXPECT_EQ(error_of([&] { read_npz_dataset(lonely); }), lonely + ": holds 'x' but no array that goes with it");
  const std::string other = write_zip(folder.path("d.npz"), {{"a.npy", small}, {"b.npy", small}});
  EXPECT_EQ(error_of([&] { read_npz_dataset(other); }),
            other + ": holds the arrays a, b; a data set needs x and y, or x_train, y_train, x_test, y_test");
  const std::string huge = write_zip(folder.path("e.npz"), {{"x.npy", small}, {"y.npy", labels({0, 2000000000})}});
  EXPECT_NE(error_of([&] { read_npz_dataset(huge); }).find("integer targets are classes, but one is 2000000000"),
            std::string::npos);
}

}  // namespace
}  // namespace descent::data
