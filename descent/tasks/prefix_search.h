// Prefix beam search: the likeliest transcript of a CTC net's frames, summed over the ways to say it (Hannun et al.,
// "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs", 2014), frame by
// frame.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "descent/data/ngram.h"
#include "descent/data/word_model.h"

namespace descent::tasks {

struct PrefixSearchOptions {
  int64_t width = 1;    // transcripts that are kept after each frame; 1: the likeliest class of each frame
  double language = 0;  // weight of the language model's log-probabilities
  double bonus = 0;     // added for each character, since the model makes each cost something
  std::shared_ptr<const data::NGram> model = {};  // over the characters; none: no language model
  // What a model of words says, by its own weight, takes the place of what that of characters says of each word that it
  // knows, as soon as the word is over; what is no word that it knows is judged by both (Hori, Watanabe and Hershey,
  // "Multi-level language modeling and decoding for open vocabulary end-to-end speech recognition", 2017).
  double words = 0;
  std::shared_ptr<const data::WordModel> word_model = {};  // none: no model of words
};

class PrefixSearch {
 public:
  // `classes` with the blank, the last; `space` is the character that parts words, and stands before the beginning for
  // the model of characters; -1: there is none.
  PrefixSearch(int64_t classes, PrefixSearchOptions options, int32_t space = -1);

  // Scores of one frame, before any softmax.
  void add(std::span<const float> scores);

  // What is likeliest by now, behind what was taken.
  std::vector<int32_t> best() const;

  // Characters at the beginning that all transcripts which are still possible agree in. They are given once, and what
  // was given cannot change any more.
  std::vector<int32_t> take_settled();

  // The likeliest rest, given that nothing comes behind it; then it begins anew.
  std::vector<int32_t> finish();

 private:
  static constexpr int32_t root = 0;
  struct Node {  // a transcript, as one more character than another
    int32_t parent = -1, character = -1;
    double language = 0;                                     // what the models and the bonus say of all of it
    double word = 0;                                         // what the model of characters says of its last word
    data::WordModel::Beginning beginning = {};               // the words that its last word may become
    std::vector<int32_t> words = {};                         // whole ones before that
    std::vector<std::pair<int32_t, int32_t>> children = {};  // by character
  };
  struct Beam {
    int32_t node;
    double blank, character;  // log-probabilities of its ways that end in a blank, and in its last character
  };

  void begin();
  int32_t child(int32_t node, int32_t character);
  void go_on(Node& node, double characters) const;
  void end_word(Node& node) const;
  double ended(int32_t node) const;
  double score(const Beam& beam) const;
  std::vector<int32_t> context(int32_t node) const;
  std::vector<int32_t> path(int32_t from, int32_t to) const;  // of the characters behind `from`
  void collect();                                             // forgets transcripts that no beam goes through

  int64_t classes_;
  PrefixSearchOptions options_;
  int32_t space_;
  std::vector<int32_t> before_;  // what the model of characters sees before the root
  int32_t last_ = -1;                    // the root's own last character, which a frame may repeat
  std::vector<Node> nodes_;
  std::vector<Beam> beams_;
};

}  // namespace descent::tasks
