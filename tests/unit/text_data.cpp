// Text as examples: characters, windows, divisions, and what is said of bad text.
#include "descent/data/text.h"

#include <gtest/gtest.h>

#include <set>

#include "descent/data/batches.h"
#include "tests/unit/data_testing.h"

namespace descent::data {
namespace {

std::string sentence_of(std::string_view bytes) {
  try {
    Characters::of(bytes, "play.txt");
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was wrong";
}

std::vector<int32_t> row_of(const Dataset& data, int64_t row) {
  const Array inputs = data.read_inputs(row, row + 1);
  const std::span<const int32_t> values = inputs.as<int32_t>();
  return {values.begin(), values.end()};
}

std::vector<int32_t> targets_of(const Dataset& data, int64_t row) {
  const Array targets = data.targets.rows(row, row + 1);
  const std::span<const int32_t> values = targets.as<int32_t>();
  return {values.begin(), values.end()};
}

TEST(Characters, AreCodePointsInOrder) {
  const std::string all =
      "b\na\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x99\x82"
      "b";
  const Characters characters = Characters::of(all, "here");
  EXPECT_EQ(characters.all(),
            (std::vector<std::string>{"\n", "a", "b", "\xc3\xa9", "\xe4\xbd\xa0", "\xf0\x9f\x99\x82"}));
  const std::vector<int32_t> tokens = characters.encode(all, "here");
  EXPECT_EQ(tokens, (std::vector<int32_t>{2, 0, 1, 3, 4, 5, 2}));
  std::string again;
  for (const int32_t token : tokens) again += characters.decode(token);
  EXPECT_EQ(again, all);
  EXPECT_THROW(characters.decode(6), Error);
  EXPECT_THROW(characters.decode(-1), Error);
}

TEST(Characters, SayWhatIsNoText) {
  const std::string complaint = "play.txt: byte 1 begins no character in UTF-8";
  EXPECT_EQ(sentence_of("a\xff"), complaint);              // no first byte
  EXPECT_EQ(sentence_of("a\x80"), complaint);              // a later byte
  EXPECT_EQ(sentence_of("a\xc3"), complaint);              // cut off
  EXPECT_EQ(sentence_of("a\xc3("), complaint);             // not followed
  EXPECT_EQ(sentence_of("a\xc0\x80"), complaint);          // too long a form of 0
  EXPECT_EQ(sentence_of("a\xe0\x80\x80"), complaint);      // the same in three
  EXPECT_EQ(sentence_of("a\xed\xa0\x80"), complaint);      // half of a surrogate pair
  EXPECT_EQ(sentence_of("a\xf4\x90\x80\x80"), complaint);  // beyond Unicode
  EXPECT_EQ(sentence_of(std::string_view("a\0b", 3)), "nothing was wrong");
}

TEST(Characters, SayWhatTheyDoNotKnow) {
  const Characters characters({"a", "b"});
  EXPECT_EQ(characters.encode("abba", "it"), (std::vector<int32_t>{0, 1, 1, 0}));
  try {
    characters.encode("ab?", "it");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "it: the character '?' at byte 2 is not one of the 2 that are known");
  }
  EXPECT_THROW(Characters({"a", "a"}), Error);
  EXPECT_THROW(Characters({"ab"}), Error);
  EXPECT_THROW(Characters({""}), Error);
}

// 26 letters in order, so that a token's successor is one more.
const std::string alphabet = "abcdefghijklmnopqrstuvwxyz";

TEST(TextSplits, AreByPosition) {
  const Splits splits = text_splits(alphabet, {.context = 3, .fractions = {.validation = 0.2, .test = 0.2}}, "abc");
  EXPECT_EQ(splits.train.size(), 4);  // of 15 letters: 4 windows of 3, and 2 letters more
  EXPECT_EQ(splits.validation.size(), 1);
  EXPECT_EQ(splits.test.size(), 1);
  EXPECT_EQ(row_of(splits.train, 0), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(targets_of(splits.train, 0), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(row_of(splits.train, 3), (std::vector<int32_t>{9, 10, 11}));
  EXPECT_EQ(row_of(splits.validation, 0), (std::vector<int32_t>{15, 16, 17}));
  EXPECT_EQ(row_of(splits.test, 0), (std::vector<int32_t>{20, 21, 22}));
  EXPECT_EQ(splits.test.classes.size(), 26u);
}

TEST(TextSplits, JudgeEachCharacterOnce) {
  const Characters characters = Characters::of(alphabet, "abc");
  const Dataset data = side_by_side(characters.encode(alphabet, "abc"), characters.all(), 5, "abc");
  std::vector<int32_t> seen;
  for (int64_t row = 0; row < data.size(); ++row)
    for (const int32_t target : targets_of(data, row)) seen.push_back(target);
  std::vector<int32_t> all(25);
  for (int32_t i = 0; i < 25; ++i) all[i] = i + 1;
  EXPECT_EQ(seen, all);
}

TEST(TextSplits, SayWhatIsTooShort) {
  const auto sentence = [](std::string_view text, TextOptions options) -> std::string {
    try {
      text_splits(text, options, "abc");
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was wrong";
  };
  EXPECT_EQ(sentence(alphabet, {.context = 10, .fractions = {.validation = 0.1}}),
            "abc: the validation part has 3 tokens, too few for a window of 10 and the next one");
  EXPECT_EQ(sentence(alphabet, {.context = 26, .fractions = {0, 0}}),
            "abc: the training part has 26 tokens, too few for a window of 26 and the next one");
  EXPECT_EQ(sentence(alphabet, {.context = 25, .fractions = {0, 0}}), "nothing was wrong");
  EXPECT_EQ(sentence("", {.fractions = {0, 0}}),
            "abc: the training part has 0 tokens, too few for a window of 64 and the next one");
  EXPECT_NE(sentence(alphabet, {.fractions = {0.5, 0.5}}), "nothing was wrong");
}

// Training shows windows from anywhere, the targets being the next tokens, the same for the same seed and epoch.
TEST(TextWindows, AreDrawnAnywhere) {
  const Splits splits = text_splits(alphabet, {.context = 4, .windows = 50, .fractions = {0, 0}}, "abc");
  EXPECT_EQ(splits.train.size(), 50);
  const auto epoch = [&](uint64_t seed, uint64_t number, int threads) {
    Batches batches(splits.train, {.batch_size = 7, .seed = seed, .threads = threads});
    batches.start(number);
    std::vector<int32_t> all;
    while (const Batch* batch = batches.next()) {
      const std::span<const int32_t> in = batch->inputs.as<int32_t>(), out = batch->targets.as<int32_t>();
      for (size_t i = 0; i < in.size(); ++i) EXPECT_EQ(out[i], in[i] + 1);
      all.insert(all.end(), in.begin(), in.end());
    }
    return all;
  };
  const std::vector<int32_t> first = epoch(1, 0, 1);
  EXPECT_EQ(first, epoch(1, 0, 3));
  EXPECT_NE(first, epoch(1, 1, 1));
  EXPECT_NE(first, epoch(2, 0, 1));
  std::set<int32_t> begins;
  for (uint64_t number = 0; number < 10; ++number) {
    const std::vector<int32_t> all = epoch(3, number, 1);
    for (size_t i = 0; i < all.size(); i += 4) begins.insert(all[i]);
  }
  EXPECT_EQ(begins.size(), 22u);  // every place where a window and the next token fit: 500 draws miss none
}

}  // namespace
}  // namespace descent::data
