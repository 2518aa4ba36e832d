#include "descent/tasks/recipe.h"

#include <algorithm>
#include <fstream>
#include <limits>

#include "descent/base/threads.h"
#include "descent/nn/make_layer.h"
#include "descent/nn/nets.h"
#include "descent/tasks/recipe_toml.h"
#include "descent/tasks/task.h"

namespace descent::tasks {

namespace {

using nn::Settings, nn::SettingRule;

constexpr double infinity = std::numeric_limits<double>::infinity();

// A setting of a section, and what numbers it may be: low <= value < beyond.
struct Setting {
  SettingRule rule;
  double low = 0, beyond = infinity;
  bool closed = false;  // `beyond` itself may be, too
};

const std::vector<Setting>& data_settings() {
  static const std::vector<Setting> all{
      {{"name", "", "a data set of the catalogue (descent data list)"}},
      {{"csv", "", "a CSV file"}},
      {{"npz", "", "an NPZ file with x and y, or x_train, y_train and so on"}},
      {{"idx", "", "a folder with idx files called as MNIST's"}},
      {{"cifar", "", "a folder with CIFAR-10's binary files"}},
      {{"images", "",
        "a folder with a folder of PNG or JPEG images for each class, or a CSV file of paths and labels"}},
      {{"table", "", "a table written here, as CSV text"}},
      {{"go", "", "games of Go: folders, archives or SGF files, parted by commas"}},
      {{"board", int64_t{19}, "lines of the board; games of `go` on others are left out"}, 2, 26},
      {{"handicap", false, "games of `go` with handicap stones are examples too"}},
      {{"sounds", "",
        "a folder of class folders of WAV or FLAC files, an archive of such, or a CSV file of paths and labels"}},
      {{"rate", int64_t{0}, "samples a second that `sounds` are brought to; 0: as most of them have"}, 0, 1e6},
      {{"seconds", 0.0, "of a sound; of a longer one its loudest part is taken; 0: as long as most are, at most 3"},
       0,
       60},
      {{"label_match", "",
        "a regular expression: what its group holds in a sound's name is its class; empty: the folder"}},
      {{"speaker_match", "", "likewise who speaks: parts are then parted by speaker"}},
      {{"test_match", "", "sounds in whose names it is found are the test part"}},
      {{"speech", "",
        "recordings with transcripts: entries of the catalogue, folders, archives, tables, or text files whose lines "
        "espeak-ng says, parted by commas"}},
      {{"more_speech", "", "likewise, for the training part alone"}},
      {{"hold_out", "texts",
        "of `speech`: a share of all texts, said nowhere in training, or of each text's recordings"}},
      {{"voices", int64_t{8}, "of espeak-ng, that say each line of a text file"}, 1, 1001},
      {{"accents", "en-us, en-gb, en-gb-scotland, en-gb-x-rp", "their languages, as espeak-ng names them"}},
      {{"repeat", int64_t{1}, "times that an epoch shows each recording of `speech`; those of `more_speech` once"},
       1,
       1001},
      {{"numbers", false, "digits in transcripts become English words"}},
      {{"language", "", "a text file whose lines a language model of `speech` is counted from, too"}},
      {{"text", "", "a text file in UTF-8"}},
      {{"dialogue", "", "conversations: TSV files, or text files with a turn in each line, parted by commas"}},
      {{"tokens", int64_t{0}, "of `text` or `dialogue`: how many word pieces; 0: characters"}, 0, 1 << 20},
      {{"context", int64_t{64}, "tokens of a text that the net sees at once"}, 1, 1 << 20},
      {{"windows", int64_t{0}, "of `context` characters that an epoch shows; 0: as many as lie side by side"}},
      {{"target", "", "the column to predict, in a table"}},
      {{"ignore", std::vector<Settings>{}, "columns that are not looked at"}},
      {{"validation", 0.1, "the part of the training rows that each epoch is judged by"}, 0, 1},
      {{"test", 0.2, "the part of all rows kept for the end, where the data have no test part"}, 0, 1},
      {{"normalize", true, "images get mean 0 and deviation 1, as learnt on the training part"}},
      {{"height", int64_t{0}, "pixels that `images` are fitted to; 0: as they suggest, at most 64"}, 0, 4097},
      {{"width", int64_t{0}, "likewise"}, 0, 4097},
      {{"channels", int64_t{0}, "of `images`: 1 for grey, 3 for colour; 0: as they are"}, 0, 4},
      {{"fit", "crop", "how `images` of another shape are fitted: crop, pad or stretch"}},
      {{"memory", int64_t{4096},
        "MB, at most half of the machine's; `images` that take more are decoded anew for each batch"}}};
  return all;
}

const std::vector<Setting>& train_settings() {
  static const std::vector<Setting> all{
      {{"epochs", int64_t{10}, "times through the training part"}, 1, 1e6},
      {{"batch_size", int64_t{128}, "examples a step"}, 1},
      {{"epoch_size", int64_t{0}, "examples of an epoch, where several share one pass over all; 0: all"}},
      {{"seed", int64_t{0}, "of initial values, dropout, order and augmentation"}},
      {{"precision", "auto", "of matrix products: auto, f32 or bf16"}},
      {{"threads", int64_t{0}, "of a step; 0: as many as there are processors"}, 0, 1025},
      {{"data_threads", int64_t{1}, "threads that shuffle, augment and copy"}, 0, 257},
      {{"drop_last", false, "leave out an epoch's last, smaller batch"}},
      {{"monitor", "", "the validation's figure that tells the best epoch; empty: the loss's metric"}},
      {{"patience", int64_t{0}, "epochs without a new best before the run stops; 0: never"}},
      {{"keep_best", true, "end with the weights of the best validation, not with the last"}},
      {{"clip_norm", 0.0, "the largest norm of all gradients together; 0: none"}},
      {{"clip_value", 0.0, "the largest size of a gradient's element; 0: none"}},
      {{"l1", 0.0, "penalty on the sum of the weights' sizes"}},
      {{"l2", 0.0, "penalty on half the sum of the weights' squares"}},
      {{"average", 0.0, "decay of a moving average of the weights, which is then judged and kept; 0: none"}, 0, 1},
      {{"lookahead", int64_t{0}, "steps between two returns of the weights towards slow ones that follow; 0: none"}},
      {{"lookahead_keep", 0.5, "the part of the slow weights that stays at each, at the run's end"}, 0, 1, true},
      {{"lookahead_power", 0.0, "of the part of the run that is done, times that; 0: the same all along"}, 0, 100},
      {{"top_k", int64_t{0}, "also how often the label is among the k best; 0: not"}},
      {{"record_every", int64_t{100}, "steps between two records of the layers' gradients; 0: none"}},
      {{"checkpoint_seconds", 30.0, "at most this long between two checkpoints"}}};
  return all;
}

const std::vector<Setting>& augment_settings() {
  static const std::vector<Setting> all{
      {{"shift", 0.0, "pixels along each axis, at most"}},
      {{"rotate", 0.0, "degrees either way, at most"}, 0, 360, true},
      {{"scale", 0.0, "part of the size, at most"}, 0, 1},
      {{"shear", 0.0, "degrees, at most"}, 0, 60},
      {{"elastic_alpha", 0.0, "strength of the elastic field"}},
      {{"elastic_sigma", 4.0, "its smoothness in pixels"}},
      {{"background", int64_t{0}, "what shows beyond the edge and in holes, 0 to 255"}, 0, 256},
      {{"flip", "none", "left and right change places: none, random, or alternating from epoch to epoch"}},
      {{"translate", int64_t{0}, "whole pixels along each axis, at most: the random crop of a padded image"}},
      {{"padding", "zero", "what translate leaves: zero (the background), reflect or edge"}},
      {{"zoom", 0.0, "part of the area, at most, that a window which fills the image leaves out"}, 0, 1},
      {{"brightness", 0.0, "part of it, at most"}, 0, 1, true},
      {{"contrast", 0.0, "part of it, at most"}, 0, 1, true},
      {{"saturation", 0.0, "part of it, at most"}, 0, 1, true},
      {{"hue", 0.0, "part of the circle of colours either way, at most"}, 0, 0.5, true},
      {{"gain", 0.0, "decibels either way, at most, of a sound"}, 0, 100},
      {{"speed", 0.0, "part of a sound's speed either way, at most; the pitch goes with it"}, 0, 0.5},
      {{"delay", 0.0, "milliseconds either way, at most, that a sound is moved by"}, 0, 60000},
      {{"noise", 0.0, "added to a sound: the most, as a part of its own root mean square"}, 0, 100},
      {{"noise_class", "", "sounds of this class are noise, too"}},
      {{"cutout", int64_t{0}, "the side of a square hole in pixels"}},
      {{"mixup", 0.0, "both parameters of the beta distribution of a mixture's parts; 0: none"}},
      {{"cutmix", 0.0, "likewise, of the area of a box of another image"}},
      {{"mix_part", 1.0, "the part of the images that are mixed"}, 0, 1, true}};
  return all;
}

const std::vector<Setting>& evaluate_settings() {
  static const std::vector<Setting> all{
      {{"flip", false, "judge images by the mean of what the net says of each and of its mirror image"}},
      {{"shift", int64_t{0}, "also of each moved by so many pixels, four ways"}, 0, 1001},
      {{"beam", int64_t{1},
        "transcripts of a recording that are followed at once; 1: the likeliest class of each frame"},
       1,
       1001},
      {{"language", 0.0, "weight of a model of the training transcripts' characters"}, 0, 10},
      {{"words", 0.0, "weight of a model of their words; 0: none"}, 0, 10},
      {{"bonus", 0.0, "for each character of a transcript, where these models make them dear"}, -10, 10},
      {{"order", int64_t{6}, "characters that the model looks at, the one to come among them"}, 1, 17},
      {{"word_order", int64_t{3}, "words, likewise"}, 1, 17}};
  return all;
}

// A section of a recipe. Without settings of its own it is one kind of a table.
struct Section {
  std::string_view name;
  Settings Recipe::*field;
  const std::vector<Setting>& (*settings)();
};
constexpr Section sections[] = {{"data", &Recipe::data, data_settings},
                                {"loss", &Recipe::loss, nullptr},
                                {"optimizer", &Recipe::optimizer, nullptr},
                                {"schedule", &Recipe::schedule, nullptr},
                                {"train", &Recipe::train, train_settings},
                                {"augment", &Recipe::augment, augment_settings},
                                {"evaluate", &Recipe::evaluate, evaluate_settings}};

std::vector<SettingRule> rules_of(const std::vector<Setting>& settings) {
  std::vector<SettingRule> rules;
  for (const Setting& setting : settings) rules.push_back(setting.rule);
  return rules;
}

void check_ranges(const Settings& given, const std::vector<Setting>& settings, const std::string& what) {
  for (const Setting& setting : settings) {
    const Settings::Value& fallback = setting.rule.fallback;
    if (!std::holds_alternative<double>(fallback) && !std::holds_alternative<int64_t>(fallback)) continue;
    const double value = given.number(setting.rule.name);
    const bool below = setting.closed ? value <= setting.beyond : value < setting.beyond;
    if (value >= setting.low && below && value < infinity) continue;
    const bool whole = std::holds_alternative<int64_t>(fallback);
    const std::string most = setting.beyond == infinity ? ""
                             : setting.closed           ? text(" and at most ", setting.beyond)
                             : whole                    ? text(" and at most ", setting.beyond - 1)
                                                        : text(" and below ", setting.beyond);
    throw UsageError(given.at(setting.rule.name),
                     text(what, ": '", setting.rule.name, "' must be at least ", setting.low, most, ", got ", value));
  }
}

const Settings::Item* required_table(const Settings& root, std::string_view name) {
  const Settings::Item* item = root.find(name);
  const auto* list = item == nullptr ? nullptr : std::get_if<std::vector<Settings>>(&item->value);
  if (item != nullptr && (list == nullptr || list->size() != 1 || list->front().has("value")))
    throw UsageError(item->at, text("'", name, "' must be a table, [", name, "]"));
  return item;
}

void read_section(Recipe& recipe, const Settings& root, const Section& section) {
  const Settings::Item* item = required_table(root, section.name);
  const Settings given = item == nullptr ? Settings(root.at()) : std::get<std::vector<Settings>>(item->value).front();
  if (section.settings == nullptr) {
    recipe.*section.field = given;
    return;
  }
  const std::string what = text("[", section.name, "]");
  recipe.*section.field = nn::checked_settings(given, rules_of(section.settings()), what);
  check_ranges(recipe.*section.field, section.settings(), what);
}

void reject_unknown(const Settings& root) {
  std::vector<std::string> known{"task", "layers", "net"};
  for (const Section& section : sections) known.emplace_back(section.name);
  for (const Settings::Item& item : root)
    if (std::ranges::find(known, item.name) == known.end()) {
      const std::string near = did_you_mean(item.name, known);
      throw UsageError(item.at, text("a recipe has no '", item.name, "'",
                                     near.empty() ? text("; it has ", join(known, ", ")) : near));
    }
}

void fill(Settings& section, std::string_view kind) {
  if (!section.has("kind")) section.set("kind", std::string(kind), section.at());
}

void check_word(const Settings& section, std::string_view name, const std::vector<std::string>& known) {
  const std::string& word = section.word(name);
  if (std::ranges::find(known, word) == known.end()) nn::fail_unknown_kind(section.at(name), name, word, known);
}

void check_words(const Recipe& recipe) {
  check_word(recipe.train, "precision", {"auto", "f32", "bf16"});
  check_word(recipe.data, "fit", {"crop", "pad", "stretch"});
  check_word(recipe.data, "hold_out", {"texts", "recordings"});
  check_word(recipe.augment, "flip", {"none", "random", "alternating"});
  check_word(recipe.augment, "padding", {"zero", "reflect", "edge"});
}

// Mixtures have parts of classes as targets.
void check_mixtures(const Recipe& recipe, const TaskKind& task) {
  const auto wanted = [&](std::string_view key) { return recipe.augment.number(key) > 0; };
  if (!wanted("mixup") && !wanted("cutmix")) return;
  const std::string key = wanted("mixup") ? "mixup" : "cutmix";
  const std::string& loss = recipe.loss.word("kind");
  if (!task.classes)
    throw UsageError(recipe.augment.at(key),
                     text("[augment]: '", key, "' mixes classes, and the task '", task.name, "' has none"));
  if (loss == nn::Hinge::name || loss == nn::Perceptron::name)
    throw UsageError(recipe.augment.at(key), text("[augment]: '", key, "' makes parts of classes, and the loss '", loss,
                                                  "' takes whole ones; did you mean 'cross_entropy'?"));
}

void check_loss(const Recipe& recipe, const TaskKind& task) {
  const nn::Loss loss = recipe.make_loss();
  if (!task.classes && loss.target() == nn::Target::labels)
    throw UsageError(recipe.loss.at("kind"),
                     text("the task '", task.name, "' predicts numbers, but the loss '", loss.name(),
                          "' compares with classes; did you mean '", task.default_loss, "'?"));
}

void check_source(const Recipe& recipe) {
  const std::vector<std::string> sources{"name",   "csv",    "npz", "idx",  "cifar",    "images",
                                         "sounds", "speech", "go",  "text", "dialogue", "table"};
  std::vector<std::string> given;
  for (const std::string& source : sources)
    if (!recipe.data.word(source).empty()) given.push_back(source);
  if (given.size() != 1)
    throw UsageError(recipe.data.at(), text("[data] needs one of ", join(sources, ", "), "; it has ",
                                            given.empty() ? "none" : join(given, " and ")));
  const bool table = given[0] == "csv" || given[0] == "table";
  if (table && recipe.data.word("target").empty())
    throw UsageError(recipe.data.at(), text("[data] with '", given[0], "' needs 'target', the column to predict"));
  recipe.ignored_columns();
}

// A kind's settings; what is said of the kind itself names its line.
Settings without_kind(const Settings& settings) {
  Settings out(settings.at("kind"));
  for (const Settings::Item& item : settings)
    if (item.name != "kind") out.set(item.name, item.value, item.at);
  return out;
}

optim::ScheduleMaker schedule_of(const Recipe& recipe) {
  return nn::make_kind(optim::schedule_kinds(), "schedule", recipe.schedule.word("kind"),
                       without_kind(recipe.schedule));
}

// Makes everything once, for its checks.
void check(const Recipe& recipe) {
  if (recipe.layers.empty() && !recipe.ready.has("kind"))
    throw UsageError(
        recipe.data.at(),
        "the recipe needs 'layers', such as layers = [ { kind = \"linear\", features = 10 } ], or a ready 'net'");
  recipe.net();
  check_loss(recipe, find_task(recipe.task));
  recipe.make_optimizer();
  schedule_of(recipe)({});
  check_words(recipe);
  check_mixtures(recipe, find_task(recipe.task));
  check_source(recipe);
}

// net = "resnet-20", or net = { kind = "resnet-20", outputs = 100 }.
Settings ready_net(const Settings& root) {
  const Settings::Item& item = *root.find("net");
  if (root.has("layers")) throw UsageError(item.at, "a recipe has 'layers' or a ready 'net', not both");
  if (const auto* kind = std::get_if<std::string>(&item.value)) {
    Settings out(item.at);
    return out.set("kind", *kind, item.at);
  }
  const Settings& table = std::get<std::vector<Settings>>(required_table(root, "net")->value).front();
  if (!table.has("kind")) throw UsageError(item.at, "'net' needs 'kind' (resnet-20, lenet-5 ...)");
  return table;
}

Recipe recipe_from(const TomlRecipe& toml, const std::filesystem::path& path) {
  Recipe recipe;
  recipe.path = path;
  recipe.base = path.has_parent_path() ? path.parent_path() : ".";
  recipe.text = toml.text;
  reject_unknown(toml.root);
  recipe.task = toml.root.has("task") ? toml.root.word("task") : "classify";
  const TaskKind& task = find_task(recipe.task, toml.root.at("task"));
  if (toml.root.has("layers")) recipe.layers = toml.root.list("layers");
  if (toml.root.has("net")) recipe.ready = ready_net(toml.root);
  for (const Section& section : sections) read_section(recipe, toml.root, section);
  fill(recipe.loss, task.default_loss);
  fill(recipe.optimizer, "adamw");
  fill(recipe.schedule, "constant");
  check(recipe);
  return recipe;
}

}  // namespace

nn::Sequential Recipe::net() const {
  return layers.empty() ? nn::make_ready_net(ready.word("kind"), without_kind(ready)) : nn::make_net(layers);
}
nn::Loss Recipe::make_loss() const { return nn::make_loss(loss.word("kind"), without_kind(loss)); }
optim::Optimizer Recipe::make_optimizer() const {
  return optim::make_optimizer(optimizer.word("kind"), without_kind(optimizer));
}

nn::Precision Recipe::precision() const {
  const std::string& word = train.word("precision");
  return word == "f32" ? nn::Precision::f32 : word == "bf16" ? nn::Precision::bf16 : nn::Precision::automatic;
}

std::vector<std::string> Recipe::ignored_columns() const {
  std::vector<std::string> out;
  for (const Settings& item : data.list("ignore")) {
    const Settings::Item* value = item.find("value");
    if (value == nullptr || !std::holds_alternative<std::string>(value->value))
      throw UsageError(data.at("ignore"), "[data]: 'ignore' must be a list of words, the columns' names");
    out.push_back(std::get<std::string>(value->value));
  }
  return out;
}

namespace {

data::AugmentOptions augment_options(const Settings& augment) {
  return {.shift = augment.number("shift"),
          .rotate = augment.number("rotate"),
          .scale = augment.number("scale"),
          .shear = augment.number("shear"),
          .elastic_alpha = augment.number("elastic_alpha"),
          .elastic_sigma = augment.number("elastic_sigma"),
          .background = static_cast<uint8_t>(augment.integer("background")),
          .flip = data::flip_from_text(augment.word("flip")),
          .translate = augment.integer("translate"),
          .padding = data::padding_from_text(augment.word("padding")),
          .zoom = augment.number("zoom"),
          .brightness = augment.number("brightness"),
          .contrast = augment.number("contrast"),
          .saturation = augment.number("saturation"),
          .hue = augment.number("hue"),
          .cutout = augment.integer("cutout"),
          .mixup = augment.number("mixup"),
          .cutmix = augment.number("cutmix"),
          .mix_part = augment.number("mix_part")};
}

}  // namespace

train::FitOptions Recipe::fit_options() const {
  train::FitOptions out;
  out.epochs = train.integer("epochs");
  out.batch_size = train.integer("batch_size");
  out.epoch_size = train.integer("epoch_size");
  out.seed = seed();
  out.precision = precision();
  out.schedule = schedule_of(*this);
  out.regularization = {train.number("l1"), train.number("l2")};
  out.clip = {train.number("clip_value"), train.number("clip_norm")};
  out.average = train.number("average");
  if (const int64_t every = train.integer("lookahead"); every > 0)
    out.lookahead = {.every = every, .keep = train.number("lookahead_keep"), .power = train.number("lookahead_power")};
  out.monitor = train.word("monitor");
  out.patience = train.integer("patience");
  out.keep_best = train.flag("keep_best");
  if (const data::AugmentOptions changes = augment_options(augment); changes.any()) out.augment = changes;
  out.data_threads = static_cast<int>(train.integer("data_threads"));
  out.drop_last = train.flag("drop_last");
  out.top_k = train.integer("top_k");
  out.record_every = train.integer("record_every");
  out.checkpoint_seconds = train.number("checkpoint_seconds");
  return out;
}

namespace {

// Overrides may make sense together only (other data, say). If they do not, the first that fails behind those before it
// is to blame.
[[noreturn]] void name_the_override(const std::string& source, const std::filesystem::path& path,
                                    const std::vector<std::string>& overrides) {
  std::vector<std::string> so_far;
  for (const std::string& assignment : overrides) {
    so_far.push_back(assignment);
    try {
      recipe_from(parse_toml(source, path, so_far), path);
    } catch (const UsageError& error) {
      throw UsageError(text("--set ", assignment, ": ", error.what()));
    }
  }
  fail("the overrides fail together, but none fails");  // the last of them stands behind all others
}

}  // namespace

Recipe parse_recipe(const std::string& source, const std::filesystem::path& path,
                    const std::vector<std::string>& overrides) {
  Recipe recipe = recipe_from(parse_toml(source, path, {}), path);
  try {
    if (!overrides.empty()) recipe = recipe_from(parse_toml(source, path, overrides), path);
  } catch (const UsageError&) {
    name_the_override(source, path, overrides);
  }
  return recipe;
}

Recipe read_recipe(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  std::ifstream file(path, std::ios::binary);
  const std::string source{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw UsageError(text("the recipe ", path.string(), " cannot be read"));
  return parse_recipe(source, path, overrides);
}

namespace {

using Leaves = std::vector<std::pair<std::string, std::string>>;  // dotted key and value

void collect(const Settings& settings, const std::string& before, Leaves& out);

struct LeafCollector {
  const std::string& key;
  Leaves& out;

  void operator()(const std::vector<Settings>& list) const {
    for (size_t i = 0; i < list.size(); ++i) collect(list[i], text(key, ".", i), out);
  }
  void operator()(const std::string& word) const { out.emplace_back(key, text('"', word, '"')); }
  void operator()(bool flag) const { out.emplace_back(key, text(flag)); }
  void operator()(int64_t number) const { out.emplace_back(key, text(number)); }
  void operator()(double number) const { out.emplace_back(key, text(number)); }
};

void collect(const Settings& settings, const std::string& before, Leaves& out) {
  for (const Settings::Item& item : settings) std::visit(LeafCollector{text(before, ".", item.name), out}, item.value);
}

Leaves leaves_of(const Recipe& recipe) {
  Leaves out{{"task", recipe.task}};
  const std::string layers = "layers";
  LeafCollector{layers, out}(recipe.layers);
  collect(recipe.ready, "net", out);
  for (const Section& section : sections) collect(recipe.*section.field, std::string(section.name), out);
  return out;
}

}  // namespace

std::string first_difference(const Recipe& run, const Recipe& now) {
  static constexpr std::string_view harmless[] = {"train.threads", "train.data_threads", "train.checkpoint_seconds"};
  const Leaves before = leaves_of(run), after = leaves_of(now);
  const auto value_in = [](const Leaves& leaves, const std::string& key) {
    const auto at = std::ranges::find(leaves, key, &Leaves::value_type::first);
    return at == leaves.end() ? std::string("not set") : at->second;
  };
  for (const Leaves* leaves : {&before, &after})
    for (const auto& [key, value] : *leaves) {
      if (std::ranges::find(harmless, key) != std::end(harmless)) continue;
      const std::string was = value_in(before, key), is = value_in(after, key);
      if (was != is) return text(key, " is ", was, " in the run and ", is, " now");
    }
  return "";
}

std::span<const RecipeSection> recipe_sections() {
  static const std::vector<SettingRule> data = rules_of(data_settings()), train = rules_of(train_settings()),
                                        augment = rules_of(augment_settings()),
                                        evaluate = rules_of(evaluate_settings());
  static const RecipeSection all[] = {{"data", data}, {"train", train}, {"augment", augment}, {"evaluate", evaluate}};
  return all;
}

}  // namespace descent::tasks
