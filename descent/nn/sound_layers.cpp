#include "descent/nn/sound_layers.h"

#include <algorithm>
#include <array>

#include "descent/nn/sound_features.h"

namespace descent::nn {

namespace {

std::vector<SettingRule> log_mel_rules() {
  const LogMelOptions defaults;
  return {{"rate", int64_t{0}, "samples a second of the input", true},
          {"window", defaults.window, "milliseconds of a frame"},
          {"hop", defaults.hop, "milliseconds from one frame to the next"},
          {"bands", defaults.bands, "how many there are"},
          {"low", defaults.low, "Hz, where the lowest band begins"},
          {"high", defaults.high, "Hz, where the highest ends; 0: half the rate"},
          {"floor", defaults.floor, "added to a band's power before the logarithm"},
          {"norm", "none", "none; clip or band: to mean 0 and deviation 1; level: a clip's powers over their mean"}};
}

LogMelOptions log_mel_options(const Settings& s) {
  static constexpr std::array<std::string_view, 4> words{"none", "clip", "band", "level"};
  const std::string& word = s.word("norm");
  const auto at = std::ranges::find(words, word);
  if (at == words.end()) fail_unknown_kind(s.at("norm"), "norm", word, {words.begin(), words.end()});
  return {.rate = s.integer("rate"),
          .window = s.number("window"),
          .hop = s.number("hop"),
          .bands = s.integer("bands"),
          .low = s.number("low"),
          .high = s.number("high"),
          .floor = s.number("floor"),
          .norm = static_cast<LogMelOptions::Norm>(at - words.begin())};
}

Kind<ModulePtr> mfcc_kind() {
  std::vector<SettingRule> rules = log_mel_rules();
  rules.push_back({"coefficients", int64_t{13}, "of the bands' cosine transform, that are kept"});
  return {"mfcc", "the first cosine coefficients of a sound's logarithmic bands", std::move(rules),
          [](const Settings& s) -> ModulePtr {
            return std::make_shared<Mfcc>(s.integer("coefficients"), log_mel_options(s), s.at());
          }};
}

Kind<ModulePtr> spec_augment_kind() {
  const SpecAugmentOptions defaults;
  return {"spec_augment",
          "while training, 0 in some runs of bands and frames",
          {{"frequency_masks", defaults.frequency_masks, "runs of bands"},
           {"frequency_width", defaults.frequency_width, "the most bands of a run"},
           {"time_masks", defaults.time_masks, "runs of frames"},
           {"time_width", defaults.time_width, "the most frames of a run"}},
          [](const Settings& s) -> ModulePtr {
            const SpecAugmentOptions options{.frequency_masks = s.integer("frequency_masks"),
                                             .frequency_width = s.integer("frequency_width"),
                                             .time_masks = s.integer("time_masks"),
                                             .time_width = s.integer("time_width")};
            return std::make_shared<SpecAugment>(options, s.at());
          }};
}

}  // namespace

std::vector<Kind<ModulePtr>> sound_layer_kinds() {
  return {{"log_mel", "the logarithms of a sound's powers in bands as wide as the ear's", log_mel_rules(),
           [](const Settings& s) -> ModulePtr { return std::make_shared<LogMel>(log_mel_options(s), s.at()); }},
          mfcc_kind(),
          spec_augment_kind()};
}

}  // namespace descent::nn
