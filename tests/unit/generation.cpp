// Going on with a text: a net that remembers says what one says that looks at everything anew.
#include "descent/tasks/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "descent/runtime/backend.h"

namespace descent::tasks {
namespace {

using TextRun = tasks::Run;  // within a test, Run is GoogleTest's

constexpr int64_t window = 12, vocabulary = 256;

// A net as it is before any training, its weights made larger so that scores differ.
TextRun run_of(const std::string& net, const std::string& precision = "f32", int64_t places = window) {
  TextRun run = untrained_text_run(net, places, precision);
  for (const nn::ParameterPtr& parameter : nn::all_parameters(*run.net)) {
    if (parameter->type().shape.rank() < 2) continue;
    Array values = parameter->array().clone();
    for (float& value : values.as<float>()) value *= 3;
    parameter->assign(values);
  }
  return run;
}

std::string decoder(const std::string& settings) {
  return "net = { kind = \"decoder\", outputs = 256, layers = 2, heads = 2, width = 32, context = 12, " + settings +
         " }";
}

std::string layers(const std::string& inside) {
  return "layers = [ { kind = \"embedding\", count = 256, features = 16 }, " + inside +
         ", { kind = \"linear\", features = 256 } ]";
}

std::vector<int32_t> some_tokens(int64_t count) {
  data::RandomStream random(4);
  std::vector<int32_t> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(static_cast<int32_t>(random.below(vocabulary)));
  return out;
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(double{a[i]} - b[i]));
  return worst;
}

int64_t best_of(std::span<const float> scores) { return std::ranges::max_element(scores) - scores.begin(); }

TEST(NextScores, ThatRememberAreThoseThatLookAgain) {
  for (const std::string& net :
       {decoder("positions = \"rotary\""), decoder("positions = \"learnt\""), decoder("positions = \"sinusoidal\""),
        decoder("positions = \"none\", bias = false, rms_norm = true, tied = false"),
        layers("{ kind = \"gru\", hidden = 24 }"), layers("{ kind = \"gru\", hidden = 8, layers = 2 }"),
        layers("{ kind = \"lstm\", hidden = 24 }, { kind = \"gru\", hidden = 8 }")}) {
    const TextRun run = run_of(net);
    NextScores remembering(run), looking(run, 1, false);
    EXPECT_TRUE(remembering.remembers());
    EXPECT_FALSE(looking.remembers());
    for (const int32_t token : some_tokens(3 * window)) {  // beyond the window, too
      const std::span<const float> a = remembering.step(std::span(&token, 1)), b = looking.step(std::span(&token, 1));
      ASSERT_EQ(a.size(), static_cast<size_t>(vocabulary));
      EXPECT_LT(largest_difference(a, b), 1e-4) << net;
      EXPECT_EQ(best_of(a), best_of(b)) << net;
      EXPECT_EQ(remembering.seen(), looking.seen());
      EXPECT_LE(remembering.seen(), window);
    }
  }
}

// With bf16 products both round what they multiply, in places of their own.
TEST(NextScores, InBf16AreNear) {
  if (!default_backend().fast_bf16()) GTEST_SKIP() << "no bf16 products";
  const std::string net = decoder("positions = \"rotary\"");
  const TextRun exact = run_of(net), run = run_of(net, "bf16");
  NextScores remembering(run), looking(run, 1, false), precise(exact);
  double range = 0, worst = 0, rounding = 0;
  for (const int32_t token : some_tokens(2 * window)) {
    const std::span<const float> a = remembering.step(std::span(&token, 1)), b = looking.step(std::span(&token, 1)),
                                 c = precise.step(std::span(&token, 1));
    for (const float score : c) range = std::max(range, std::abs(double{score}));
    worst = std::max(worst, largest_difference(a, b));
    rounding = std::max(rounding, largest_difference(b, c));
  }
  EXPECT_LT(worst, 0.03 * range);
  EXPECT_LT(rounding, 0.03 * range);
}

// The copies in bf16 that a step keeps of weights follow them.
TEST(NextScores, SeeWeightsThatChange) {
  const TextRun run = run_of(decoder("positions = \"rotary\""), default_backend().fast_bf16() ? "bf16" : "f32");
  const std::vector<int32_t> tokens{3, 1, 4};
  NextScores next(run);
  const std::span<const float> scores = next.feed(tokens);
  const std::vector<float> before(scores.begin(), scores.end());
  for (const nn::ParameterPtr& parameter : nn::all_parameters(*run.net)) {
    Array values = parameter->array().clone();
    for (float& value : values.as<float>()) value *= 1.5F;
    parameter->assign(values);
  }
  next.clear();
  NextScores fresh(run);
  const std::span<const float> after = next.feed(tokens);
  EXPECT_LT(largest_difference(after, fresh.feed(tokens)), 1e-6);
  EXPECT_GT(largest_difference(after, before), 0.1);
}

TEST(NextScores, FeedIsManySteps) {
  const TextRun run = run_of(decoder("positions = \"rotary\""));
  const std::vector<int32_t> tokens = some_tokens(40);
  for (const bool remembering : {true, false})
    for (const size_t count : {1u, 11u, 12u}) {
      NextScores once(run, 1, remembering), stepping(run, 1, remembering);
      const std::span<const float> a = once.feed(std::span(tokens).first(count));
      std::span<const float> b;
      for (size_t i = 0; i < count; ++i) b = stepping.step(std::span(tokens).subspan(i, 1));
      EXPECT_LT(largest_difference(a, b), 1e-5);
    }
  // Of what is longer than the window the end counts.
  NextScores all(run), end(run);
  EXPECT_LT(largest_difference(all.feed(tokens), end.feed(std::span(tokens).last(window / 2))), 1e-6);
  EXPECT_THROW(all.feed({}), Error);
  EXPECT_THROW(all.step(tokens), Error);
}

// Sequences side by side do not see each other, and go on from where another was.
TEST(NextScores, SideBySide) {
  for (const std::string& net : {decoder("positions = \"rotary\""), layers("{ kind = \"gru\", hidden = 24 }")})
    for (const bool remembering : {true, false}) {
      const TextRun run = run_of(net);
      NextScores three(run, 3, remembering), one(run, 1, remembering);
      const std::vector<int32_t> start{7, 8, 9}, branch{1, 2, 3}, last{4, 5, 6};
      three.feed(start);
      three.step(branch);
      const std::vector<int64_t> from{2, 0, 0};
      three.reorder(from);
      const std::span<const float> scores = three.step(last);
      for (size_t i = 0; i < 3; ++i) {
        one.clear();
        one.feed(start);
        one.step(std::span(branch).subspan(static_cast<size_t>(from[i]), 1));
        EXPECT_LT(
            largest_difference(scores.subspan(i * vocabulary, vocabulary), one.step(std::span(last).subspan(i, 1))),
            1e-4);
      }
    }
}

// A beam search with a net finds what it finds by looking at whole texts.
TEST(NextScores, ServeABeamSearch) {
  const TextRun run = run_of(decoder("positions = \"rotary\""));
  const std::vector<int32_t> prompt{10, 20};
  const BeamOptions options{.width = 4, .length = 6};
  const auto ends = [](int32_t token) { return token < 40; };
  NextScores remembering(run, 4), looking(run, 4, false);
  const std::vector<Beam> a = search_texts(remembering, prompt, ends, options),
                          b = search_texts(looking, prompt, ends, options);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].tokens, b[i].tokens);
    EXPECT_NEAR(a[i].score, b[i].score, 1e-4);
  }
}

// Layers that look ahead, or mix places in other ways, are not gone through place by place.
TEST(NextScores, OfOtherNetsLookAtWindows) {
  const TextRun run = run_of(layers("{ kind = \"self_attention\", heads = 2 }"));
  EXPECT_FALSE(NextScores(run).remembers());
  EXPECT_FALSE(NextScores(run_of(layers("{ kind = \"gru\", hidden = 8, bidirectional = true }"))).remembers());
  TextRun none = run_of(decoder("positions = \"rotary\""));
  none.preprocess.tokenizer = nullptr;
  EXPECT_THROW(NextScores{none}, UsageError);
}

// A net that answers, with marks behind the bytes.
TextRun reply_run(const std::string& cell, const std::string& precision = "f32") {
  TextRun run = run_of(
      "net = { kind = \"encoder_decoder\", cell = \"" + cell + "\", outputs = 256, layers = 2, heads = 2, width = 32 }",
      precision, 2 * window);
  run.preprocess.conversations = run.preprocess.replies = true;
  return run;
}

TEST(NextScores, ThatReplyAndRememberAreThoseThatLookAgain) {
  for (const char* cell : {"transformer", "gru", "lstm"}) {
    SCOPED_TRACE(cell);
    const TextRun run = reply_run(cell);
    NextScores remembering(run, 2), looking(run, 2, false);
    EXPECT_TRUE(remembering.remembers() && remembering.replies());
    EXPECT_EQ(remembering.window(), window);
    EXPECT_THROW(remembering.feed(some_tokens(1)), Error);
    std::vector<float> first;
    for (const int64_t asked : {3, 1, 40}) {  // one after the other; of what is too long the end
      const std::vector<int32_t> prompt = some_tokens(asked);
      remembering.hear(prompt);
      looking.hear(prompt);
      for (int32_t i = 0; i < window; ++i) {
        const std::vector<int32_t> tokens{7 * i, i == 0 ? 0 : 200 - i};  // two answers
        const std::span<const float> a = remembering.step(tokens), b = looking.step(tokens);
        ASSERT_LT(largest_difference(a, b), 1e-4) << asked << " at " << i;
        if (i == 0 && asked == 3) first.assign(a.begin(), a.end());
        if (i == 0 && asked == 1) {
          EXPECT_GT(largest_difference(a, first), 1e-3) << "another question";
        }
      }
      EXPECT_THROW(remembering.step({{1, 2}}), Error) << "longer than the window";
    }
  }
}

TEST(NextScores, ThatReplyInBf16AreNear) {
  if (!default_backend().fast_bf16()) GTEST_SKIP() << "no bf16 products";
  for (const char* cell : {"transformer", "gru"}) {
    const TextRun exact = reply_run(cell), run = reply_run(cell, "bf16");
    NextScores precise(exact), remembering(run), looking(run, 1, false);
    for (NextScores* each : {&precise, &remembering, &looking}) each->hear(some_tokens(7));
    double range = 0, worst = 0;
    for (const int32_t token : some_tokens(window)) {
      const std::span<const float> a = remembering.step(std::span(&token, 1)), b = looking.step(std::span(&token, 1)),
                                   c = precise.step(std::span(&token, 1));
      for (const float score : c) range = std::max(range, std::abs(double{score}));
      worst = std::max({worst, largest_difference(a, c), largest_difference(b, c)});
    }
    EXPECT_LT(worst, 0.03 * range) << cell;
  }
}

TEST(NextScores, ThatReplyServeABeamSearch) {
  for (const char* cell : {"transformer", "gru"}) {
    const TextRun run = reply_run(cell);
    const std::vector<int32_t> prompt{10, 20, 30}, begin{40};
    const BeamOptions options{.width = 4, .length = 6};
    const auto ends = [](int32_t token) { return token < 40; };
    NextScores remembering(run, 4), looking(run, 4, false);
    remembering.hear(prompt);
    looking.hear(prompt);
    const std::vector<Beam> a = search_texts(remembering, begin, ends, options),
                            b = search_texts(looking, begin, ends, options);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].tokens, b[i].tokens);
  }
  TextRun none = run_of(decoder("positions = \"rotary\""));
  EXPECT_THROW(NextScores(none).hear(some_tokens(2)), Error);
}

TEST(Generate, ByABeamDrawsNothing) {
  const TextRun run = run_of(decoder("positions = \"rotary\""));
  const auto said = [&](GenerateOptions options) {
    std::string all;
    generate(run, options, [&](const std::string& piece) { all += piece; });
    return all;
  };
  GenerateOptions beam{.prompt = "ab", .length = 8, .beam = 3, .seed = 1}, other = beam;
  other.seed = 2;
  EXPECT_EQ(said(beam).size(), 8u);
  EXPECT_EQ(said(beam), said(other));
}

}  // namespace
}  // namespace descent::tasks
