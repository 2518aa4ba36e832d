#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "descent/tasks/sounds.h"
#include "descent/tasks/toml_text.h"

namespace descent::tasks {

namespace {

std::string layer(std::string_view indent, std::string_view text) { return fmt::format("{}{{ {} }},\n", indent, text); }

std::string convolution(std::string_view indent, int64_t features, int64_t kernel, int64_t stride) {
  return layer(indent, fmt::format("kind = \"conv\", features = {}, kernel = {}, stride = {}, bias = false", features,
                                   kernel, stride)) +
         layer(indent, "kind = \"batch_norm\"");
}

// A residual block of two convolutions; with a stride it halves time and bands.
std::string block(int64_t features, int64_t stride) {
  const std::string inner = "    ", relu = "kind = \"relu\"";
  std::string out = "  { kind = \"residual\", layers = [\n" + convolution(inner, features, 3, stride) +
                    layer(inner, relu) + convolution(inner, features, 3, 1);
  if (stride > 1) out += "  ], shortcut = [\n" + convolution(inner, features, 1, stride);
  return out + "  ] },\n" + layer("  ", relu);
}

// A sound's bands as a picture: He et al., "Deep residual learning for image recognition", 2016, of few features.
std::string residual_net(int64_t width) {
  return convolution("  ", width, 5, 2) + layer("  ", "kind = \"relu\"") + block(width, 1) + block(width * 4 / 3, 2) +
         block(width * 4 / 3, 1) + block(width * 2, 2);
}

struct Choice {
  int64_t width = 0;  // of the first block
  int64_t batch = 0, epochs = 0;
};

// Enough steps for few sounds, not too many for many: about 100 thousand sounds heard.
Choice choose(const data::SoundFacts& facts) {
  const auto sounds = static_cast<double>(facts.sounds);
  return {.width = facts.sounds < 20000 ? 24 : 48,
          .batch = std::clamp<int64_t>(power_of_two(sounds / 50), 8, 64),
          .epochs = std::clamp<int64_t>(std::llround(1e5 / sounds), 10, 100)};
}

std::string explanation(const std::string& path, const data::SoundFacts& facts, const Choice& choice) {
  return commented(fmt::format(
      "Made by `descent fit` from {}: {} sounds of {} classes, most of {} samples a second. They are heard for {} s "
      "each: shorter ones in the middle of silence, of longer ones the loudest part. The net hears the powers in 40 "
      "bands a hundred times a second, as a picture; residual blocks of convolutions, {} to {} features wide, tell the "
      "classes. Training "
      "sounds are made louder, faster, later and noisy anew each time, and some bands and moments are masked. {} "
      "epochs hear about {} sounds. {}",
      std::filesystem::path(path).filename().string(), facts.sounds, facts.classes, facts.rate, facts.seconds,
      choice.width, 2 * choice.width, choice.epochs, choice.epochs * facts.sounds,
      facts.divided ? "The test part is the folder's own."
                    : "Which sounds are kept for the test is told by a hash of their content: if some people say "
                      "several words each, a speaker_match in [data] makes it a test on people not heard before."));
}

}  // namespace

std::string recipe_for_sounds(const std::string& path) {
  std::string whole = std::filesystem::absolute(path).lexically_normal().string();
  if (whole.ends_with('/')) whole.pop_back();
  const data::SoundFacts facts = data::sound_facts(whole);
  const Choice choice = choose(facts);
  return fmt::format(
      "{about}task = \"classify\"\n"
      "layers = [\n"
      "  {{ kind = \"log_mel\", rate = {rate} }},\n"
      "  {{ kind = \"batch_norm\" }},\n"
      "  {{ kind = \"spec_augment\", time_width = 10 }},\n"
      "{net}"
      "  {{ kind = \"global_average_pool\" }},\n"
      "  {{ kind = \"dropout\", rate = 0.3 }},\n"
      "  {{ kind = \"linear\", features = {classes} }},\n]\n\n"
      "[data]\nsounds = {path}\nrate = {rate}\nseconds = {seconds}\nvalidation = 0.15\ntest = 0.15\n\n"
      "[loss]\nkind = \"cross_entropy\"\nlabel_smoothing = {smoothing}\n\n"
      "[optimizer]\nkind = \"adamw\"\nlearning_rate = 0.003\nweight_decay = 0.02\n\n"
      "[schedule]\nkind = \"cosine\"\nwarm_up = 1\n\n"
      "[augment]\ngain = 10\nspeed = 0.15\ndelay = 100\nnoise = 0.3\n\n"
      "[train]\nepochs = {epochs}\nbatch_size = {batch}\nmonitor = \"accuracy\"\nkeep_best = false\n",
      fmt::arg("about", explanation(whole, facts, choice)), fmt::arg("rate", facts.rate),
      fmt::arg("net", residual_net(choice.width)), fmt::arg("classes", facts.classes),
      fmt::arg("path", toml_string(whole)), fmt::arg("seconds", facts.seconds),
      fmt::arg("smoothing", facts.classes > 2 ? 0.1 : 0.0), fmt::arg("epochs", choice.epochs),
      fmt::arg("batch", choice.batch));
}

}  // namespace descent::tasks
