// Beam search against all texts there are, and drawing from the likeliest.
#include "descent/tasks/beam_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "descent/base/error.h"
#include "descent/tasks/sampling.h"

namespace descent::tasks {
namespace {

using Tokens = std::vector<int32_t>;

constexpr int32_t ending = 2;
constexpr size_t vocabulary = 3;
bool ends(int32_t token) { return token == ending; }

// Scores after a text: any numbers that depend on all of it.
std::vector<float> scores_after(const Tokens& text, uint64_t seed) {
  uint64_t key = seed;
  for (const int32_t token : text) key = data::random_key(key, token);
  data::RandomStream random(key);
  std::vector<float> out;
  for (size_t i = 0; i < vocabulary; ++i) out.push_back(static_cast<float>(random.symmetric(2)));
  return out;
}

// A model as a beam search asks it.
struct Model {
  uint64_t seed;
  std::vector<Tokens> texts{{}};
  std::vector<float> scores;

  std::span<const float> operator()(std::span<const int64_t> from, std::span<const int32_t> tokens) {
    std::vector<Tokens> next;
    for (size_t i = 0; i < from.size(); ++i) {
      next.push_back(texts.at(static_cast<size_t>(from[i])));
      next.back().push_back(tokens[i]);
    }
    texts = next;
    scores.clear();
    for (const Tokens& text : texts) std::ranges::copy(scores_after(text, seed), std::back_inserter(scores));
    return scores;
  }
};

double log_probability(const Tokens& text, uint64_t seed) {
  double sum = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::vector<float> scores = scores_after(Tokens(text.begin(), text.begin() + static_cast<int64_t>(i)), seed);
    double total = 0;
    for (const float score : scores) total += std::exp(double{score});
    sum += scores[static_cast<size_t>(text[i])] - std::log(total);
  }
  return sum;
}

double normalised(const Tokens& text, uint64_t seed, double power) {
  return log_probability(text, seed) / std::pow((5 + static_cast<double>(text.size())) / 6, power);
}

// Every text that ends, or is as long as texts may be.
void all_texts(Tokens text, int64_t length, std::vector<Tokens>& out) {
  if (!text.empty() && (ends(text.back()) || std::ssize(text) == length)) return out.push_back(text);
  for (int32_t token = 0; token < static_cast<int32_t>(vocabulary); ++token) {
    Tokens longer = text;
    longer.push_back(token);
    all_texts(longer, length, out);
  }
}

TEST(BeamSearch, ThatIsWideFindsTheBestOfAll) {
  for (const double power : {0.0, 0.6, 1.0, 2.0})
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      const int64_t length = 5;
      std::vector<Tokens> all;
      all_texts({}, length, all);
      std::ranges::sort(all, std::greater<>{}, [&](const Tokens& text) { return normalised(text, seed, power); });
      Model model{seed, {{}}, {}};
      const std::vector<Beam> found = beam_search(scores_after({}, seed), std::ref(model), ends,
                                                  {.width = 64, .length = length, .length_power = power});
      ASSERT_EQ(found.size(), std::min<size_t>(64, all.size()));
      for (size_t i = 0; i < 10; ++i) {
        EXPECT_EQ(found[i].tokens, all[i]) << "seed " << seed << ", power " << power << ", rank " << i;
        EXPECT_NEAR(found[i].score, normalised(all[i], seed, power), 1e-5);
        EXPECT_NEAR(found[i].log_probability, log_probability(all[i], seed), 1e-5);
        EXPECT_EQ(found[i].ended, ends(all[i].back()));
      }
    }
}

// One text that is followed is what always the likeliest token gives.
TEST(BeamSearch, OfWidthOneIsGreedy) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Tokens greedy;
    for (int i = 0; i < 4; ++i) {
      const std::vector<float> scores = scores_after(greedy, seed);
      greedy.push_back(static_cast<int32_t>(std::ranges::max_element(scores) - scores.begin()));
    }
    Model model{seed, {{}}, {}};
    const auto never = [](int32_t) { return false; };
    const std::vector<Beam> found =
        beam_search(scores_after({}, seed), std::ref(model), never, {.width = 1, .length = 4});
    EXPECT_EQ(found.at(0).tokens, greedy);
  }
}

// A narrow beam asks for no more rows than it is wide.
TEST(BeamSearch, StaysWithinItsWidth) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Model model{seed, {{}}, {}};
    const auto go_on = [&](std::span<const int64_t> from, std::span<const int32_t> tokens) {
      EXPECT_LE(from.size(), 3u);
      EXPECT_EQ(from.size(), tokens.size());
      for (const int32_t token : tokens) EXPECT_FALSE(ends(token));
      return model(from, tokens);
    };
    const std::vector<Beam> found = beam_search(scores_after({}, seed), go_on, ends, {.width = 3, .length = 8});
    EXPECT_LE(found.size(), 3u);
    EXPECT_TRUE(std::ranges::is_sorted(found, std::greater<>{}, &Beam::score));
    for (const Beam& beam : found) EXPECT_NEAR(beam.log_probability, log_probability(beam.tokens, seed), 1e-5);
  }
}

TEST(BeamSearch, SaysWhatMakesNoSense) {
  Model model{1, {{}}, {}};
  const std::vector<float> scores{0, 0, 0};
  EXPECT_THROW(beam_search(scores, std::ref(model), ends, {.width = 0}), Error);
  EXPECT_THROW(beam_search(scores, std::ref(model), ends, {.length = 0}), Error);
  EXPECT_THROW(beam_search(scores, std::ref(model), ends, {.length_power = -1}), Error);
  EXPECT_THROW(beam_search({}, std::ref(model), ends, {}), Error);
}

// The smallest set of the likeliest that has the probability: drawn by their own shares, and nothing else.
TEST(Choose, DrawsFromTheNucleus) {
  const std::vector<float> scores{std::log(0.5f), std::log(0.1f), std::log(0.3f), std::log(0.1f)};
  const auto shares = [&](double top_p) {
    data::RandomStream random(3);
    std::vector<double> out(4);
    for (int i = 0; i < 20000; ++i) out[choose(scores, {.top_p = top_p}, random)] += 1.0 / 20000;
    return out;
  };
  EXPECT_EQ(shares(0.4), (std::vector<double>{shares(0.4)[0], 0, 0, 0}));
  const std::vector<double> two = shares(0.7);
  EXPECT_NEAR(two[0], 5 / 8.0, 0.015);
  EXPECT_NEAR(two[2], 3 / 8.0, 0.015);
  EXPECT_EQ(two[1] + two[3], 0);
  const std::vector<double> three = shares(0.85);
  EXPECT_NEAR(three[1], 1 / 9.0, 0.015);
  EXPECT_EQ(three[3], 0);
  EXPECT_GT(shares(1)[3], 0.08);
  data::RandomStream random(1);
  EXPECT_THROW(choose(scores, {.top_p = 0}, random), Error);
  EXPECT_THROW(choose(scores, {.top_p = 1.5}, random), Error);
  const std::vector<float> none{-HUGE_VALF, -HUGE_VALF};
  EXPECT_THROW(choose(none, {}, random), Error);
}

}  // namespace
}  // namespace descent::tasks
