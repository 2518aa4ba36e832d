// How a run that transcribes searches: its language models, counted from what its training recordings say.
//
//   language.safetensors          a model of characters
//   words.txt, words.safetensors  the words, a line each, and a model of them
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "descent/data/word_model.h"
#include "descent/tasks/prefix_search.h"
#include "descent/tasks/run.h"

namespace descent::tasks {

// What language models count, in characters: the training transcripts, and the lines of [data] language.
std::vector<std::vector<int32_t>> language_lines(const Recipe& recipe, const data::Dataset& training);

// Counts both models and writes them to a run's directory.
void save_language_models(const Recipe& recipe, const data::Dataset& training, const std::filesystem::path& directory);

// The run's own; fails naming the file that is not there or does not fit.
data::NGram load_character_model(const Run& run);
data::WordModel load_word_model(const Run& run);

// What is asked for in the place of what the recipe says.
struct DecodingWishes {
  std::optional<int64_t> beam = {};
  std::optional<double> language = {}, words = {};
};

// As the recipe's [evaluate] says (beam, language, words, bonus), but for what is wished.
PrefixSearchOptions decoding(const Run& run, const DecodingWishes& wishes = {});

// The number of the space among the characters, which parts words; -1 if it is none of them.
int32_t space_among(const std::vector<std::string>& characters);

}  // namespace descent::tasks
