// The likeliest text instead of one drawn token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace descent::tasks {

struct BeamOptions {
  int64_t width = 4;          // texts that are followed side by side
  int64_t length = 100;       // the most tokens of one
  double length_power = 0.6;  // texts are compared by log p / ((5 + length) / 6)^power; 0: by log p alone
};

struct Beam {
  std::vector<int32_t> tokens;  // with the one that ended it, if one did
  double log_probability = 0;
  double score = 0;  // log_probability, normalised by length
  bool ended = false;
};

// How the texts go on: text i of the call before, for the i in `from`, with `tokens`, a token each (at most `width` of
// them). Returns scores of the tokens that come next, one row for each text, unnormalised.
using GoOn = std::function<std::span<const float>(std::span<const int64_t> from, std::span<const int32_t> tokens)>;

// The best texts, best first, at most `width` (Wu et al., "Google's neural machine translation system", 2016, section
// 7, without its coverage). `first` are the scores of the first token; `ends` says which tokens end a text. A text that
// has ended leaves the beam, and the search is over when as many have ended as the beam is wide and no other can become
// better, or at the greatest length. Equal scores: the text that stood before, then the smaller token. Fails if options
// make no sense.
std::vector<Beam> beam_search(std::span<const float> first, const GoOn& go_on, const std::function<bool(int32_t)>& ends,
                              const BeamOptions& options);

}  // namespace descent::tasks
