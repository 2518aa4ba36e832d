// A run that was trained on conversations, talked with.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "descent/data/conversations.h"
#include "descent/tasks/generate.h"

namespace descent::tasks {

struct ChatOptions {
  Sampling sampling = {.temperature = 0.7, .top_p = 0.9};
  int64_t beam = 0;           // of a beam search instead of drawing; 0: none
  double length_power = 0.6;  // likewise
  int64_t length = 80;        // the most tokens of a reply
  uint64_t seed = 0;
};

// A reply, and what became of what was said.
struct Reply {
  std::string text;  // valid UTF-8, trimmed; at least one token was said, but that may be a space
  int64_t tokens = 0;
  int64_t turns_forgotten = 0;  // of the conversation's beginning, which do not fit the window any more
  int64_t tokens_cut = 0;       // of the beginning of the turn that was said, which alone is too long
};

// The net sees the last turns, whole ones, as many as leave room for a reply in its window, or, if it reads them apart
// from its reply (task 'reply'), as fit its window: the oldest are forgotten. Of a turn that is too long alone it sees
// the end.
class Chat {
 public:
  // Fails if the run was not trained on conversations.
  Chat(const Run& run, const ChatOptions& options);

  // Says something and hears the answer, which is drawn token by token; `say` is called with each piece of it that is
  // whole characters, and the reply ends early where it returns false. Fails, and forgets what was said, if that is no
  // UTF-8, is nothing but spaces, or has a character that the run does not know.
  Reply answer(const std::string& turn, const std::function<bool(const std::string&)>& say = {});

  // The turns that the net has before it.
  const std::vector<std::string>& turns() const { return turns_; }

 private:
  std::vector<int32_t> history(Reply& reply) const;
  void begin(std::vector<int32_t>& prompt);
  std::vector<int32_t> draw(std::span<const int32_t> prompt, const std::function<bool(const std::string&)>& say);
  std::vector<int32_t> search(std::span<const int32_t> prompt);
  void forbid_marks(std::span<const float> scores);

  data::TokenizerPtr tokenizer_;
  data::Marks marks_;
  ChatOptions options_;
  NextScores next_;
  data::RandomStream random_;
  size_t first_ = 0;  // the number of turns_[0] in the conversation
  std::vector<std::string> turns_;
  std::vector<float> scores_;
};

}  // namespace descent::tasks
