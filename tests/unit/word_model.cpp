// The model of words: what it counts, how words are found by their beginnings, what unknown ones get.
#include "descent/data/word_model.h"

#include <cmath>

#include "tests/unit/data_testing.h"

namespace descent::data {
namespace {

using Word = WordModel::Word;

// Characters a, b, c are 0, 1, 2, and the space 9.
const std::vector<Word> sentences{{0, 9, 0, 1}, {0, 9, 9, 0, 1, 9, 2}, {9, 0, 1, 2}, {}, {0}};

WordModel model() { return WordModel::fit(sentences, 9); }

// The words that begin with some characters.
WordModel::Beginning after(const WordModel& model, const Word& characters) {
  WordModel::Beginning out = model.begin();
  for (const int32_t character : characters) out = model.followed_by(out, character);
  return out;
}

TEST(WordModel, KnowsTheWordsBetweenSpaces) {
  EXPECT_EQ(model().words(), (std::vector<Word>{{0}, {0, 1}, {0, 1, 2}, {2}}));
  EXPECT_EQ(WordModel::fit(sentences, -1).words().size(), 4u);  // whole sentences, without the empty one
  EXPECT_EQ(error_of([] {
              WordModel::fit(std::vector<Word>{{9, 9}, {}}, 9);
            }),
            "a language model of words needs sentences with a word in them");
}

TEST(WordModel, FindsWordsByTheirBeginnings) {
  const WordModel words = model();
  for (size_t i = 0; i < words.words().size(); ++i)
    EXPECT_EQ(words.whole(after(words, words.words()[i])), static_cast<int32_t>(i));
  EXPECT_EQ(words.whole(words.begin()), words.unknown());
  for (const Word& none : {Word{1}, Word{2, 0}, Word{0, 2}, Word{0, 1, 2, 0}, Word{1, 1, 1}})
    EXPECT_EQ(words.whole(after(words, none)), words.unknown());
  const WordModel::Beginning two = after(words, {0, 1});
  EXPECT_EQ(two.end - two.first, 2);  // "ab" and "abc"
}

TEST(WordModel, CountsSentencesBetweenEdges) {
  const WordModel words = model();
  const int32_t edge = words.edge(), a = 0, ab = 1;
  const auto p = [&](std::vector<int32_t> before, int32_t next) {
    return std::exp(words.log_probability(before, next));
  };
  EXPECT_GT(p({edge}, a), p({edge}, ab));
  EXPECT_GT(p({edge, a}, ab), p({edge, a}, a));
  EXPECT_GT(p({edge, a}, ab), p({edge}, ab));
  // As the n-grams of the words' numbers say.
  const std::vector<std::vector<int32_t>> numbers{
      {edge, 0, 1, edge}, {edge, 0, 1, 3, edge}, {edge, 2, edge}, {edge, edge}, {edge, 0, edge}};
  const NGram plain =
      NGram::fit(std::vector<std::span<const int32_t>>(numbers.begin(), numbers.end()), words.edge() + 1, 3);
  for (int32_t next = 0; next <= edge; ++next) {
    if (next == words.unknown()) continue;
    EXPECT_EQ(words.log_probability(std::vector{edge, a}, next), plain.log_probability(std::vector{edge, a}, next));
  }
}

// More than a word that was heard once gets nothing, less than all.
TEST(WordModel, UnknownWordsShareWhatIsKeptForThem) {
  const WordModel words = model();
  const std::vector<int32_t> before{words.edge()};
  const double unknown = words.log_probability(before, words.unknown());
  EXPECT_NEAR(unknown, words.model().log_probability(before, words.unknown()) + std::log(6.0), 1e-12);
  EXPECT_LT(unknown, 0);
}

TEST(WordModel, OfOtherPartsThanFitMade) {
  const NGram six = model().model();
  EXPECT_EQ(error_of([&] {
              WordModel({{0}, {1}}, six);
            }),
            "a language model of 6 words does not fit a list of 2, the unknown word and the edge of a sentence");
  EXPECT_EQ(error_of([&] {
              WordModel({{0}, {2}, {1}, {3}}, six);
            }),
            "the words of a language model must be sorted and all different");
}

}  // namespace
}  // namespace descent::data
