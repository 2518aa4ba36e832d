// Transcription: what is said in a recording, as text.
//
// A net for it takes samples f32 [B, N], NaN behind the end of shorter recordings (nn/lengths.h), and makes scores
// [B, frames, characters + 1], the last for the blank of CTC.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "descent/data/audio.h"
#include "descent/tasks/decoding.h"
#include "descent/tasks/run.h"

namespace descent::tasks {

TaskKind transcribe_task();
bool transcribes(const Recipe& recipe);

// The recordings of [data] speech and more_speech: catalogue's entries, folders, archives, tables, and text files
// (*.txt) whose lines are said by espeak-ng, parted by commas.
Examples load_spoken_examples(const Recipe& recipe, const std::string& value);

// Recordings at a path (see data/spoken.h) as a run judges them; of what has parts, the test part.
data::Dataset load_spoken_like(const Run& run, const std::string& path);

// What was heard by now.
struct Heard {
  std::string text;    // a word, behind a space unless it begins a sentence
  bool pause = false;  // the sentence is over: nothing was said for a while
};

// A run that listens to a stream of samples at its rate, in windows that overlap, so that an hour takes no more memory
// than a minute.
class Listener {
 public:
  // Words are heard after at most `window` seconds (at least 1). A net that looks no further than a quarter of that to
  // either side hears what it would hear in the whole recording; one that is shorter than the window is heard whole.
  Listener(const Run& run, PrefixSearchOptions options, double window);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int64_t rate() const;

  // More samples, in [-1, 1]; calls `say` with what can be told by now.
  void hear(std::span<const float> samples, const std::function<void(const Heard&)>& say);

  // The end: what is left. The listener is then as new.
  void finish(const std::function<void(const Heard&)>& say);

 private:
  class Window;
  std::unique_ptr<Window> window_;
};

// Listens to a stream to its end; it is at the listener's rate. Returns how many samples there were.
int64_t listen(Listener& listener, data::AudioStream& stream, const std::function<void(const Heard&)>& say);

// What is said in a file, pauses as spaces.
std::string transcribe(const Run& run, const std::string& path);

// What the search makes of recordings, beside what the likeliest classes say; nothing where the options ask for no
// search.
struct SearchJudgement {
  train::Figures figures = {};  // decoded_cer, decoded_wer and decoded_sentence_error
  struct Text {
    int64_t said = 0, right = 0;  // recordings of it, and those of which every character is right
  };
  std::map<std::string, Text> texts = {};
};
SearchJudgement judge_search(const Run& run, const data::Dataset& spoken, const PrefixSearchOptions& options);

}  // namespace descent::tasks
