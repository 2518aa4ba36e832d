#include "descent/io/safetensors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

namespace descent::io {
namespace {

namespace fs = std::filesystem;

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    folder = fs::path(testing::TempDir()) /
             (std::string("descent_safetensors_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override { fs::remove_all(folder); }
  fs::path folder;
};
using Safetensors = Folder;

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return (std::ostringstream() << in.rdbuf()).str();
}

std::string little_endian(uint64_t value) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

// A file as another program might write it: any header, `data` zero bytes behind it.
std::string made(const std::string& header, size_t data = 0) {
  return little_endian(header.size()) + header + std::string(data, '\0');
}

TensorFile parse(const std::string& bytes) {
  return parse_safetensors(std::as_bytes(std::span(bytes)), "x.safetensors");
}

// The sentence that refuses these bytes, or "" if they were taken.
std::string refusal(const std::string& bytes) {
  try {
    parse(bytes);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TensorFile sample() {
  TensorFile file;
  for (const DType dtype :
       {DType::f64, DType::f32, DType::bf16, DType::f16, DType::i32, DType::u32, DType::u8, DType::boolean}) {
    Array array(dtype, {2, 3});
    for (int64_t i = 0; i < array.elements(); ++i) array.set(i, static_cast<double>(i % 2 == 0 ? i : 1));
    file.tensors.emplace_back("hidden.1/weight é " + to_text(dtype), array);
  }
  file.tensors.emplace_back("scalar", Array::scalar(std::numeric_limits<float>::quiet_NaN()));
  file.tensors.emplace_back("nothing", Array(DType::f32, {4, 0, 2}));
  file.metadata = {{"format", "pt"}, {"note", "line\nand \"quote\""}};
  return file;
}

void expect_equal(const TensorFile& a, const TensorFile& b) {
  EXPECT_EQ(a.metadata, b.metadata);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    EXPECT_EQ(a.tensors[i].first, b.tensors[i].first);
    EXPECT_EQ(a.tensors[i].second.type(), b.tensors[i].second.type());
    EXPECT_TRUE(std::ranges::equal(a.tensors[i].second.bytes(), b.tensors[i].second.bytes())) << a.tensors[i].first;
  }
}

TEST_F(Safetensors, what_is_saved_is_loaded) {
  const fs::path path = folder / "all.safetensors";
  save_safetensors(path, sample());
  expect_equal(load_safetensors(path), sample());
  expect_equal(parse(content(path)), sample());
  EXPECT_EQ(load_safetensors(path).find("scalar")->type(), (Type{DType::f32, {}}));
  EXPECT_EQ(load_safetensors(path).find("no such"), nullptr);
}

TEST_F(Safetensors, equal_arguments_give_equal_bytes_and_the_data_are_aligned) {
  save_safetensors(folder / "a", sample());
  save_safetensors(folder / "b", sample());
  EXPECT_EQ(content(folder / "a"), content(folder / "b"));
  EXPECT_EQ(load_safetensors_header(folder / "a").data_begin % 64, 0u);
  EXPECT_EQ(safetensors_header(sample()).size(), load_safetensors_header(folder / "a").data_begin);
}

// The bytes of a file, so that a change of the format cannot go unnoticed.
TEST_F(Safetensors, the_format_itself) {
  const TensorFile file{{{"b", Array::from(std::vector<int32_t>{1, -1}, {2})}}, {{"k", "v"}}};
  const std::string json = R"({"__metadata__":{"k":"v"},"b":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}})";
  save_safetensors(folder / "a", file);
  EXPECT_EQ(content(folder / "a"), little_endian(120) + json + std::string(120 - json.size(), ' ') +
                                       std::string("\1\0\0\0\xff\xff\xff\xff", 8));
}

TEST_F(Safetensors, header_alone) {
  save_safetensors(folder / "a", sample());
  const TensorHeader header = load_safetensors_header(folder / "a");
  EXPECT_EQ(header.entries.size(), sample().tensors.size());
  EXPECT_EQ(header.entries[0].end, 48u);
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

// Order in the header, spaces, field order, and a missing metadata are free.
TEST_F(Safetensors, files_of_other_programs) {
  const TensorFile file =
      parse(made("{ \"b\":{\"shape\":[1],\"data_offsets\":[4,8],\"dtype\":\"F32\"},\n\"a\": "
                 "{\"dtype\":\"U8\",\"shape\":[2,2],\"data_offsets\":[0,4]}}  ",
                 8));
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].first, "a");
  EXPECT_EQ(file.tensors[1].second.type(), (Type{DType::f32, {1}}));
  EXPECT_TRUE(parse(made("{}")).tensors.empty());
}

struct Refused {
  const char* header;
  size_t data;
  const char* sentence;
};

class SafetensorsRefuses : public testing::TestWithParam<Refused> {};

TEST_P(SafetensorsRefuses, with_a_sentence) {
  const std::string why = refusal(made(GetParam().header, GetParam().data));
  EXPECT_EQ(why, std::string("x.safetensors: ") + GetParam().sentence);
}

const Refused refused[] = {
    {R"({"w":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", 8,
     "tensor 'w': elements of type 'I64' are not read; F64, F32, BF16, F16, I32, U32, U8 and BOOL are"},
    {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
     "tensor 'w': f32[2] needs 8 bytes, but its offsets [0, 4] hold 4"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3,
     "tensor 'w': its data end at 4, but the file holds 3 bytes of data"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5, "1 bytes of data belong to no tensor"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8,
     "tensor 'w': its data begin at 4, but the ones before it end at 0"},
    {R"({"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
     8, "tensor 'w': its data begin at 4, but the ones before it end at 8"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})", 8,
     "tensor 'w': its data end at 4, before they begin at 8"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
     4, "the name 'w' is there twice"},
    {R"({"w":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4,
     "tensor 'w': 'dtype' is there twice"},
    {R"({"w":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})", 4, "tensor 'w': 'shape' is there twice"},
    {R"({"__metadata__":{"a":"1","a":"2"}})", 0, "metadata key 'a' is there twice"},
    {R"({"__metadata__":{"a":1}})", 0, "a number stands where the metadata 'a' should be a text"},
    {R"({"__metadata__":{"a":{}}})", 0, "an object stands where the metadata 'a' should be a text"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"code":"x"}})", 4,
     "tensor 'w': the field 'code' is not known"},
    {R"({"w":{"dtype":"F32","shape":[1]}})", 0,
     "tensor 'w': it needs 'dtype', 'shape' and 'data_offsets' (two numbers)"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 4,
     "tensor 'w': it needs 'dtype', 'shape' and 'data_offsets' (two numbers)"},
    {R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
     "tensor 'w': the product of its sizes is too large"},
    {R"({"w":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}})", 0,
     "tensor 'w': the product of its sizes is too large"},
    {R"({"w":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0]}})", 0,
     "tensor 'w': the product of its sizes is too large"},
    {R"({"w":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4,
     "tensor 'w': 'shape' has more than 8 numbers"},
    {R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4,
     "the number -1 stands where 'shape' of tensor 'w' should hold whole numbers from 0"},
    {R"({"w":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4,
     "the number '1.5' stands where 'shape' of tensor 'w' should hold whole numbers from 0"},
    {R"({"w":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}})", 4,
     "the number '99999999999999999999' stands where 'shape' of tensor 'w' should hold whole numbers from 0"},
    {R"({"w":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}})", 4,
     "a list stands where 'dtype' of tensor 'w' should be a text"},
    {R"({"w":{"dtype":"F32","shape":"1","data_offsets":[0,4]}})", 4,
     "a text stands where 'shape' of tensor 'w' should be a list of whole numbers"},
    {R"({"w":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4,
     "a list stands where 'shape' of tensor 'w' should hold whole numbers from 0"},
    {R"({"w":null})", 0, "null stands where the description of 'w' should be"},
    {R"({"w":true})", 0, "true or false stands where the description of 'w' should be"},
    {R"([])", 0, "the header should begin with {"},
    {R"( {})", 0, "the header should begin with {"},
    {R"({"w":)", 0, "the header is not JSON (byte 6 of it)"},
    {R"({}{})", 0, "the header is not JSON (byte 3 of it)"},
    {"{\"\xff\":{}}", 0, "the header is not JSON (byte 3 of it)"},
};
INSTANTIATE_TEST_SUITE_P(Headers, SafetensorsRefuses, testing::ValuesIn(refused));

TEST_F(Safetensors, lengths_that_lie) {
  EXPECT_EQ(refusal("1234567"), "x.safetensors: 7 bytes are too few for a safetensors file");
  EXPECT_EQ(refusal(little_endian(3) + "{}"), "x.safetensors: the header should have 3 bytes, but the file has 10");
  EXPECT_NE(refusal(little_endian(~uint64_t{0}) + "{}"), "");
  EXPECT_NE(refusal(little_endian(uint64_t{1} << 63) + "{}"), "");
}

TEST_F(Safetensors, nothing_hides_behind_a_zero_byte) {
  EXPECT_EQ(refusal(made(std::string("{}\0x", 4))), "x.safetensors: the header is not JSON (byte 3 of it)");
}

TEST_F(Safetensors, booleans_are_zero_or_one) {
  std::string bytes = made(R"({"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})", 3);
  EXPECT_EQ(refusal(bytes), "");
  bytes.back() = 2;
  EXPECT_EQ(refusal(bytes), "x.safetensors: tensor 'mask' (BOOL): element 2 is 2, which is neither 0 nor 1");
}

TEST_F(Safetensors, a_file_cut_anywhere_is_refused) {
  save_safetensors(folder / "a", sample());
  const std::string whole = content(folder / "a");
  for (size_t length = 0; length < whole.size(); ++length) EXPECT_NE(refusal(whole.substr(0, length)), "") << length;
}

TEST_F(Safetensors, what_cannot_be_saved) {
  const Array one = Array::scalar(1);
  EXPECT_THROW(safetensors_header({{{"w", one}, {"w", one}}, {}}), Error);
  EXPECT_THROW(safetensors_header({{{"__metadata__", one}}, {}}), Error);
  EXPECT_THROW(safetensors_header({{{"w", Array()}}, {}}), Error);
  EXPECT_THROW(safetensors_header({{{"\xff", one}}, {}}), Error);
  EXPECT_THROW(safetensors_header({{}, {{"k", "\xc0"}}}), Error);
}

TEST_F(Safetensors, files_that_cannot_be_opened) {
  EXPECT_THROW(load_safetensors(folder / "missing"), Error);
  EXPECT_THROW(load_safetensors(folder), Error);
  EXPECT_THROW(load_safetensors("/dev/zero"), Error);
}

}  // namespace
}  // namespace descent::io
