// Prefix beam search: the likeliest transcript of a CTC net's frames, summed over the ways to say it (Hannun et al.,
// "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs", 2014), frame by
// frame.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "descent/data/ngram.h"

namespace descent::tasks {

struct PrefixSearchOptions {
  int64_t width = 1;    // transcripts that are kept after each frame; 1: the likeliest class of each frame
  double language = 0;  // weight of the language model's log-probabilities
  double bonus = 0;     // added for each character, since the model makes each cost something
  std::shared_ptr<const data::NGram> model = {};  // over the characters; none: no language model
};

class PrefixSearch {
 public:
  // `classes` with the blank, the last; `before` is what stands before the beginning for the language model (a space),
  // or -1.
  PrefixSearch(int64_t classes, PrefixSearchOptions options, int32_t before = -1);

  // Scores of one frame, before any softmax.
  void add(std::span<const float> scores);

  // What is likeliest by now, behind what was taken.
  std::vector<int32_t> best() const;

  // Characters at the beginning that all transcripts which are still possible agree in. They are given once, and what
  // was given cannot change any more.
  std::vector<int32_t> take_settled();

  // The likeliest rest, given; then it begins anew.
  std::vector<int32_t> finish();

 private:
  static constexpr int32_t root = 0;
  struct Node {  // a transcript, as one more character than another
    int32_t parent = -1, character = -1;
    double language = 0;                                     // what the model and the bonus say of all of it
    std::vector<std::pair<int32_t, int32_t>> children = {};  // by character
  };
  struct Beam {
    int32_t node;
    double blank, character;  // log-probabilities of its ways that end in a blank, and in its last character
  };

  void begin();
  int32_t child(int32_t node, int32_t character);
  double score(const Beam& beam) const;
  std::vector<int32_t> context(int32_t node) const;
  std::vector<int32_t> path(int32_t from, int32_t to) const;  // of the characters behind `from`
  void collect();                                             // forgets transcripts that no beam goes through

  int64_t classes_;
  PrefixSearchOptions options_;
  std::vector<int32_t> start_, before_;  // what the language model sees before a beginning, and before the root
  int32_t last_ = -1;                    // the root's own last character, which a frame may repeat
  std::vector<Node> nodes_;
  std::vector<Beam> beams_;
};

}  // namespace descent::tasks
