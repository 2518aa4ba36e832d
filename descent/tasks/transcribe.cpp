#include "descent/tasks/transcribe.h"

#include <algorithm>
#include <filesystem>

#include "descent/base/text.h"
#include "descent/data/catalogue.h"
#include "descent/data/spoken.h"
#include "descent/data/spoken_lines.h"
#include "descent/data/text.h"
#include "descent/nn/function.h"
#include "descent/tasks/sounds.h"
#include "descent/train/transcripts.h"

namespace descent::tasks {

namespace fs = std::filesystem;

namespace {

int64_t class_count(const data::Dataset& data) { return std::ssize(data.classes) + 1; }

std::string class_count_text(const data::Dataset& data) {
  return text(data.classes.size(), " characters, and with CTC's blank ", data.classes.size() + 1, " classes");
}

bool never_single(const data::Dataset&, const nn::Loss&) { return false; }

Answer no_answer(std::span<const float>, const nn::Loss&, const std::vector<std::string>&, const data::TableEncoder*) {
  fail("a transcript is made of frames, not of one row of outputs");
}

std::vector<std::string> parted_by_commas(const Recipe& recipe, std::string_view key) {
  const std::string& all = recipe.data.word(key);
  std::vector<std::string> out;
  for (size_t begin = 0; begin <= all.size() && !all.empty();) {
    const size_t end = std::min(all.find(',', begin), all.size());
    std::string one = all.substr(begin, end - begin);
    while (one.starts_with(' ')) one.erase(0, 1);
    while (one.ends_with(' ')) one.pop_back();
    if (one.empty())
      throw UsageError(recipe.data.at(key), text("[data]: '", key, "' names nothing between two commas"));
    out.push_back(std::move(one));
    begin = end + 1;
  }
  return out;
}

// Recordings at a path, or of the lines of a text file there.
std::string recorded(const Recipe& recipe, const std::string& path) {
  if (!path.ends_with(".txt") || fs::is_directory(path)) return path;
  return data::spoken_lines(path,
                            {.voices = recipe.data.integer("voices"), .accents = parted_by_commas(recipe, "accents")})
      .string();
}

// A path counts from the recipe's folder; what is none is an entry of the catalogue.
std::string located(const Recipe& recipe, const std::string& source) {
  const fs::path path = recipe.base / source;
  return fs::exists(path) ? recorded(recipe, path.string()) : data::catalogue::get(source).string();
}

std::vector<std::string> located_all(const Recipe& recipe, std::string_view key) {
  std::vector<std::string> out;
  for (const std::string& source : parted_by_commas(recipe, key)) out.push_back(located(recipe, source));
  return out;
}

data::SpokenOptions spoken_options(const Recipe& recipe) {
  constexpr int64_t usual_rate = 8000;
  const int64_t rate = recipe.data.integer("rate");
  const double seconds = recipe.data.number("seconds");
  data::SpokenOptions out{.rate = rate > 0 ? rate : usual_rate,
                          .numbers = recipe.data.flag("numbers"),
                          .hold_out_texts = recipe.data.word("hold_out") == "texts",
                          .repeat = recipe.data.integer("repeat"),
                          .fractions = {recipe.data.number("validation"), recipe.data.number("test")},
                          .seed = recipe.seed()};
  if (seconds > 0) out.longest = seconds;
  return out;
}

std::string left_out_text(const data::SpokenSet& set) {
  std::vector<std::string> reasons;
  for (const auto& [reason, count] : set.left_out) reasons.push_back(text(reason, ": ", count));
  return reasons.empty() ? "" : text("recordings that were left out (", join(reasons, ", "), ")");
}

}  // namespace

TaskKind transcribe_task() {
  return {.name = "transcribe",
          .about = "what is said in a recording",
          .default_loss = nn::Ctc::name,
          .classes = true,
          .table_target = data::TargetKind::classes,
          .outputs = class_count,
          .outputs_text = class_count_text,
          .single_output = never_single,
          .answer = no_answer,
          .sequences = true,
          .monitor = "cer"};
}

bool transcribes(const Recipe& recipe) { return recipe.task == "transcribe"; }

Examples load_spoken_examples(const Recipe& recipe, const std::string&) {
  const data::SpokenOptions options = spoken_options(recipe);
  data::SpokenSet set = data::read_spoken(located_all(recipe, "speech"), located_all(recipe, "more_speech"), options);
  const std::string note = left_out_text(set);
  Examples out{data::spoken_splits(std::move(set), sound_augment(recipe)), {}, note};
  out.preprocess.sound_rate = options.rate;
  return out;
}

data::Dataset load_spoken_like(const Run& run, const std::string& path) {
  data::SpokenOptions options = spoken_options(run.recipe);
  options.rate = run.preprocess.sound_rate;
  options.fractions = {0, 0};
  options.repeat = 1;
  options.longest = 60;
  data::SpokenSet set = data::read_spoken({recorded(run.recipe, path)}, {}, options);
  data::Clips part = set.test.size() > 0 ? std::move(set.test) : std::move(set.train);
  return data::spoken_dataset(set, std::move(part), data::Characters(run.preprocess.classes));
}

SearchJudgement judge_search(const Run& run, const data::Dataset& spoken, const PrefixSearchOptions& options) {
  if ((options.width == 1 && !options.model && !options.word_model) || spoken.size() == 0) return {};
  nn::Function forward(
      [net = run.net](nn::Pass& pass, std::span<const Tensor> in) -> Tensors { return {(*net)(in[0], pass)}; },
      {.training = false, .precision = run.evaluate_options().precision});
  const int32_t space = space_among(spoken.classes);
  const data::Characters characters(spoken.classes);
  train::TranscriptMetrics metrics(space);
  SearchJudgement out;
  const auto width = static_cast<size_t>(spoken.targets.shape()[1]);
  constexpr int64_t at_once = 32;
  for (int64_t begin = 0; begin < spoken.size(); begin += at_once) {
    const int64_t end = std::min(begin + at_once, spoken.size());
    const Array& scores = forward({spoken.read_inputs(begin, end)})[0];
    const int64_t frames = scores.shape()[1], classes = scores.shape()[2];
    for (int64_t row = begin; row < end; ++row) {
      PrefixSearch search(classes, options, space);
      for (int64_t t = 0; t < frames; ++t)
        search.add(scores.as<float>().subspan(static_cast<size_t>(((row - begin) * frames + t) * classes),
                                              static_cast<size_t>(classes)));
      const std::span<const int32_t> wanted =
          train::characters_of(spoken.targets.as<int32_t>().subspan(static_cast<size_t>(row) * width, width));
      const std::vector<int32_t> found = search.finish();
      metrics.add(found, wanted);
      SearchJudgement::Text& count = out.texts[characters.decode({wanted.begin(), wanted.end()})];
      ++count.said;
      count.right += std::ranges::equal(found, wanted);
    }
  }
  out.figures = metrics.figures();
  for (auto& [name, value] : out.figures) name = text("decoded_", name);
  return out;
}

}  // namespace descent::tasks
