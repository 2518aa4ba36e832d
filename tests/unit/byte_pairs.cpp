// Word pieces: every string of bytes comes back, training does what it says, and stored ones are the same.
#include "descent/data/byte_pairs.h"

#include <map>

#include "descent/data/random.h"
#include "descent/data/text.h"
#include "descent/data/utf8.h"
#include "tests/unit/data_testing.h"

namespace descent::data {
namespace {

const std::string speech =
    "It's the cat's mat, isn't it? The cat sat on the mat; the hat is the cat's, too. 1234 cats, 12 mats  and a hat.\n"
    "\xe7\x8c\xab\xe5\x9d\x90\xe5\x9c\xa8\xe5\x9e\xab\xe5\xad\x90\xe4\xb8\x8a\xef\xbc\x8c\xe7\x8c\xab\xe5\xbe\x88\xe5"
    "\xa5\xbd\xe3\x80\x82\n\ttabs\tand 'quotes' \xf0\x9f\x90\x88\xf0\x9f\x90\x88\n";

BytePairs trained(int64_t size) {
  const std::string_view texts[] = {speech, speech, "the cat"};
  return BytePairs::train(texts, size);
}

std::string random_bytes(RandomStream& random) {
  std::string out;
  for (uint64_t n = random.below(200); n > 0; --n) {
    const uint64_t kind = random.below(4);
    if (kind == 0) out += static_cast<char>(random.below(256));
    if (kind == 1) out += "the cat's "[random.below(10)];
    if (kind == 2) out += speech.substr(random.below(speech.size()), random.below(20));
    if (kind == 3) out += std::string(random.below(90), "a \xe7'"[random.below(4)]);
  }
  return out;
}

TEST(BytePairs, EveryStringOfBytesComesBack) {
  RandomStream random(1);
  for (const int64_t size : {256, 300, 500}) {
    const BytePairs tokens = trained(size);
    EXPECT_EQ(tokens.decode(tokens.encode("")), "");
    for (int i = 0; i < 3000; ++i) {
      const std::string text = random_bytes(random);
      ASSERT_EQ(tokens.decode(tokens.encode(text)), text) << size;
    }
    std::string all;
    for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
    EXPECT_EQ(tokens.decode(tokens.encode(all)), all);
    EXPECT_LT(tokens.encode(speech).size() * (size > 256 ? 1.3 : 1), speech.size() + 1);
  }
}

// Words do not depend on each other: two texts that end and begin with whole words are written as one.
TEST(BytePairs, MergesWithinWordsOnly) {
  const auto words = [](std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
      out.emplace_back(first_word(text));
      EXPECT_FALSE(out.back().empty());
      text.remove_prefix(out.back().size());
    }
    return out;
  };
  using Words = std::vector<std::string>;
  EXPECT_EQ(words("The cat's  12 mats,ok"), (Words{"The", " cat's", " ", " 12", " mats", ",", "ok"}));
  EXPECT_EQ(words(" 'tis a\n\nb c "), (Words{" '", "tis", " a", "\n\n", "b", " c", " "}));
  EXPECT_EQ(words("x\xe4\xbd\xa0\xe5\xa5\xbd!?"), (Words{"x\xe4\xbd\xa0\xe5\xa5\xbd", "!?"}));
  // Long ones are cut before a character, and bytes that are no characters somewhere.
  EXPECT_EQ(words(std::string(100, 'a')), (Words{std::string(48, 'a'), std::string(48, 'a'), "aaaa"}));
  EXPECT_EQ(words(std::string(100, '\x80')), (Words{std::string(64, '\x80'), std::string(36, '\x80')}));
  std::string chinese;
  for (int i = 0; i < 20; ++i) chinese += "\xe4\xbd\xa0";
  EXPECT_EQ(words("a" + chinese)[0].size(), 49u);
}

// The definition, counted anew for each merge.
std::vector<BytePairs::Pair> plainly_trained(std::string_view text, int64_t size) {
  std::vector<std::vector<int32_t>> words;
  while (!text.empty()) {
    std::vector<int32_t>& word = words.emplace_back();
    for (const char byte : first_word(text)) word.push_back(static_cast<unsigned char>(byte));
    text.remove_prefix(word.size());
  }
  std::vector<BytePairs::Pair> merges;
  while (256 + std::ssize(merges) < size) {
    std::map<BytePairs::Pair, int> counts;
    for (const auto& word : words)
      for (size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
    auto best = counts.end();
    for (auto at = counts.begin(); at != counts.end(); ++at)
      if (best == counts.end() || at->second > best->second) best = at;
    if (best == counts.end() || best->second < 2) break;
    for (auto& word : words)
      for (size_t i = 0; i + 1 < word.size(); ++i)
        if (word[i] == best->first.first && word[i + 1] == best->first.second) {
          word[i] = static_cast<int32_t>(256 + merges.size());
          word.erase(word.begin() + static_cast<int64_t>(i) + 1);
        }
    merges.push_back(best->first);
  }
  return merges;
}

TEST(BytePairs, MergesTheMostFrequentPair) {
  RandomStream random(2);
  for (int i = 0; i < 40; ++i) {
    std::string text;
    for (int n = 0; n < 60; ++n) text += "aab c'"[random.below(6)];
    const std::string_view texts[] = {text};
    EXPECT_EQ(BytePairs::train(texts, 290).merges(), plainly_trained(text, 290)) << text;
  }
  const std::string_view texts[] = {speech};
  const BytePairs tokens = BytePairs::train(texts, 1000);
  EXPECT_EQ(tokens.merges(), plainly_trained(speech, 1000));
  EXPECT_LT(tokens.size(), 500);  // no pair is there twice any more
  // Of equal counts the smaller tokens.
  const std::string_view ties[] = {"xy ab xy ab"};
  EXPECT_EQ(BytePairs::train(ties, 257).merges()[0], (BytePairs::Pair{' ', 'a'}));
}

TEST(BytePairs, AreTheSameWhenStored) {
  const BytePairs tokens = trained(400);
  const TokenizerPtr again = Tokenizer::from_json(tokens.to_json());
  EXPECT_EQ(again->size(), tokens.size());
  EXPECT_EQ(again->encode(speech, ""), tokens.encode(speech));
  EXPECT_EQ(again->names()[256], "at");
  EXPECT_EQ(again->names()[0xe7], "\\xe7");
  const Characters characters = Characters::of("abc\xe4\xbd\xa0", "here");
  EXPECT_EQ(Tokenizer::from_json(characters.to_json())->encode("c\xe4\xbd\xa0", ""), (std::vector<int32_t>{2, 3}));
}

TEST(BytePairs, SayWhatMakesNoSense) {
  const std::string_view texts[] = {speech};
  EXPECT_NE(error_of([&] { BytePairs::train(texts, 255); }), "");
  EXPECT_EQ(error_of([] {
              BytePairs({{97, 256}});
            }),
            "token 256 of byte pairs cannot be made of 97 and 256, which must come before it");
  EXPECT_EQ(error_of([] {
              BytePairs({{97, 98}, {97, 98}});
            }),
            "token 257 of byte pairs is made of 97 and 98, as one before it");
  std::vector<BytePairs::Pair> doubling{{97, 97}};
  for (int32_t i = 256; i < 300; ++i) doubling.emplace_back(i, i);
  EXPECT_EQ(error_of([&] { BytePairs{doubling}; }), "token 262 of byte pairs has more than 64 bytes");
  EXPECT_NE(error_of([] { Tokenizer::from_json("{}"); }), "");
  EXPECT_NE(error_of([] { Tokenizer::from_json("{\"byte_pairs\": [[1]]}"); }), "");
  EXPECT_NE(error_of([] { Tokenizer::from_json("{\"characters\": [\"a\", \"a\"]}"); }), "");
  EXPECT_NE(error_of([] { trained(300).decode(400); }), "");
}

TEST(Utf8, WaitsForWhatIsUnfinished) {
  EXPECT_EQ(unfinished_bytes(""), 0u);
  EXPECT_EQ(unfinished_bytes("a\xe4\xbd\xa0"), 0u);
  EXPECT_EQ(unfinished_bytes("a\xe4\xbd"), 2u);
  EXPECT_EQ(unfinished_bytes("a\xe4"), 1u);
  EXPECT_EQ(unfinished_bytes("\xf0\x9f\x90"), 3u);
  EXPECT_EQ(unfinished_bytes("a\xff"), 0u);
  EXPECT_EQ(unfinished_bytes("\x80\x80\x80\x80"), 0u);
  EXPECT_EQ(valid_utf8("a\xff\xe4\xbd\xa0\xe4\xbd", "?"), "a?\xe4\xbd\xa0??");
}

}  // namespace
}  // namespace descent::data
