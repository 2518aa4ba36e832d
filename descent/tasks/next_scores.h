// A trained net as it goes on with texts: tokens in, scores of the next token out.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "descent/tasks/run.h"

namespace descent::tasks {

// Some sequences side by side, each of which the net has seen up to some token. The net sees the last window() tokens
// at most: what is longer is cut to the newer half of a window, so that a token costs the same however long the text is
// (and each token costs at most two).
//
// Of a run of the task 'reply' the texts are answers to what hear() was given, and cannot be longer than window().
//
// Nets whose layers go place by place (nn/decoding.h) take one token at a time and remember; others look at the whole
// window for each.
class NextScores {
 public:
  // Fails if the run was not trained on text. Without `remembering` every net looks at whole windows: for tests.
  explicit NextScores(const Run& run, int64_t sequences = 1, bool remembering = true);
  ~NextScores();
  NextScores(NextScores&&) noexcept;

  int64_t sequences() const;
  int64_t window() const;
  int64_t tokens() const;  // different ones
  bool remembers() const;  // goes place by place
  int64_t seen() const;    // tokens of a sequence that the net has before it, at most window()

  bool replies() const;  // answers something, see hear()

  // What all sequences answer: what was said before, tokens with their marks, of which the last window() count. Begins
  // the answers anew.
  void hear(std::span<const int32_t> prompt);

  // All sequences go on with the same tokens, at least one. Returns scores [sequences * tokens()] of the next, which
  // stay until the next call.
  std::span<const float> feed(std::span<const int32_t> tokens);

  // Each sequence goes on with a token of its own.
  std::span<const float> step(std::span<const int32_t> tokens);

  // Sequence i becomes what sequence from[i] was.
  void reorder(std::span<const int64_t> from);

  // Every sequence begins anew.
  void clear();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace descent::tasks
