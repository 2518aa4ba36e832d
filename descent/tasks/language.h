// Language: which token of a text comes next, a character or a word piece. A trained net goes on with any text
// (tasks/generate.h), and one that was trained on conversations answers (tasks/chat.h).
//
// A net for language takes tokens i32 [B, context] and makes scores [B, context, tokens], those of a place from the
// tokens up to it. Its loss is the mean over all places: of conversations, too, since each turn is the answer to those
// before it.
//
// A net that replies (nn/encoder_decoder.h) takes what was said before beside the answer, i32 [B, 2 context]
// (data/replies.h), and makes scores [B, context, tokens] of the answer's places alone.
#pragma once

#include <string>
#include <vector>

#include "descent/tasks/run.h"

namespace descent::tasks {

TaskKind language_task();
TaskKind reply_task();
bool replies(const Recipe& recipe);

// The text of [data] text = "..." or of a catalogue's entry, divided by position.
Examples load_text_examples(const Recipe& recipe, const std::string& path);

// Conversations of files, divided by conversation.
Examples load_conversation_examples(const Recipe& recipe, const std::vector<std::string>& paths);

// What [data] dialogue = "..." names: files, parted by commas, seen from the recipe's folder.
std::vector<std::string> conversation_paths(const Recipe& recipe, const std::string& value);

// Whether a run was trained on text.
bool is_language(const Preprocess& preprocess);

// A text, or conversations, at a path as a run judges it: all of it, in the run's tokens.
data::Dataset load_text_like(const Preprocess& preprocess, const std::string& path);

}  // namespace descent::tasks
