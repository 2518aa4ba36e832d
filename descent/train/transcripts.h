// Judging transcripts: what the frames of a CTC net say, against what was said.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "descent/core/array.h"
#include "descent/train/metrics.h"

namespace descent::train {

// The fewest insertions, deletions and replacements that make one of the other (Levenshtein 1966).
int64_t edit_distance(std::span<const int32_t> from, std::span<const int32_t> to);

// The likeliest class of each frame, scores f32 [frames, classes], runs of one made one and blanks (the last class)
// gone.
std::vector<int32_t> best_path(std::span<const float> scores, int64_t classes);

// A row of targets without the padding of -1.
std::span<const int32_t> characters_of(std::span<const int32_t> row);

// Fails naming `source`, the row and the number if one of the characters i32 [N, most], padded by -1, is the blank of
// such outputs or none of their classes.
void check_transcripts(const Shape& outputs, const Array& targets, const std::string& source);

// Edit distances over everything added: by character, by word, and how many transcripts are not exactly right.
class TranscriptMetrics {
 public:
  // `space` is the character that parts words; -1 if there is none, so that each transcript is a word.
  explicit TranscriptMetrics(int32_t space) : space_(space) {}

  void add(std::span<const int32_t> said, std::span<const int32_t> wanted);

  // Of each row of scores f32 [N, frames, characters + 1] its best path, against targets i32 [N, most] padded by -1.
  void add(const Array& scores, const Array& targets);

  // cer and wer, the distances over the number of characters and words that were said, and sentence_error, a part of
  // all. Where nothing was said, distances over 1.
  Figures figures() const;

 private:
  int32_t space_;
  int64_t sentences_ = 0, wrong_ = 0, characters_ = 0, character_errors_ = 0, words_ = 0, word_errors_ = 0;
};

}  // namespace descent::train
