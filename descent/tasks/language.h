// Language: which character comes next. A trained net goes on with any text, character by character.
//
// A net for language takes tokens i32 [B, context] and makes scores [B, context, characters], those of a place from the
// tokens up to it.
#pragma once

#include <functional>
#include <string>

#include "descent/tasks/run.h"
#include "descent/tasks/sampling.h"

namespace descent::tasks {

TaskKind language_task();

// The text of [data] text = "..." or of a catalogue's entry, divided by position.
Examples load_text_examples(const Recipe& recipe, const std::string& path);

// Whether a run was trained on text.
bool is_language(const Preprocess& preprocess);

// A text at a path as a run judges it: all of it, in the run's characters.
data::Dataset load_text_like(const Preprocess& preprocess, const std::string& path);

struct GenerateOptions {
  std::string prompt = "\n";
  int64_t length = 500;  // characters that are added
  Sampling sampling = {};
  uint64_t seed = 0;
};

// Goes on with the prompt: calls `say` with each new character. The net sees the last `context` characters. Fails if
// the run was not trained on text, or the prompt is empty or has a character that the run does not know.
void generate(const Run& run, const GenerateOptions& options, const std::function<void(const std::string&)>& say);

}  // namespace descent::tasks
