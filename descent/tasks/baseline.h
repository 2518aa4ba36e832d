// What counting is worth: the model that a net for language has to beat.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "descent/data/dataset.h"
#include "descent/train/metrics.h"

namespace descent::tasks {

// An n-gram (data/ngram.h) of the tokens that a net was trained on, judged on the tokens that the net is judged on:
// each of them once, from those before it, which are not cut off where a window begins. Of a net that replies that are
// the answers' tokens alone.
struct NGramBaseline {
  int order = 5;
  int64_t ngrams = 0;
  double loss = 0;  // mean of -log p of a token, natural
  double perplexity() const;
  train::Figures figures() const { return {{"loss", loss}, {"perplexity", perplexity()}}; }

  // "5-gram      loss 4.0213  perplexity 55.7720; the net's is 32.1% lower"
  std::string to_text(const train::Figures& net) const;
};

// Takes about a second for a million training tokens. Nothing unless both are windows of a text, or both answers.
std::optional<NGramBaseline> ngram_baseline(const data::Dataset& training, const data::Dataset& judged);

}  // namespace descent::tasks
