#include "descent/train/transcripts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "descent/base/error.h"
#include "descent/tasks/prefix_search.h"

namespace descent {
namespace {

using Symbols = std::vector<int32_t>;

TEST(EditDistance, CountsTheFewestChanges) {
  EXPECT_EQ(train::edit_distance(Symbols{}, Symbols{}), 0);
  EXPECT_EQ(train::edit_distance(Symbols{1, 2, 3}, Symbols{}), 3);
  EXPECT_EQ(train::edit_distance(Symbols{}, Symbols{1, 2}), 2);
  EXPECT_EQ(train::edit_distance(Symbols{1, 2, 3}, Symbols{1, 3}), 1);
  // kitten, sitting
  EXPECT_EQ(train::edit_distance(Symbols{11, 9, 20, 20, 5, 14}, Symbols{19, 9, 20, 20, 9, 14, 7}), 3);
}

TEST(BestPath, JoinsRunsAndDropsBlanks) {
  // Classes a, b and the blank; frames a a blank a b b blank.
  std::vector<float> scores;
  for (const size_t best : {0, 0, 2, 0, 1, 1, 2}) {
    std::vector<float> frame{0, 0, 0};
    frame[best] = 1;
    scores.insert(scores.end(), frame.begin(), frame.end());
  }
  EXPECT_EQ(train::best_path(scores, 3), (Symbols{0, 0, 1}));
  EXPECT_TRUE(train::best_path({}, 3).empty());
}

TEST(TranscriptMetrics, AreDistancesOverWhatWasSaid) {
  train::TranscriptMetrics metrics(0);  // 0 is the space
  metrics.add(Symbols{1, 2, 0, 3}, Symbols{1, 2, 0, 4});
  metrics.add(Symbols{5}, Symbols{5});
  metrics.add(Symbols{}, Symbols{6, 0, 7});
  const train::Figures figures = metrics.figures();
  EXPECT_DOUBLE_EQ(*train::figure(figures, "cer"), 4.0 / 8);
  EXPECT_DOUBLE_EQ(*train::figure(figures, "wer"), 3.0 / 5);
  EXPECT_DOUBLE_EQ(*train::figure(figures, "sentence_error"), 2.0 / 3);
  EXPECT_FALSE(train::larger_is_better("cer"));
}

// --- search ---

std::vector<float> random_scores(int64_t frames, int64_t classes, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 1.5);
  std::vector<float> out(static_cast<size_t>(frames * classes));
  for (float& score : out) score = normal(random);
  return out;
}

constexpr int32_t space = 2;  // where words are asked for

// What both models say of a transcript: that of words of the words, that of characters of unknown words and of the
// spaces behind them, and of all where there is no other.
double language_score(const Symbols& transcript, const tasks::PrefixSearchOptions& options) {
  const auto character = [&](size_t i) {
    Symbols before{space};
    before.insert(before.end(), transcript.begin(), transcript.begin() + static_cast<std::ptrdiff_t>(i));
    if (!options.word_model) before.erase(before.begin());
    return options.model ? options.language * options.model->log_probability(before, transcript[i]) : 0;
  };
  double score = options.bonus * static_cast<double>(transcript.size());
  if (!options.word_model) {
    for (size_t i = 0; i < transcript.size(); ++i) score += character(i);
    return score;
  }
  const data::WordModel& words = *options.word_model;
  std::vector<int32_t> said{words.edge()};
  for (size_t begin = 0; begin <= transcript.size();) {
    const auto end = static_cast<size_t>(
        std::find(transcript.begin() + static_cast<std::ptrdiff_t>(begin), transcript.end(), space) -
        transcript.begin());
    const Symbols word(transcript.begin() + static_cast<std::ptrdiff_t>(begin),
                       transcript.begin() + static_cast<std::ptrdiff_t>(end));
    const auto at = std::ranges::find(words.words(), word);
    const auto number = static_cast<int32_t>(at - words.words().begin());
    if (!word.empty()) {
      score += options.words * words.log_probability(said, number);
      said.push_back(number);
    }
    if (at == words.words().end())
      for (size_t i = begin; i < std::min(end + 1, transcript.size()); ++i) score += character(i);
    begin = end + 1;
  }
  return score + options.words * words.log_probability(said, words.edge());
}

// The likeliest transcript by all classes^frames rows of frames, with what the models say of each.
Symbols enumerated(const std::vector<float>& scores, int64_t classes, const tasks::PrefixSearchOptions& options) {
  const auto frames = std::ssize(scores) / classes;
  const auto blank = static_cast<int32_t>(classes - 1);
  std::map<Symbols, double> probability;
  std::vector<int32_t> row(static_cast<size_t>(frames), 0);
  for (;;) {
    Symbols collapsed;
    double log_p = 0;
    for (int64_t t = 0; t < frames; ++t) {
      double total = 0;
      for (int64_t c = 0; c < classes; ++c) total += std::exp(scores[t * classes + c]);
      log_p += scores[t * classes + row[t]] - std::log(total);
      if (row[t] != blank && (t == 0 || row[t] != row[t - 1])) collapsed.push_back(row[t]);
    }
    probability[collapsed] += std::exp(log_p);
    int64_t t = 0;
    while (t < frames && ++row[t] == classes) row[t++] = 0;
    if (t == frames) break;
  }
  Symbols best;
  double largest = -HUGE_VAL;
  for (const auto& [transcript, p] : probability) {
    const double score = std::log(p) + language_score(transcript, options);
    if (score > largest) best = transcript;
    largest = std::max(largest, score);
  }
  return best;
}

Symbols searched(const std::vector<float>& scores, int64_t classes, const tasks::PrefixSearchOptions& options,
                 bool settling) {
  tasks::PrefixSearch search(classes, options, options.word_model ? space : -1);
  Symbols out;
  for (size_t at = 0; at < scores.size(); at += static_cast<size_t>(classes)) {
    search.add(std::span(scores).subspan(at, static_cast<size_t>(classes)));
    if (!settling) continue;
    const Symbols settled = search.take_settled();
    out.insert(out.end(), settled.begin(), settled.end());
  }
  const Symbols rest = search.finish();
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

TEST(PrefixSearch, FindsTheLikeliestTranscript) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const std::vector<float> scores = random_scores(6, 4, seed);
    const tasks::PrefixSearchOptions wide{.width = 2000};
    EXPECT_EQ(searched(scores, 4, wide, false), enumerated(scores, 4, wide)) << seed;
  }
}

std::shared_ptr<const data::NGram> small_model() {
  return std::make_shared<data::NGram>(data::NGram::fit(Symbols{0, 1, 2, 0, 1, 2, 0, 1, 2}, 3, 3));
}

TEST(PrefixSearch, FollowsALanguageModel) {
  const auto model = small_model();
  const tasks::PrefixSearchOptions options{.width = 2000, .language = 0.8, .bonus = 0.4, .model = model};
  int changed = 0;
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const std::vector<float> scores = random_scores(6, 4, seed);
    const Symbols found = searched(scores, 4, options, false);
    EXPECT_EQ(found, enumerated(scores, 4, options)) << seed;
    changed += found != searched(scores, 4, {.width = 2000}, false);
  }
  EXPECT_GT(changed, 5);
}

std::shared_ptr<const data::WordModel> small_words() {
  const std::vector<Symbols> sentences{{0, 1, space, 1}, {0, 1, space, 1, 1}, {1, space, 0, 1}};
  return std::make_shared<data::WordModel>(data::WordModel::fit(sentences, space, 3));
}

TEST(PrefixSearch, FollowsAModelOfWords) {
  const auto words = small_words();
  for (const auto& model : {small_model(), std::shared_ptr<const data::NGram>()}) {
    const tasks::PrefixSearchOptions options{
        .width = 3000, .language = 0.4, .bonus = 0.3, .model = model, .words = 0.9, .word_model = words};
    int changed = 0;
    for (uint32_t seed = 0; seed < 40; ++seed) {
      const std::vector<float> scores = random_scores(6, 4, seed);
      const Symbols found = searched(scores, 4, options, false);
      EXPECT_EQ(found, enumerated(scores, 4, options)) << seed;
      changed += found != searched(scores, 4, {.width = 2000}, false);
    }
    EXPECT_GT(changed, 5);
  }
}

// What was taken as settled makes no difference to the rest.
TEST(PrefixSearch, GivesWhatIsSettledAsItComes) {
  const auto model = small_model();
  for (const int64_t width : {1, 4, 30})
    for (uint32_t seed = 0; seed < 20; ++seed) {
      const std::vector<float> scores = random_scores(300, 4, seed);
      const tasks::PrefixSearchOptions options{.width = width, .language = 0.5, .bonus = 0.2, .model = model};
      EXPECT_EQ(searched(scores, 4, options, true), searched(scores, 4, options, false)) << width << " " << seed;
      tasks::PrefixSearchOptions with_words = options;
      with_words.words = 0.7;
      with_words.word_model = small_words();
      EXPECT_EQ(searched(scores, 4, with_words, true), searched(scores, 4, with_words, false)) << width << " " << seed;
    }
}

TEST(PrefixSearch, OfMisuse) {
  EXPECT_THROW(tasks::PrefixSearch(1, {}), Error);
  EXPECT_THROW(tasks::PrefixSearch(4, {.width = 0}), Error);
  EXPECT_THROW(tasks::PrefixSearch(4, {.model = std::make_shared<data::NGram>(data::NGram::fit(Symbols{1, 2}, 7, 2))}),
               Error);
}

}  // namespace
}  // namespace descent
