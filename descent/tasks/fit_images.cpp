#include "descent/tasks/fit_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <vector>

#include "descent/data/image_folder.h"
#include "descent/nn/make_layer.h"
#include "descent/tasks/toml_text.h"

namespace descent::tasks {

namespace {

// What is chosen, each by a rule of its own below.
struct Choice {
  int64_t side = 0;
  std::vector<int64_t> widths;  // of the stages of convolutions, or of the hidden layers
  int64_t convolutions = 1;     // in each stage
  double dropout = 0;
  int64_t batch = 0, epochs = 0;
  bool keep_best = true;
};

// Small pictures stay as they are. Of photos 64 pixels tell most things; a few hundred more can be looked at closer in
// the time that many images take, and a dense net has weights for each pixel, so it gets few.
int64_t side_for(const ImageSet& set, bool convolutions) {
  constexpr int64_t least = 8;
  const int64_t most = !convolutions ? 32 : set.images <= 2000 ? 96 : 64;
  return std::clamp(set.side, least, most);
}

// Halved until about seven pixels are left, twice as wide each time; more images carry a wider and deeper net.
std::vector<int64_t> stage_widths(int64_t side, int64_t images) {
  const int64_t stages = std::clamp<int64_t>(std::lround(std::log2(static_cast<double>(side) / 7)), 1, 4);
  const int64_t first = images < 1000 ? 16 : images < 20000 ? 32 : 64;
  std::vector<int64_t> out;
  for (int64_t i = 0; i < stages; ++i) out.push_back(std::min<int64_t>(first << i, 256));
  return out;
}

// Enough steps for few images, not too many for many: about a million images looked at.
int64_t epochs_for(int64_t images) {
  return std::clamp<int64_t>(std::llround(1e6 / static_cast<double>(images)), 12, 120);
}

Choice choose(const ImageSet& set, bool convolutions) {
  Choice out;
  out.side = side_for(set, convolutions);
  const auto images = static_cast<double>(set.images);
  if (convolutions) {
    out.widths = stage_widths(out.side, set.images);
    out.convolutions = set.images < 5000 ? 1 : 2;
  } else {
    const int64_t width = std::clamp<int64_t>(power_of_two(4 * std::sqrt(images)), 64, 1024);
    out.widths = {width, std::max<int64_t>(32, width / 2)};
  }
  out.dropout = set.images < 2000 ? 0.4 : 0.2;
  out.batch = std::clamp<int64_t>(power_of_two(images / 50), 8, 256);
  out.epochs = epochs_for(set.images);
  out.keep_best = set.images >= 2000;
  return out;
}

std::string convolution(int64_t features) {
  return fmt::format(
      "  {{ kind = \"conv\", features = {}, kernel = 3, bias = false }},\n"
      "  {{ kind = \"batch_norm\" }},\n  {{ kind = \"relu\" }},\n",
      features);
}

std::string layers_for(const Choice& choice, bool convolutions) {
  std::string out;
  if (!convolutions) out += "  { kind = \"flatten\" },\n";
  for (const int64_t width : choice.widths) {
    if (convolutions) {
      for (int64_t i = 0; i < choice.convolutions; ++i) out += convolution(width);
      out += "  { kind = \"max_pool\" },\n";
    } else {
      out += fmt::format(
          "  {{ kind = \"linear\", features = {} }},\n  {{ kind = \"relu\" }},\n"
          "  {{ kind = \"dropout\", rate = {} }},\n",
          width, choice.dropout);
    }
  }
  if (convolutions)
    out += fmt::format("  {{ kind = \"global_average_pool\" }},\n  {{ kind = \"dropout\", rate = {} }},\n",
                       choice.dropout);
  return out;
}

// Photos look alike from both sides, near and far, by day and lamp; letters and signs do not, but may be written askew.
std::string augmentation_for(const ImageSet& set, const Choice& choice) {
  if (set.grey)
    return fmt::format("rotate = 10\nscale = 0.1\nshear = 5\nshift = {}\n", std::max<int64_t>(1, choice.side / 14));
  std::string out =
      fmt::format("flip = \"random\"\ntranslate = {}\npadding = \"reflect\"\n", std::max<int64_t>(1, choice.side / 8));
  if (set.side >= 48) out += "zoom = 0.4\nbrightness = 0.2\ncontrast = 0.2\nsaturation = 0.2\n";
  return out + fmt::format("cutout = {}\n", choice.side / 4);
}

std::string net_text(const ImageSet& set, const Choice& choice, bool convolutions) {
  const std::string why = fmt::format("{} images carry", set.images);
  if (!convolutions)
    return fmt::format("A dense net of {} hidden units: {} no more", fmt::join(choice.widths, " and "), why);
  return fmt::format(
      "{} stages of {} 3x3 convolution{} each, {} features wide: {} no more, and {} halvings of {} pixels "
      "leave the size of a part",
      choice.widths.size(), choice.convolutions, choice.convolutions > 1 ? "s" : "", fmt::join(choice.widths, ", "),
      why, choice.widths.size(), choice.side);
}

std::string explanation(const ImageSet& set, const Choice& choice, bool convolutions) {
  std::string out = fmt::format(
      "Made by `descent fit` from {}: {} {} images of {} classes, about {}{} pixels high. They are fitted to {} x {}. ",
      std::filesystem::path(set.path).filename().string(), set.images, set.grey ? "grey" : "colour", set.classes,
      set.side, set.side >= 256 ? " or more" : "", choice.side, choice.side);
  out += net_text(set, choice, convolutions) + ". ";
  out += set.grey
             ? "Grey images may be signs, which have a right and a left, so they are bent a little but not mirrored. "
             : "Photos are mirrored, moved and given holes, anew in each epoch; a test image is judged with its mirror "
               "image. ";
  out += fmt::format("{} epochs look at about {} images. ", choice.epochs, choice.epochs * set.images);
  out += choice.keep_best ? "The epoch that the validation images like best is kept. "
                          : "The last epoch is kept, since so few validation images cannot tell which is the best. ";
  out += set.divided ? "The test part is the folder's own."
                     : "Which images are kept for the test is told by a hash of their content.";
  return commented(out);
}

}  // namespace

ImageSet image_set(const std::string& path) {
  const data::ImageList list = data::list_images(path);
  const data::ImageFacts facts = data::image_facts(list);
  std::string whole = std::filesystem::absolute(path).lexically_normal().string();
  if (whole.ends_with('/')) whole.pop_back();
  return {.path = whole,
          .images = list.train.size() + list.validation.size() + list.test.size(),
          .classes = static_cast<int64_t>(list.classes.size()),
          .side = facts.side,
          .grey = facts.grey,
          .divided = list.test.size() > 0};
}

bool has_convolutions() {
  static constexpr std::array<std::string_view, 4> wanted{"conv", "batch_norm", "max_pool", "global_average_pool"};
  return std::ranges::all_of(wanted, [](std::string_view kind) {
    return std::ranges::any_of(nn::layer_kinds(), [&](const auto& row) { return row.name == kind; });
  });
}

std::string recipe_for_images(const ImageSet& set, bool convolutions) {
  const Choice choice = choose(set, convolutions);
  return fmt::format(
      "{about}task = \"classify\"\n"
      "layers = [\n{layers}  {{ kind = \"linear\", features = {classes} }},\n]\n\n"
      "[data]\nimages = {path}\nheight = {side}\nwidth = {side}\nchannels = {channels}\nvalidation = 0.15\ntest = "
      "0.15\n\n"
      "[loss]\nkind = \"cross_entropy\"\nlabel_smoothing = {smoothing}\n\n"
      "[optimizer]\nkind = \"adamw\"\nlearning_rate = {rate}\nweight_decay = 0.05\n\n"
      "[schedule]\nkind = \"cosine\"\nwarm_up = 1\n\n"
      "[augment]\n{augment}\n"
      "[train]\nepochs = {epochs}\nbatch_size = {batch}\nmonitor = \"accuracy\"\nkeep_best = {keep}\n{views}",
      fmt::arg("about", explanation(set, choice, convolutions)), fmt::arg("layers", layers_for(choice, convolutions)),
      fmt::arg("classes", set.classes), fmt::arg("path", toml_string(set.path)), fmt::arg("side", choice.side),
      fmt::arg("channels", set.grey ? 1 : 3), fmt::arg("smoothing", set.classes > 2 ? 0.1 : 0.0),
      fmt::arg("rate", convolutions ? 0.003 : 0.001), fmt::arg("augment", augmentation_for(set, choice)),
      fmt::arg("epochs", choice.epochs), fmt::arg("batch", choice.batch), fmt::arg("keep", choice.keep_best),
      fmt::arg("views", set.grey ? "" : "\n[evaluate]\nflip = true\n"));
}

}  // namespace descent::tasks
