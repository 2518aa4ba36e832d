// N-gram models against their definition, counted plainly; their files; and what a light model of text is worth.
#include "descent/data/ngram.h"

#include <cmath>
#include <map>
#include <set>

#include "descent/data/random.h"
#include "descent/io/atomic_file.h"
#include "tests/unit/data_testing.h"

namespace descent::data {
namespace {

using Tokens = std::vector<int32_t>;

std::vector<std::span<const int32_t>> spans_of(const std::vector<Tokens>& all) { return {all.begin(), all.end()}; }

// Sequences in which some n-grams come often: a walk that mostly goes where it went before.
std::vector<Tokens> sequences(uint64_t seed, int count, int length, int32_t vocabulary) {
  RandomStream random(seed);
  std::vector<Tokens> out(static_cast<size_t>(count));
  for (Tokens& sequence : out) {
    const auto own = static_cast<int>(random.below(static_cast<uint64_t>(length)));
    int32_t last = 0;
    for (int i = 0; i < own; ++i) {
      const auto step =
          static_cast<int32_t>(random.below(random.uniform() < 0.7 ? 2 : static_cast<uint64_t>(vocabulary)));
      sequence.push_back(last = (last * 3 + step) % vocabulary);
    }
  }
  return out;
}

// Interpolated modified Kneser-Ney as it is written down, with maps.
class Plain {
 public:
  Plain(const std::vector<Tokens>& sequences, int32_t vocabulary, int order) : vocabulary_(vocabulary), order_(order) {
    for (const Tokens& sequence : sequences)
      for (size_t begin = 0; begin < sequence.size(); ++begin)
        for (int n = 1; n <= order && begin + n <= sequence.size(); ++n) {
          const Tokens ngram(sequence.begin() + begin, sequence.begin() + begin + n);
          ++seen_[ngram];
          before_[ngram].insert(begin == 0 ? -1 : sequence[begin - 1]);
        }
    for (int n = 1; n <= order; ++n) discounts_.push_back(discounts(n));
  }

  double probability(Tokens context, int32_t next) const {
    if (std::ssize(context) >= order_) context.erase(context.begin(), context.end() - (order_ - 1));
    const double below =
        context.empty() ? 1.0 / vocabulary_ : probability(Tokens(context.begin() + 1, context.end()), next);
    double total = 0, own = 0, left = 0;
    const auto& discount = discounts_[context.size()];
    for (int32_t token = 0; token < vocabulary_; ++token) {
      Tokens ngram = context;
      ngram.push_back(token);
      const int count = counted(ngram);
      if (count == 0) continue;
      total += count;
      left += discount[std::min(count, 3) - 1];
      if (token == next) own = count - discount[std::min(count, 3) - 1];
    }
    return total == 0 ? below : own / total + left / total * below;
  }

 private:
  int counted(const Tokens& ngram) const {
    if (std::ssize(ngram) == order_) return seen_.contains(ngram) ? seen_.at(ngram) : 0;
    return before_.contains(ngram) ? static_cast<int>(before_.at(ngram).size()) : 0;
  }
  std::vector<double> discounts(int n) const {
    double times[5] = {};
    for (const auto& [ngram, count] : seen_)
      if (std::ssize(ngram) == n && counted(ngram) < 5) ++times[counted(ngram)];
    std::vector<double> out{0.5, 1, 1.5};
    if (times[1] == 0 || times[2] == 0 || times[3] == 0) return out;
    for (int i = 1; i <= 3; ++i) {
      const double d = i - (i + 1) * times[1] / (times[1] + 2 * times[2]) * times[i + 1] / times[i];
      if (d > 0 && d < i) out[i - 1] = d;
    }
    return out;
  }

  int32_t vocabulary_;
  int order_;
  std::map<Tokens, int> seen_;
  std::map<Tokens, std::set<int32_t>> before_;
  std::vector<std::vector<double>> discounts_;
};

TEST(NGram, IsKneserAndNeys) {
  for (const int order : {1, 2, 3, 5})
    for (const uint64_t seed : {1, 2}) {
      const int32_t vocabulary = 7;
      const std::vector<Tokens> text = sequences(seed, 12, 60, vocabulary);
      const NGram model = NGram::fit(spans_of(text), vocabulary, order);
      const Plain plain(text, vocabulary, order);
      RandomStream random(seed + 10);
      for (int i = 0; i < 200; ++i) {
        Tokens context;
        for (uint64_t n = random.below(7); n > 0; --n) context.push_back(static_cast<int32_t>(random.below(7)));
        for (int32_t next = 0; next < vocabulary; ++next)
          EXPECT_NEAR(std::exp(model.log_probability(context, next)), plain.probability(context, next), 1e-6)
              << "order " << order << ", seed " << seed << ", context of " << context.size();
      }
    }
}

TEST(NGram, GivesAllTokensTheWholeProbability) {
  const int32_t vocabulary = 50;
  const std::vector<Tokens> text = sequences(3, 40, 400, vocabulary);
  const NGram model = NGram::fit(spans_of(text), vocabulary, 4);
  std::vector<float> all(50);
  for (const Tokens& context :
       {Tokens{}, Tokens{1}, Tokens{3, 9, 27, 31}, Tokens{49, 49, 49}, Tokens{-1, 3}, Tokens{50}}) {
    model.log_probabilities(context, all);
    double total = 0;
    for (int32_t next = 0; next < vocabulary; ++next) {
      EXPECT_NEAR(all[next], model.log_probability(context, next), 1e-5);
      total += std::exp(double{all[next]});
    }
    EXPECT_NEAR(total, 1, 1e-5);
  }
  EXPECT_NEAR(
      model.log_likelihood(text[1]),
      [&] {
        double sum = 0;
        for (size_t i = 0; i < text[1].size(); ++i)
          sum += model.log_probability(std::span(text[1]).first(i), text[1][i]);
        return sum;
      }(),
      1e-9);
}

// What is longer knows more: a text that repeats itself is foreseen, and better with more context.
TEST(NGram, LearnsWhatRepeats) {
  Tokens text;
  for (int i = 0; i < 3000; ++i) text.push_back((i % 7) * (i % 5) % 6);
  const std::span<const int32_t> all(text), training = all.first(2500);
  double last = 0;
  for (const int order : {1, 2, 3, 5}) {
    const double own = NGram::fit(training, 6, order).log_likelihood(all.last(500));
    if (order > 1) {
      EXPECT_GT(own, last + 20) << order;
    }
    last = own;
  }
  EXPECT_GT(last, -60);
}

TEST(NGram, IsTheSameAfterAFile) {
  const Folder folder;
  const std::vector<Tokens> text = sequences(5, 10, 100, 9);
  const NGram model = NGram::fit(spans_of(text), 9, 3);
  model.save(folder.path("model"));
  const NGram again = NGram::load(folder.path("model"));
  EXPECT_EQ(again.order(), 3);
  EXPECT_EQ(again.vocabulary(), 9);
  EXPECT_EQ(again.ngrams(), model.ngrams());
  for (const Tokens& sequence : text) EXPECT_EQ(again.log_likelihood(sequence), model.log_likelihood(sequence));
  // A text that is shorter than the order.
  NGram::fit(Tokens{2, 1}, 3, 5).save(folder.path("short"));
  const NGram shorter = NGram::load(folder.path("short"));
  EXPECT_EQ(shorter.log_probability(Tokens{2}, 1), NGram::fit(Tokens{2, 1}, 3, 5).log_probability(Tokens{2}, 1));
  EXPECT_GT(shorter.log_probability(Tokens{2}, 1), shorter.log_probability(Tokens{2}, 0));
}

// Every byte of a file is changed in turn: it is refused, or what it says stays within bounds.
TEST(NGram, DamagedFilesAreRefusedOrHarmless) {
  const Folder folder;
  NGram::fit(Tokens{0, 1, 0, 1, 2, 0, 1, 1, 2, 0}, 3, 3).save(folder.path("model"));
  const std::vector<std::byte> good = io::read_file(folder.path("model"));
  int refused = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    std::vector<std::byte> bad = good;
    bad[i] ^= std::byte{0x55};
    folder.write("bad", bad);
    try {
      const NGram model = NGram::load(folder.path("bad"));
      for (int32_t a = 0; a < 3; ++a)
        for (int32_t b = 0; b < 3; ++b) model.log_probability(Tokens{a, b}, 2);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(NGram, SaysWhatMakesNoSense) {
  const Tokens text{0, 1, 3};
  EXPECT_EQ(error_of([&] { NGram::fit(text, 3); }), "token 2 of an n-gram model's text is 3, beyond a vocabulary of 3");
  EXPECT_EQ(error_of([&] { NGram::fit(text, 4, 0); }), "the order of an n-gram model must be 1 to 16, got 0");
  EXPECT_EQ(error_of([&] { NGram::fit(Tokens{}, 4); }), "an n-gram model cannot be made of no tokens");
  EXPECT_EQ(error_of([&] { NGram::fit(text, 0); }), "an n-gram model cannot have 0 tokens");
  const NGram model = NGram::fit(text, 4, 2);
  EXPECT_EQ(error_of([&] { model.log_probability(text, 4); }), "there is no token 4 among 4");
  const Folder folder;
  folder.write("none", bytes_of("not a model"));
  EXPECT_NE(error_of([&] { NGram::load(folder.path("none")); }), "");
}

}  // namespace
}  // namespace descent::data
