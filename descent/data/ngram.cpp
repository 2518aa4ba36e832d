#include "descent/data/ngram.h"

#include <algorithm>
#include <cmath>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::data {

int64_t NGram::ngrams() const {
  int64_t total = 0;
  for (const Level& level : levels_) total += std::ssize(level.tokens);
  return total;
}

std::span<const int32_t> NGram::continuations(int level, int64_t ngram) const {
  const std::vector<uint32_t>& children = levels_[level].children;
  if (children.empty()) return {};
  const size_t begin = children[ngram], end = children[ngram + 1];
  return std::span(levels_[level + 1].tokens).subspan(begin, end - begin);
}

int64_t NGram::continuation(int level, int64_t ngram, int32_t token) const {
  const std::span<const int32_t> tokens = continuations(level, ngram);
  const auto at = std::ranges::lower_bound(tokens, token);
  if (at == tokens.end() || *at != token) return -1;
  return levels_[level].children[ngram] + (at - tokens.begin());
}

int64_t NGram::find(std::span<const int32_t> tokens) const {
  if (tokens[0] < 0 || tokens[0] >= vocabulary_) return -1;
  int64_t at = tokens[0];
  for (size_t i = 1; i < tokens.size() && at >= 0; ++i) at = continuation(static_cast<int>(i) - 1, at, tokens[i]);
  return at;
}

// From the longest context down: the first n-gram that is known gives the probability, the contexts above it, where
// they are known, what they leave to it.
double NGram::log_probability(std::span<const int32_t> context, int32_t next) const {
  if (next < 0 || next >= vocabulary_) fail(text("there is no token ", next, " among ", vocabulary_));
  double backoff = 0;
  for (size_t length = std::min(context.size(), levels_.size() - 1); length > 0; --length) {
    const int level = static_cast<int>(length) - 1;
    const int64_t known = find(context.last(length));
    if (known < 0) continue;
    const int64_t whole = continuation(level, known, next);
    if (whole >= 0) return backoff + levels_[length].log_probabilities[whole];
    backoff += levels_[level].log_backoffs[known];
  }
  return backoff + levels_[0].log_probabilities[next];
}

void NGram::log_probabilities(std::span<const int32_t> context, std::span<float> out) const {
  if (std::ssize(out) != vocabulary_)
    fail(text("an n-gram model of ", vocabulary_, " tokens was asked for the probabilities of ", out.size()));
  std::ranges::copy(levels_[0].log_probabilities, out.begin());
  for (size_t length = 1; length <= std::min(context.size(), levels_.size() - 1); ++length) {
    const int level = static_cast<int>(length) - 1;
    const int64_t known = find(context.last(length));
    if (known < 0) continue;
    for (float& each : out) each += levels_[level].log_backoffs[known];
    int64_t at = levels_[level].children[known];
    for (const int32_t token : continuations(level, known)) out[token] = levels_[length].log_probabilities[at++];
  }
}

double NGram::log_likelihood(std::span<const int32_t> sequence, int64_t first) const {
  double total = 0;
  for (auto i = static_cast<size_t>(first); i < sequence.size(); ++i)
    total += log_probability(sequence.first(i), sequence[i]);
  return total;
}

}  // namespace descent::data
