#include "descent/tasks/sounds.h"

#include <unistd.h>

#include <algorithm>

#include "descent/base/text.h"

namespace descent::tasks {

namespace {

data::SoundNames sound_names(const Recipe& recipe, const data::SoundNames& usual) {
  const auto pattern = [&](std::string_view key, const std::string& otherwise) {
    const std::string& given = recipe.data.word(key);
    return given.empty() ? otherwise : given;
  };
  return {.label = pattern("label_match", usual.label),
          .speaker = pattern("speaker_match", usual.speaker),
          .test = pattern("test_match", usual.test)};
}

data::SoundSet read_set(const Recipe& recipe, const std::string& path, const data::SoundNames& usual) {
  const int64_t physical = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  return data::read_sounds(path, {.rate = recipe.data.integer("rate"),
                                  .seconds = recipe.data.number("seconds"),
                                  .names = sound_names(recipe, usual),
                                  .fractions = {recipe.data.number("validation"), recipe.data.number("test")},
                                  .seed = recipe.seed(),
                                  .memory_bytes = std::min(recipe.data.integer("memory") << 20, physical / 2)});
}

}  // namespace

data::SoundAugment sound_augment(const Recipe& recipe) {
  return {.gain = recipe.augment.number("gain"),
          .speed = recipe.augment.number("speed"),
          .delay = recipe.augment.number("delay"),
          .noise = recipe.augment.number("noise"),
          .noise_class = recipe.augment.word("noise_class")};
}

Examples load_sound_examples(const Recipe& recipe, const std::string& path, const data::SoundNames& usual) {
  if (recipe.fit_options().augment)
    throw UsageError(recipe.augment.at(),
                     "[augment]: the data are sounds, which gain, speed, delay and noise change; what it says is for "
                     "images");
  data::SoundSet set = read_set(recipe, path, usual);
  const int64_t rate = set.rate;
  Examples out{data::sound_splits(std::move(set), sound_augment(recipe)), {}};
  out.preprocess.sound_rate = rate;
  return out;
}

Array read_sound(const Preprocess& preprocess, const std::string& path) {
  const int64_t samples = preprocess.input.shape[0];
  data::AudioStream stream = data::AudioStream::open(path, preprocess.sound_rate);
  const std::vector<float> heard = data::loudest_part(stream, samples);
  if (heard.empty()) fail(text(path, ": there are no samples in it"));
  const std::vector<float> example = data::centred(heard, samples);
  return Array::from(std::span<const float>(example), {samples});
}

data::Dataset load_sounds_like(const Preprocess& preprocess, const std::string& path) {
  const int64_t samples = preprocess.input.shape[0], rate = preprocess.sound_rate;
  data::SoundSet set =
      data::read_sounds(path, {.rate = rate, .seconds = static_cast<double>(samples) / static_cast<double>(rate)});
  data::Clips clips = set.test.size() > 0 ? std::move(set.test) : std::move(set.train);
  return data::sound_dataset(set, std::move(clips));
}

}  // namespace descent::tasks
