// Conversations as examples: how files are read, marked, divided and said back.
#include "descent/data/conversations.h"

#include <set>

#include "descent/data/batches.h"
#include "descent/data/byte_pairs.h"
#include "tests/unit/data_testing.h"

namespace descent::data {
namespace {

using Talks = std::vector<Conversation>;

TEST(Conversations, AreReadFromTables) {
  EXPECT_EQ(parse_conversations("0\ta\t0\tHi\n0\tb\t1\tHello \n1\ta\t0\tWhy?\r\n1\ta\t1\t\n1\ta\t2\tSo.", true, "t"),
            (Talks{{"Hi", "Hello"}, {"Why?", "So."}}));
  EXPECT_EQ(parse_conversations("Hi\tHello\nWhy?\tSo.\n", true, "t"), (Talks{{"Hi", "Hello"}, {"Why?", "So."}}));
  EXPECT_EQ(parse_conversations("x\tHi\t1\nx\tb\tme\ny\tb\tyou\n\ny\tb\tthey", true, "t"),
            (Talks{{"1", "me"}, {"you"}, {"they"}}));
  EXPECT_EQ(
      error_of([] { parse_conversations("0\ta\t0\tHi\nno tab", true, "talk.tsv"); }),
      "talk.tsv: line 2 has no tab; a table of turns has a prompt and an answer in each line, or a conversation's "
      "name and, as the last cell, a turn");
}

TEST(Conversations, AreReadFromText) {
  EXPECT_EQ(parse_conversations("Hi\nHello\n\n  \n\xe4\xbd\xa0\xe5\xa5\xbd\n", false, "t"),
            (Talks{{"Hi", "Hello"}, {"\xe4\xbd\xa0\xe5\xa5\xbd"}}));
  EXPECT_EQ(error_of([] { parse_conversations("Hi\nH\xff\n", false, "talk.txt"); }),
            "talk.txt: line 2 is no text in UTF-8");
  EXPECT_EQ(error_of([] { parse_conversations("\n \n", false, "talk.txt"); }),
            "talk.txt has no turn of a conversation");
}

Talks many(int count) {
  Talks out;
  for (int i = 0; i < count; ++i)
    out.push_back({"the number is " + std::to_string(i), "is it?", "yes, it is " + std::to_string(i)});
  return out;
}

TEST(Conversations, BecomeTokensBetweenMarks) {
  const BytePairs bytes({});
  const std::vector<int32_t> tokens = tokens_of({{"a", "bc", "d"}, {"e"}}, bytes, "t");
  EXPECT_EQ(tokens, (std::vector<int32_t>{256, 'a', 257, 'b', 'c', 258, 'd', 256, 'e'}));
  const Marks marks(bytes);
  EXPECT_EQ(marks.of_turn(0), 256);
  EXPECT_EQ(marks.of_turn(3), 257);
  EXPECT_EQ(marks.of_turn(4), 258);
  EXPECT_TRUE(marks.is_mark(256) && marks.is_mark(258) && !marks.is_mark(255));
  EXPECT_EQ(names_with_marks(bytes).size(), 259u);
}

// The numbers of the conversations in a part, as they are said in it.
std::set<int> numbers_in(const TokenText& text, const std::vector<int32_t>& part) {
  const Marks marks(*text.tokenizer);
  std::string said;
  for (const int32_t token : part) said += marks.is_mark(token) ? "|" : text.tokenizer->decode(token);
  std::set<int> out;
  for (size_t at = 0; (at = said.find("|the number is ", at)) != std::string::npos; ++at)
    out.insert(std::stoi(said.substr(at + 15)));
  return out;
}

TEST(Conversations, AreHeldOutWhole) {
  const TextOptions options{.tokens = 300, .context = 8, .fractions = {.validation = 0.1, .test = 0.2}};
  const TokenText text = tokenize(many(1000), options, 1, "many");
  EXPECT_EQ(std::ssize(text.names), 300);
  const std::set<int> train = numbers_in(text, text.parts.train), validation = numbers_in(text, text.parts.validation),
                      test = numbers_in(text, text.parts.test);
  EXPECT_EQ(train.size() + validation.size() + test.size(), 1000u);
  EXPECT_NEAR(static_cast<double>(validation.size()), 100, 35);
  EXPECT_NEAR(static_cast<double>(test.size()), 200, 45);
  // Fewer of them are divided the same way, another seed divides in another way, doubles go together.
  const TokenText half = tokenize(many(500), options, 1, "many"), other = tokenize(many(1000), options, 2, "many");
  for (const int number : numbers_in(half, half.parts.test)) EXPECT_TRUE(test.contains(number)) << number;
  EXPECT_NE(numbers_in(other, other.parts.test), test);
  Talks twice = many(200);
  for (const Conversation& each : many(200)) twice.push_back(each);
  const TokenText doubled = tokenize(twice, options, 1, "many");
  for (const int number : numbers_in(doubled, doubled.parts.test))
    EXPECT_FALSE(numbers_in(doubled, doubled.parts.train).contains(number)) << number;
}

// Word pieces are learnt from the training part alone.
TEST(Conversations, HeldOutOnesTeachNoTokens) {
  const TextOptions options{.tokens = 400, .context = 8, .fractions = {.validation = 0, .test = 0.5}};
  const TokenText text = tokenize(many(300), options, 3, "many");
  std::vector<std::string> training;
  const Marks marks(*text.tokenizer);
  for (const int32_t token : text.parts.train) {
    if (marks.is_mark(token))
      training.emplace_back();
    else
      training.back() += text.tokenizer->decode(token);
  }
  const std::vector<std::string_view> views(training.begin(), training.end());
  EXPECT_EQ(BytePairs::train(views, 400 - Marks::count).to_json(), text.tokenizer->to_json());
}

TEST(Conversations, InCharactersKnowThoseOfAllParts) {
  const TokenText text = tokenize(many(100), {.context = 8, .fractions = {.validation = 0.1, .test = 0.2}}, 1, "many");
  EXPECT_EQ(std::ssize(text.names), text.tokenizer->size() + Marks::count);
  EXPECT_EQ(text.tokenizer->encode("0123456789", "x").size(), 10u);
  const Splits splits = window_splits(text, {.context = 8, .fractions = {.validation = 0.1, .test = 0.2}}, "many");
  EXPECT_EQ(std::ssize(splits.train.classes), std::ssize(text.names));
  EXPECT_GT(splits.test.size(), 0);
}

// Every second window of training, and in the long run every conversation.
TEST(Conversations, OftenBeginTrainingWindows) {
  const TextOptions options{.tokens = 300, .context = 12, .windows = 3000, .fractions = {.validation = 0, .test = 0.2}};
  const TokenText text = tokenize(many(50), options, 1, "many");
  const Splits splits = window_splits(text, options, "many");
  const Marks marks(*text.tokenizer);
  Batches batches(splits.train, {.batch_size = 100, .seed = 1});
  batches.start(0);
  int64_t begin = 0, all = 0;
  std::set<std::vector<int32_t>> different;
  while (const Batch* batch = batches.next()) {
    const std::span<const int32_t> in = batch->inputs.as<int32_t>(), out = batch->targets.as<int32_t>();
    for (size_t i = 0; i < in.size(); i += 12, ++all) {
      for (size_t j = 0; j + 1 < 12; ++j) EXPECT_EQ(out[i + j], in[i + j + 1]);
      if (in[i] != marks.begins) continue;
      ++begin;
      different.emplace(in.begin() + static_cast<int64_t>(i), in.begin() + static_cast<int64_t>(i) + 12);
    }
  }
  EXPECT_EQ(all, 3000);
  EXPECT_NEAR(static_cast<double>(begin) / 3000, 0.5, 0.08);
  EXPECT_GE(std::ssize(different), std::ssize(text.starts) - 2);
}

}  // namespace
}  // namespace descent::data
