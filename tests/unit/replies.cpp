// Answers as examples: what stands in a row, what is its target, and where it is cut.
#include "descent/data/replies.h"

#include <algorithm>
#include <set>

#include "descent/data/batches.h"
#include "descent/data/byte_pairs.h"
#include "tests/unit/data_testing.h"

namespace descent::data {
namespace {

using Numbers = std::vector<int32_t>;

constexpr int32_t begins = 256, other = 257, one = 258;

Replies replies(const std::vector<Conversation>& talks, int64_t context) {
  const BytePairs bytes({});
  return Replies(tokens_of(talks, bytes, "t"), Marks(bytes), context);
}

// A row in as much room as it needs, or in all of it.
Numbers row_of(const Replies& rows, int64_t row, bool whole = false) {
  Numbers out(static_cast<size_t>(whole ? rows.row_type().shape[0] : rows.room(row)));
  rows.read(row, std::as_writable_bytes(std::span(out)));
  return out;
}

Numbers target_of(const Replies& rows, int64_t row) {
  const Array all = rows.targets();
  const std::span<const int32_t> own = all.rows(row, row + 1).as<int32_t>();
  return {own.begin(), own.end()};
}

TEST(Replies, StandBesideWhatTheyAnswer) {
  const Replies rows = replies({{"a", "bc", "d"}, {"e", "f"}, {"alone"}}, 8);
  ASSERT_EQ(rows.size(), 3);
  EXPECT_EQ(row_of(rows, 0, true), (Numbers{begins, 'a', -1, -1, -1, -1, -1, -1, other, 'b', 'c', -1, -1, -1, -1, -1}));
  EXPECT_EQ(target_of(rows, 0), (Numbers{'b', 'c', one, -1, -1, -1, -1, -1}));
  EXPECT_EQ(row_of(rows, 1, true),
            (Numbers{begins, 'a', other, 'b', 'c', -1, -1, -1, one, 'd', -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(target_of(rows, 1), (Numbers{'d', begins, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(row_of(rows, 2), (Numbers{begins, 'e', other, 'f'}));
  EXPECT_EQ(target_of(rows, 2), (Numbers{'f', begins, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(rows.row_type(), (Type{DType::i32, {16}}));
}

// Whole turns as long as they fit; of one that is too long alone the mark and the end.
TEST(Replies, AnswerTheLastTurnsThatFit) {
  const Replies rows = replies({{"abc", "def", "gh", "i", "jklmnopqrstuv", "w"}}, 8);
  EXPECT_EQ(row_of(rows, 1), (Numbers{begins, 'a', 'b', 'c', other, 'd', 'e', 'f', one, 'g', 'h', -1, -1, -1, -1, -1}));
  EXPECT_EQ(row_of(rows, 2), (Numbers{other, 'd', 'e', 'f', one, 'g', 'h', -1, other, 'i', -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(row_of(rows, 3), (Numbers{one, 'g', 'h', other, 'i', -1, -1, -1, one, 'j', 'k', 'l', 'm', 'n', 'o', 'p'}));
  EXPECT_EQ(target_of(rows, 3), (Numbers{'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q'}));  // without its end
  EXPECT_EQ(row_of(rows, 4), (Numbers{one, 'p', 'q', 'r', 's', 't', 'u', 'v', other, 'w', -1, -1, -1, -1, -1, -1}));
  // A turn that fills the context to the brim.
  const Replies brim = replies({{"abcdefg", "h"}, {"abcdefgh", "i"}}, 8);
  EXPECT_EQ(row_of(brim, 0)[0], begins);
  EXPECT_EQ(row_of(brim, 0)[1], 'a');
  EXPECT_EQ(row_of(brim, 1)[0], begins);
  EXPECT_EQ(row_of(brim, 1)[1], 'b');
}

TEST(Replies, NeedFewDifferentRooms) {
  std::vector<Conversation> talks;
  for (int length = 1; length < 40; ++length)
    talks.push_back(
        {std::string(static_cast<size_t>(length), 'a'), std::string(static_cast<size_t>(40 - length), 'b')});
  for (const int64_t context : {4, 10, 16}) {
    const Replies rows = replies(talks, context);
    std::set<int64_t> rooms;
    for (int64_t row = 0; row < rows.size(); ++row) {
      rooms.insert(rows.room(row));
      EXPECT_EQ(rows.room(row) % 2, 0);
      EXPECT_LE(rows.room(row), 2 * context);
      const Numbers tight = row_of(rows, row), whole = row_of(rows, row, true);
      const auto count = [](const Numbers& all) {
        return std::count_if(all.begin(), all.end(), [](int32_t x) { return x >= 0; });
      };
      EXPECT_EQ(count(tight), count(whole)) << "nothing is cut off by the room";
    }
    EXPECT_LE(rooms.size(), 4u);
  }
}

TEST(Replies, ComeInBatchesOfTheirRoom) {
  std::vector<Conversation> talks;
  for (int i = 0; i < 40; ++i) talks.push_back({"q", std::string(static_cast<size_t>(1 + i % 14), 'b')});
  const BytePairs bytes({});
  const Dataset data = replies_of(tokens_of(talks, bytes, "t"), Marks(bytes), names_with_marks(bytes), 16, "t");
  Batches batches(data, {.batch_size = 8, .seed = 1});
  batches.start(0);
  int64_t rows = 0;
  std::set<int64_t> rooms;
  while (const Batch* batch = batches.next()) {
    rows += batch->inputs.shape()[0];
    rooms.insert(batch->inputs.shape()[1]);
    EXPECT_EQ(batch->targets.shape()[1], 16);
    const int64_t room = batch->inputs.shape()[1];
    for (int64_t row = 0; row < batch->inputs.shape()[0]; ++row) {
      EXPECT_EQ(batch->inputs.at(row * room), begins);
      EXPECT_EQ(batch->inputs.at(row * room + room / 2), other);
      for (int64_t at = 1; at < room / 2; ++at)  // a target is what comes next
        if (batch->targets.at(row * 16 + at) >= 0) {
          EXPECT_EQ(batch->inputs.at(row * room + room / 2 + at), batch->targets.at(row * 16 + at - 1));
        }
    }
  }
  EXPECT_EQ(rows, 40);
  EXPECT_GT(rooms.size(), 1u);
}

TEST(Replies, SayWhatIsWrong) {
  EXPECT_EQ(error_of([] { replies({{"a"}, {"b"}}, 8); }), "there is no turn that answers another");
  EXPECT_EQ(error_of([] { replies({{"a", "b"}}, 3); }), "answers need a context of at least 4 tokens, got 3");
  const BytePairs bytes({});
  EXPECT_EQ(error_of([&] {
              replies_of({256, 'a'}, Marks(bytes), {}, 8, "talk.txt");
            }),
            "talk.txt: there is no turn that answers another");
}

}  // namespace
}  // namespace descent::data
