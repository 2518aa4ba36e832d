#include "descent/tasks/decoding.h"

#include <algorithm>

#include "descent/base/text.h"
#include "descent/data/spoken.h"
#include "descent/data/text.h"
#include "descent/io/atomic_file.h"
#include "descent/train/transcripts.h"

namespace descent::tasks {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view character_file = "language.safetensors", word_file = "words.safetensors",
                           word_list = "words.txt";

// Calls each(line) for the lines of a text that have something in them.
template <class Each>
void each_line(const std::string& content, Each each) {
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    if (end > begin) each(content.substr(begin, end - begin));
    begin = end + 1;
  }
}

// Behind a space, which is what a beginning stands behind.
data::NGram character_model(const std::vector<std::vector<int32_t>>& lines, const data::Characters& characters,
                            int order) {
  const int32_t space = space_among(characters.all());
  std::vector<std::vector<int32_t>> sequences;
  for (const std::vector<int32_t>& line : lines) {
    sequences.emplace_back();
    if (space >= 0) sequences.back().push_back(space);
    sequences.back().insert(sequences.back().end(), line.begin(), line.end());
  }
  const std::vector<std::span<const int32_t>> spans(sequences.begin(), sequences.end());
  return data::NGram::fit(spans, characters.size(), order);
}

void save_word_model(const data::WordModel& model, const data::Characters& characters, const fs::path& directory) {
  std::string list;
  for (const data::WordModel::Word& word : model.words()) {
    for (const int32_t character : word) list += characters.decode(character);
    list += '\n';
  }
  io::write_file(directory / word_list, list);
  model.model().save(directory / word_file);
}

fs::path file_of(const Run& run, std::string_view name) {
  const fs::path path = run.directory / name;
  if (!fs::exists(path)) fail(text(run.directory.string(), ": there is no ", name, ", its language model"));
  return path;
}

}  // namespace

int32_t space_among(const std::vector<std::string>& characters) {
  const auto at = std::ranges::find(characters, " ");
  return at == characters.end() ? -1 : static_cast<int32_t>(at - characters.begin());
}

std::vector<std::vector<int32_t>> language_lines(const Recipe& recipe, const data::Dataset& training) {
  std::vector<std::vector<int32_t>> lines;
  const auto width = static_cast<size_t>(training.targets.shape()[1]);
  const std::span<const int32_t> all = training.targets.as<int32_t>();
  for (size_t at = 0; at < all.size(); at += width) {
    const std::span<const int32_t> line = train::characters_of(all.subspan(at, width));
    lines.emplace_back(line.begin(), line.end());
  }
  const std::string& more = recipe.data.word("language");
  if (more.empty()) return lines;
  const data::Characters characters(training.classes);
  const std::string path = (recipe.base / more).string();
  each_line(data::read_text(path), [&](const std::string& line) {
    lines.push_back(characters.encode_known(data::spoken_text(line, recipe.data.flag("numbers"), path), path));
  });
  return lines;
}

void save_language_models(const Recipe& recipe, const data::Dataset& training, const fs::path& directory) {
  const std::vector<std::vector<int32_t>> lines = language_lines(recipe, training);
  const data::Characters characters(training.classes);
  const nn::Settings& settings = recipe.evaluate;
  character_model(lines, characters, static_cast<int>(settings.integer("order"))).save(directory / character_file);
  const int32_t space = space_among(training.classes);
  save_word_model(data::WordModel::fit(lines, space, static_cast<int>(settings.integer("word_order"))), characters,
                  directory);
}

data::NGram load_character_model(const Run& run) { return data::NGram::load(file_of(run, character_file)); }

data::WordModel load_word_model(const Run& run) {
  const std::string path = file_of(run, word_list).string();
  const data::Characters characters(run.preprocess.classes);
  std::vector<data::WordModel::Word> words;
  each_line(data::read_text(path), [&](const std::string& word) { words.push_back(characters.encode(word, path)); });
  return {std::move(words), data::NGram::load(file_of(run, word_file))};
}

PrefixSearchOptions decoding(const Run& run, const DecodingWishes& wishes) {
  const nn::Settings& settings = run.recipe.evaluate;
  PrefixSearchOptions out{.width = wishes.beam.value_or(settings.integer("beam")),
                          .language = wishes.language.value_or(settings.number("language")),
                          .words = wishes.words.value_or(settings.number("words"))};
  if (out.language > 0) out.model = std::make_shared<data::NGram>(load_character_model(run));
  if (out.words > 0) out.word_model = std::make_shared<data::WordModel>(load_word_model(run));
  if (out.model || out.word_model) out.bonus = settings.number("bonus");
  return out;
}

}  // namespace descent::tasks
