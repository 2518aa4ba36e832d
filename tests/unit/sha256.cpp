#include "descent/base/sha256.h"

#include <gtest/gtest.h>

#include <fstream>

#include "descent/base/error.h"

namespace descent {
namespace {

// The examples of FIPS 180-4 and of NIST's test vectors.
TEST(Sha256, known_sums) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, pieces_give_the_same_sum) {
  const std::string whole = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    Sha256 sum;
    sum.add(std::string_view(whole).substr(0, cut));
    sum.add(std::string_view(whole).substr(cut));
    EXPECT_EQ(sum.hex(), sha256(whole)) << "cut at " << cut;
  }
}

TEST(Sha256, of_a_file_larger_than_a_piece) {
  const auto path = std::filesystem::path(testing::TempDir()) / "descent_sha256_file";
  const std::string content(700001, 'x');
  std::ofstream(path, std::ios::binary) << content;
  EXPECT_EQ(sha256_file(path), sha256(content));
  std::filesystem::remove(path);
  EXPECT_THROW(sha256_file(path), Error);
}

TEST(Sha256, a_sum_ends_once) {
  Sha256 sum;
  sum.hex();
  EXPECT_THROW(sum.hex(), Error);
  EXPECT_THROW(sum.add("x"), Error);
}

}  // namespace
}  // namespace descent
